"""From policies and what is there to actions, what has to wait, and refusals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .model import (
    LAYOUT,
    MODES,
    PERSISTENCE,
    RESET,
    VOLATILE,
    Action,
    Clocks,
    Gpu,
    Locks,
    Plan,
    Policy,
    Range,
    Switch,
)

_TOLERANCE = 0.5  # watts between a limit and itself read back
_SHOWN = 3  # processes that a refusal names
_LOCKS = {"graphics": "gc", "memory": "mc"}  # nvidia-smi -lgc, -rgc, -lmc, -rmc


def plan(policies: Mapping[int, Policy], gpus: Iterable[Gpu], locks: Locks, *, consent: bool) -> Plan:
    """What to do so that every GPU follows its policy.

    ``locks`` are the locked clocks that were set since the driver was loaded: nvidia-smi does not show them.
    ``consent``: ECC, MIG mode and the reset that they need are wanted now; otherwise they are said and wait.
    """
    parts = [_of(gpu, policies[gpu.index], locks.get(gpu.bus, {}), consent) for gpu in gpus]
    refusals = tuple(text for part in parts for text in part.refusals)
    actions = sorted((one for part in parts for one in part.actions), key=lambda action: action.stage)
    waiting = tuple(text for part in parts for text in part.waiting)
    return Plan(() if refusals else tuple(actions), waiting, refusals)


def _of(gpu: Gpu, policy: Policy, locks: Mapping[str, list[int]], consent: bool) -> Plan:
    refusals = [f"GPU {gpu.index} ({gpu.bus}) {text}" for text in _impossible(gpu, policy)]
    if refusals:
        return Plan(refusals=tuple(refusals))
    disruptive = [*_modes(gpu, policy), *_reset(gpu, policy), *_layout(gpu, policy)]
    harmless = [action for action in disruptive if action.stage == LAYOUT and not gpu.layout]
    volatile = _volatile(gpu, policy, locks)
    if len(harmless) == len(disruptive):  # making instances where there are none disturbs nobody
        return Plan((*disruptive, *volatile))
    if not consent:
        return Plan(tuple(volatile), waiting=tuple(_waits(action) for action in disruptive))
    if gpu.processes:
        return Plan(refusals=(_in_use(gpu, disruptive),))
    return Plan((*disruptive, *volatile))


def _impossible(gpu: Gpu, policy: Policy) -> Iterable[str]:
    """What this GPU cannot be, as the end of a sentence."""
    yield from _power_problem(gpu, policy.power_limit)
    if policy.ecc and gpu.ecc is None:
        yield "has no ECC that can be switched: set gpu_policy_ecc to false for it"
    if policy.mig and gpu.mig is None:
        yield f"({gpu.name}) cannot be cut into MIG instances: set gpu_policy_mig to leave for it"
    yield from _application_problem(gpu, policy.application_clocks)
    for domain in _LOCKS:
        yield from _lock_problem(gpu, domain, getattr(policy, f"locked_{domain}"))


def _power_problem(gpu: Gpu, wanted: int) -> Iterable[str]:
    if not wanted:
        return
    if gpu.power is None:
        yield "has no power limit that can be set: set gpu_policy_power_limit to 0 for it"
    elif not gpu.power.lowest <= wanted <= gpu.power.highest:
        allowed = f"{gpu.power.lowest:.0f} to {gpu.power.highest:.0f} W, or to 0 for its default"
        yield f"takes no power limit of {wanted} W: set gpu_policy_power_limit to {allowed}"


def _application_problem(gpu: Gpu, wanted: Clocks | None) -> Iterable[str]:
    if wanted is None or wanted in gpu.supported:
        return
    if gpu.applications is None:
        yield "has no application clocks with this driver: use gpu_policy_locked_clocks"
        return
    nearest = min(gpu.supported, key=lambda one: _apart(one, wanted), default=gpu.default_applications)
    yield f"has no application clocks of {wanted}: the nearest are {nearest}"


def _apart(one: Clocks, other: Clocks) -> tuple[int, int]:
    return abs(one.memory - other.memory), abs(one.graphics - other.graphics)


def _lock_problem(gpu: Gpu, domain: str, wanted: Range | None) -> Iterable[str]:
    clocks = [getattr(one, domain) for one in gpu.supported]
    if wanted is None or not clocks:
        return
    if wanted.lowest < min(clocks) or wanted.highest > max(clocks):
        allowed = Range(min(clocks), max(clocks))
        yield f"cannot lock its {domain} clock to {wanted}: set gpu_policy_locked_clocks within {allowed}"


def _modes(gpu: Gpu, policy: Policy) -> list[Action]:
    """Switches whose later state is not the wanted one yet."""
    found = []
    if gpu.ecc and gpu.ecc.later != policy.ecc:
        found.append(_switch(gpu, "ECC", gpu.ecc, policy.ecc, ("-i", gpu.bus, "-e", str(int(policy.ecc)))))
    if gpu.mig and policy.mig is not None and gpu.mig.later != bool(policy.mig):
        call = ("-i", gpu.bus, "-mig", str(int(bool(policy.mig))))
        found.append(_switch(gpu, "MIG mode", gpu.mig, bool(policy.mig), *_removal(gpu), call))
    return found


def _switch(gpu: Gpu, setting: str, switch: Switch, wanted: bool, *calls: tuple[str, ...]) -> Action:
    return _action(gpu, setting, _word(switch.later), _word(wanted), MODES, *calls)


def _reset(gpu: Gpu, policy: Policy) -> list[Action]:
    """A reset, where a switch is set and has not taken effect; on Hopper and later MIG mode needs none."""
    ecc = gpu.ecc is not None and gpu.ecc.now != gpu.ecc.later == policy.ecc
    mig = gpu.mig is not None and policy.mig is not None and gpu.mig.now != gpu.mig.later == bool(policy.mig)
    pending = [name for name, wanted in (("ECC", ecc), ("MIG mode", mig)) if wanted]
    if not pending:
        return []
    waits = f"{' and '.join(pending)} pending"
    return [_action(gpu, "reset", waits, "in effect", RESET, ("-i", gpu.bus, "--gpu-reset"))]


def _layout(gpu: Gpu, policy: Policy) -> list[Action]:
    if not policy.mig or gpu.mig is None or tuple(sorted(policy.mig)) == gpu.layout:
        return []
    make = ("mig", "-i", gpu.bus, "-cgi", ",".join(policy.mig), "-C")
    return [
        _action(gpu, "MIG instances", _names(gpu.layout), _names(policy.mig), LAYOUT, *_removal(gpu), make)
    ]


def _removal(gpu: Gpu) -> list[tuple[str, ...]]:
    """Compute instances first, then the GPU instances that they are in."""
    return [("mig", "-i", gpu.bus, "-dci"), ("mig", "-i", gpu.bus, "-dgi")] if gpu.layout else []


def _volatile(gpu: Gpu, policy: Policy, locks: Mapping[str, list[int]]) -> list[Action]:
    """What the driver forgets; persistence first, since without it the driver forgets at once."""
    found = []
    if gpu.persistence is not None and gpu.persistence != policy.persistence:
        words = _word(gpu.persistence), _word(policy.persistence)
        call = ("-i", gpu.bus, "-pm", str(int(policy.persistence)))
        found.append(_action(gpu, "persistence", *words, PERSISTENCE, call))
    if gpu.compute_mode not in ("", policy.compute_mode):
        call = ("-i", gpu.bus, "-c", policy.compute_mode.upper())
        found.append(_set(gpu, "compute mode", gpu.compute_mode, policy.compute_mode, call))
    if gpu.power:
        wanted = policy.power_limit or gpu.power.default
        if abs(gpu.power.limit - wanted) > _TOLERANCE:
            call = ("-i", gpu.bus, "-pl", f"{wanted:.0f}")
            found.append(_set(gpu, "power limit", f"{gpu.power.limit:.0f} W", f"{wanted:.0f} W", call))
    found += _applications(gpu, policy)
    for domain in _LOCKS:
        found += _lock(gpu, domain, getattr(policy, f"locked_{domain}"), locks.get(domain))
    return found


def _applications(gpu: Gpu, policy: Policy) -> list[Action]:
    wanted = policy.application_clocks or gpu.default_applications
    if gpu.applications is None or wanted is None or gpu.applications == wanted:
        return []
    call = ("-ac", f"{wanted.memory},{wanted.graphics}") if policy.application_clocks else ("-rac",)
    return [_set(gpu, "application clocks", str(gpu.applications), str(wanted), ("-i", gpu.bus, *call))]


def _lock(gpu: Gpu, domain: str, wanted: Range | None, known: list[int] | None) -> list[Action]:
    """A lock is remembered, not shown; but a clock above the remembered lock shows that it was lost."""
    held, shown = Range(*known) if known else None, getattr(gpu, f"{domain}_clock")
    lost = held is not None and shown is not None and shown > held.highest
    if wanted == held and not lost:
        return []
    setting, before = f"{domain} clock lock", "free" if held is None or lost else str(held)
    if wanted is None:
        return [_set(gpu, setting, before, "free", ("-i", gpu.bus, f"-r{_LOCKS[domain]}"))]
    call = ("-i", gpu.bus, f"-l{_LOCKS[domain]}", f"{wanted.lowest},{wanted.highest}")
    return [_set(gpu, setting, before, str(wanted), call)]


def _set(gpu: Gpu, setting: str, before: str, after: str, call: tuple[str, ...]) -> Action:
    return _action(gpu, setting, before, after, VOLATILE, call)


def _action(gpu: Gpu, setting: str, before: str, after: str, stage: int, *calls: tuple[str, ...]) -> Action:
    return Action(gpu.index, gpu.bus, setting, before, after, stage, calls)


def _waits(action: Action) -> str:
    return f"{action}; waits for the host's next boot, or for gpu_policy_reset while nothing uses the GPU"


def _in_use(gpu: Gpu, actions: Iterable[Action]) -> str:
    users = ", ".join(gpu.processes[:_SHOWN]) + (" and more" if len(gpu.processes) > _SHOWN else "")
    wanted = " and ".join(action.setting for action in actions)
    return (
        f"GPU {gpu.index} ({gpu.bus}) is in use by {users}, and {wanted} would end that: stop it first,"
        " or leave gpu_policy_reset false"
    )


_word: Callable[[bool], str] = lambda on: "on" if on else "off"  # noqa: E731


def _names(layout: Iterable[str]) -> str:
    found = tuple(layout)
    kinds = [f"{found.count(name)} x {name}" for name in sorted(set(found))]
    return ", ".join(kinds) or "none"
