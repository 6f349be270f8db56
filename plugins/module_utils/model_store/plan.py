"""What must be done so that exactly the wished models are there: a pure function of wish and observation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Union

from .model import ALWAYS, NEVER, SPACE, Host, Installed, Manifest, Model, Policy, Refusal

KNOWN = (NEVER, SPACE, ALWAYS)
_UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


@dataclass(frozen=True)
class Fetch:
    """Put a model together and make it visible; ``missing`` bytes have to come, ``replaces`` what is there
    now."""

    path: str
    manifest: Manifest
    missing: int
    replaces: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        begin = f"fetch {self.path}: {len(self.manifest.files)} files, {human(self.missing)} to come"
        return f"{begin}, in place of {self.replaces}" if self.replaces else begin


@dataclass(frozen=True)
class Remove:
    """Remove a visible model that nobody wishes."""

    path: str
    size: int
    why: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"remove {self.path} ({human(self.size)}): {self.why}"


@dataclass(frozen=True)
class Discard:
    """Remove what was begun of a model that nobody wishes any more."""

    digest: str
    size: int

    @property
    def line(self) -> str:
        """One line for people."""
        return f"discard what was begun of manifest {self.digest[:16]} ({human(self.size)})"


Action = Union[Fetch, Remove, Discard]  # noqa: UP007  evaluated by Python 3.9


@dataclass(frozen=True)
class Plan:
    """Actions in their order, or refusals; with one refusal nothing at all is done. Notes are for people."""

    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """One line for each action."""
        return [action.line for action in self.actions]


def plan(models: Sequence[Model], policy: Policy, host: Host) -> Plan:
    """How to get from ``host`` to exactly ``models``; an empty plan when that is what is there."""
    refusals = [*_wrong_wishes(models), *_obstacles(models, host)]
    if refusals:
        return Plan(refusals=tuple(refusals))
    fetches = [fetch for model in models for fetch in _fetch(model, host)]
    wished = {model.digest for model in models}
    discards = [Discard(digest, size) for digest, size in sorted(host.staged.items()) if digest not in wished]
    spare = host.free + sum(discard.size for discard in discards) - policy.floor
    missing = sum(fetch.missing for fetch in fetches)
    removes = _prune(models, policy, host, missing - spare)
    spare += sum(remove.size for remove in removes)
    if fetches and missing > spare:
        return Plan(refusals=(_no_space(missing, models, policy, host),))
    kept = {remove.path for remove in removes}
    notes = tuple(
        f"{there.path} is not wished, and stays: {', '.join(there.users)} has it open"
        for there in _unwished(models, policy, host)
        if there.users and there.path not in kept and policy.prune == ALWAYS
    )
    return Plan((*discards, *removes, *fetches), (), notes)


def _wrong_wishes(models: Sequence[Model]) -> Iterator[Refusal]:
    paths = [model.path for model in models]
    for path in sorted({path for path in paths if paths.count(path) > 1}):
        yield Refusal(path, "it is wished more than once", "List each model once")
    for path in paths:
        for other in paths:
            if path.startswith(f"{other}/"):
                yield Refusal(path, f"it lies inside model {other}", "Give each model a folder of its own")


def _obstacles(models: Sequence[Model], host: Host) -> Iterator[Refusal]:
    """What stands in the way of single models."""
    installed = {there.path: there for there in host.installed}
    for model in models:
        there = installed.get(model.path)
        if model.path in host.strangers:
            found = "something lies there that this store did not make"
            yield Refusal(model.path, found, "Move it away, or give the model another path")
        elif there and there.digest != model.digest and there.users:
            found = f"another manifest is wished, and {', '.join(there.users)} has the present one open"
            yield Refusal(model.path, found, "Stop what uses it, or give the new one a path of its own")
        elif not _sound(model, there) and model.digest not in host.manifests:
            found = host.unreachable.get(model.digest, "its manifest is nowhere to be had")
            yield Refusal(model.path, found, "See model_store_sources and the digest in model_store_models")
    for there in host.installed:
        for model in models:
            if there.path.startswith(f"{model.path}/") or model.path.startswith(f"{there.path}/"):
                found = f"model {there.path} is there, and one would lie inside the other"
                yield Refusal(model.path, found, "Give the model another path")


def _sound(model: Model, there: Installed | None) -> bool:
    return there is not None and there.digest == model.digest and not there.faults


def _fetch(model: Model, host: Host) -> Iterator[Fetch]:
    """The fetch of a model that is not there as it should be. Files that the visible one has are not
    fetched."""
    there = next((one for one in host.installed if one.path == model.path), None)
    if _sound(model, there):
        return
    manifest = host.manifests[model.digest]
    have = {entry.sha256 for entry in there.files} if there else set()
    missing = sum(entry.size for entry in manifest.files if entry.sha256 not in have)
    missing = max(0, missing - host.staged.get(model.digest, 0))
    replaces = ""
    if there:
        damaged = f"its damaged copy ({'; '.join(there.faults[:3])})"
        replaces = damaged if there.digest == model.digest else f"manifest {there.digest[:16]}"
    yield Fetch(model.path, manifest, missing, replaces)


def _unwished(models: Sequence[Model], policy: Policy, host: Host) -> list[Installed]:
    """Visible models that may go as far as the wish is concerned, the oldest first."""
    wished = {model.path for model in models} | policy.keep
    return sorted((t for t in host.installed if t.path not in wished), key=lambda t: (t.published, t.path))


def _prune(models: Sequence[Model], policy: Policy, host: Host, short: int) -> list[Remove]:
    """Removals by policy; ``short`` bytes have to become free. What somebody has open stays."""
    removes: list[Remove] = []
    for there in _unwished(models, policy, host):
        if there.users or policy.prune == NEVER:
            continue
        if policy.prune == SPACE and short <= 0:
            break
        removes.append(
            Remove(
                there.path, there.size, "it is not wished" if policy.prune == ALWAYS else "space is needed"
            )
        )
        short -= there.size
    return removes


def _no_space(missing: int, models: Sequence[Model], policy: Policy, host: Host) -> Refusal:
    free = f"{human(host.free)} are free"
    found = f"{human(missing)} have to come and {human(policy.floor)} have to stay free, but {free}"
    unwished = _unwished(models, policy, host)
    idle = [f"{there.path} ({human(there.size)})" for there in unwished if not there.users]
    busy = [f"{there.path} (open in {', '.join(there.users)})" for there in unwished if there.users]
    remedy = "Wish fewer models, or enlarge the tier"
    if idle and policy.prune == NEVER:
        remedy = f"Set model_store_prune to {SPACE} to let go of {', '.join(idle)}; or wish fewer models"
    elif busy:
        remedy = f"Stop what uses {', '.join(busy)}, or wish fewer models"
    return Refusal("the store", found, remedy)


def human(size: int) -> str:
    """Bytes in the largest unit that keeps them above one."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
