"""What the inventory says about the API gateway (``platform_api``), as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bedplate.inventory import Vars

LIMITS: dict[str, int] = {  # where a role says nothing
    "requests": 60,
    "tokens": 60_000,
    "daily_tokens": 0,
    "parallel": 8,
    "answer": 4096,
    "choices": 4,
}


@dataclass(frozen=True)
class ApiRole:
    """Models that a role may use, the identity provider's groups that have it, and its limits (see
    `bedplate.api.policy.Limits`)."""

    name: str
    models: tuple[str, ...]
    groups: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=lambda: dict(LIMITS))


@dataclass(frozen=True)
class ApiKey:
    """A key by its SHA-256; `bedplate api key` makes both."""

    id: str
    sha256: str
    expires: str = ""


@dataclass(frozen=True)
class ApiConsumer:
    """A program that asks. Its keys are listed, or its key is one of the stack's secrets."""

    name: str
    role: str
    secret: str = ""
    keys: tuple[ApiKey, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiShare:
    """A service of platform_vllm and its share of a model's requests."""

    service: str
    weight: int
    canary: bool = False


@dataclass(frozen=True)
class ApiModel:
    """A model under a name of its own, served by several services."""

    name: str
    backends: tuple[ApiShare, ...]
    sticky: bool = False
    guard: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiIssuer:
    """The identity provider: its name in tokens, our name there, the address of its keys, and who vouches for
    its certificate (PEM)."""

    url: str
    audience: str
    keys: str
    authority: str = ""
    groups_claim: str = "groups"
    user_claim: str = "email"


@dataclass(frozen=True)
class Api:
    """The gateway. ``outside`` is the port of every node through which the gateways of the hosts reach it, 0
    for none; ``proxies`` of them stand in front of it. ``body`` is the largest request in bytes."""

    roles: tuple[ApiRole, ...]
    consumers: tuple[ApiConsumer, ...] = ()
    models: tuple[ApiModel, ...] = ()
    issuer: ApiIssuer | None = None
    replicas: int = 1
    outside: int = 0
    proxies: int = 1
    body: int = 8 * 2**20


def read(entry: Vars | None) -> Api | None:
    """``platform_api`` as records; None where it is left out."""
    if entry is None:
        return None
    plain = {name: entry[name] for name in ("replicas", "outside", "proxies") if name in entry}
    return Api(
        roles=tuple(_role(role) for role in entry["roles"]),
        consumers=tuple(_consumer(one) for one in entry.get("consumers", [])),
        models=tuple(_model(one) for one in entry.get("models", [])),
        issuer=ApiIssuer(**entry["issuer"]) if "issuer" in entry else None,
        **plain,
    )


def _role(entry: Vars) -> ApiRole:
    limits = LIMITS | entry.get("limits", {})
    return ApiRole(entry["name"], tuple(entry["models"]), tuple(entry.get("groups", [])), limits)


def _consumer(entry: Mapping[str, Any]) -> ApiConsumer:
    keys = tuple(ApiKey(**key) for key in entry.get("keys", []))
    return ApiConsumer(entry["name"], entry["role"], entry.get("secret", ""), keys, entry.get("limits", {}))


def _model(entry: Mapping[str, Any]) -> ApiModel:
    shares = tuple(ApiShare(**share) for share in entry["backends"])
    return ApiModel(entry["name"], shares, entry.get("sticky", False), entry.get("guard", {}))
