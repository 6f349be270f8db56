"""Who may use which models, how much of them, and what serves them: the gateway's data as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("vllm", "triton", "dify")


@dataclass(frozen=True)
class Limits:
    """Most that one consumer (or person) may take: requests and tokens a minute, tokens a day (UTC), requests
    at a time, tokens of one answer, answers to one request. 0 of ``daily_tokens`` is no limit."""

    requests: int
    tokens: int
    daily_tokens: int
    parallel: int
    answer: int
    choices: int


@dataclass(frozen=True)
class Backend:
    """What serves a share of a model's requests."""

    name: str
    weight: int
    canary: bool = False


@dataclass(frozen=True)
class Guard:
    """When a canary is taken back: more than ``errors`` of its requests fail, or its first byte takes
    ``latency`` times as long as the others' (95th percentile), judged over ``seconds`` from ``least``
    requests on."""

    errors: float = 0.05
    latency: float = 2.0
    least: int = 20
    seconds: int = 300


@dataclass(frozen=True)
class Served:
    """One model by the name that clients use. ``context`` in tokens; ``sticky`` gives a consumer always the
    same back end (an A/B test); ``detail`` is what a bridge needs to know."""

    name: str
    kind: str
    backends: tuple[Backend, ...]
    context: int = 0
    sticky: bool = False
    guard: Guard = Guard()
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Role:
    """Models that may be used, and how much."""

    name: str
    models: frozenset[str]
    limits: Limits


@dataclass(frozen=True)
class Key:
    """A key is never here, only its SHA-256 (hex): 256 random bits cannot be guessed from it. ``expires`` is
    its last day (ISO, UTC)."""

    id: str
    consumer: str
    sha256: str
    expires: str = ""


@dataclass(frozen=True)
class Person:
    """Claims of a token that name a person and the person's groups."""

    user_claim: str = "email"
    groups_claim: str = "groups"


@dataclass(frozen=True)
class Policy:
    """Everything that a decision needs. ``consumers`` and ``groups`` lead to roles; of several groups the
    first that is listed counts."""

    models: Mapping[str, Served]
    roles: Mapping[str, Role]
    consumers: Mapping[str, Role]
    groups: Mapping[str, str]
    keys: Mapping[str, Key]
    person: Person = Person()


def parse(document: Mapping[str, Any], keys: list[Mapping[str, str]]) -> Policy:
    """The records of a document that `document` of the platform program wrote. Raises KeyError, TypeError or
    ValueError for anything else: what is not understood is not half in force."""
    models = {name: _served(name, entry) for name, entry in document["models"].items()}
    roles = {name: _role(name, entry) for name, entry in document["roles"].items()}
    consumers = {name: _own(roles[entry["role"]], entry) for name, entry in document["consumers"].items()}
    found = [Key(**key) for key in keys]
    if missing := {key.consumer for key in found} - set(consumers):
        raise ValueError(f"keys of nobody: {', '.join(sorted(missing))}")
    return Policy(
        models=models,
        roles=roles,
        consumers=consumers,
        groups={str(group): roles[role].name for group, role in document["groups"].items()},
        keys={key.sha256: key for key in found},
        person=Person(**document.get("person", {})),
    )


def _served(name: str, entry: Mapping[str, Any]) -> Served:
    if entry["kind"] not in KINDS:
        raise ValueError(f"{name}: {entry['kind']} is no kind of back end")
    rest = {key: entry[key] for key in ("context", "sticky", "detail") if key in entry}
    backends = tuple(Backend(**backend) for backend in entry["backends"])
    return Served(name, entry["kind"], backends, guard=Guard(**entry.get("guard", {})), **rest)


def _role(name: str, entry: Mapping[str, Any]) -> Role:
    return Role(name, frozenset(entry["models"]), Limits(**entry["limits"]))


def _own(role: Role, entry: Mapping[str, Any]) -> Role:
    """A consumer's role, with limits of its own where it has some."""
    return Role(role.name, role.models, Limits(**{**vars(role.limits), **entry.get("limits", {})}))
