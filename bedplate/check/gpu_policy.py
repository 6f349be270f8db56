"""Rules of how GPUs are set: limits that the model takes, MIG layouts that fit it, one master per GPU."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bedplate.check.problem import Key, Problem
from bedplate.check.rules import View, fleet_rule, host_rule
from bedplate.check.words import choose

Data = Mapping[str, Any]
Overrides = Sequence[Mapping[str, Any]]

_NO_LAYOUT = ("leave", "none")


@host_rule
def power_limits(
    hardware_gpus: Data,
    catalogue_gpus: Data,
    gpu_policy_power_limit: int = 0,
    gpu_policy_overrides: Overrides = (),
) -> Iterator[Problem]:
    """A limit is within what the board takes; 0 is its default."""
    model = hardware_gpus["model"]
    power = catalogue_gpus.get(model, {}).get("power")
    said: list[tuple[Key, int]] = [(("gpu_policy_power_limit",), gpu_policy_power_limit)]
    said += [(key, one["power_limit"]) for key, one in _each(gpu_policy_overrides, "power_limit")]
    for key, watts in said:
        if power and watts and not power["min"] <= watts <= power["max"]:
            why = f"{model} takes a power limit of {power['min']} to {power['max']} W"
            yield Problem(key, why, f"write {_nearest(watts, power)}, or 0 for its default", watts)


def _nearest(watts: int, power: Mapping[str, int]) -> int:
    return min(max(watts, power["min"]), power["max"])


@host_rule
def mig_layouts(
    hardware_gpus: Data,
    catalogue_mig: Data,
    gpu_policy_mig: str = "leave",
    gpu_policy_overrides: Overrides = (),
) -> Iterator[Problem]:
    """A layout is one of the catalogue's, and one that this GPU can be cut into."""
    model = hardware_gpus["model"]
    said: list[tuple[Key, str]] = [(("gpu_policy_mig",), gpu_policy_mig)]
    said += [(key, one["mig"]) for key, one in _each(gpu_policy_overrides, "mig")]
    fitting = [name for name, layout in catalogue_mig.items() if model in layout["gpus"]]
    for key, name in said:
        if name in _NO_LAYOUT or name in fitting:
            continue
        if name in catalogue_mig:
            why = f"{model} cannot be cut into {name}, which is for {', '.join(catalogue_mig[name]['gpus'])}"
            remedy = f"write one of {', '.join(fitting)}" if fitting else "write leave: no layout fits it"
        else:
            why, remedy = "catalogue_mig has no such layout", choose(name, [*fitting, *_NO_LAYOUT])
        yield Problem(key, why, remedy, name)


@host_rule
def overridden_gpus(hardware_gpus: Data, gpu_policy_overrides: Overrides) -> Iterator[Problem]:
    """Overrides name GPUs that the host has."""
    count = hardware_gpus["count"]
    for place, one in enumerate(gpu_policy_overrides):
        for index in sorted(set(one["gpus"])):
            if not 0 <= index < count:
                key: Key = ("gpu_policy_overrides", place, "gpus")
                yield Problem(key, f"the host has GPUs 0 to {count - 1}", f"take {index} out", index)


@host_rule
def clocks(
    gpu_policy_locked_clocks: Data | None = None,
    gpu_policy_application_clocks: Data | None = None,
    gpu_policy_overrides: Overrides = (),
) -> Iterator[Problem]:
    """A lock is two clocks, the lower first; application clocks are a pair. Which ones, the GPUs know."""
    locked: list[tuple[Key, Data]] = [(("gpu_policy_locked_clocks",), gpu_policy_locked_clocks or {})]
    locked += [(key, one["locked_clocks"]) for key, one in _each(gpu_policy_overrides, "locked_clocks")]
    for key, said in locked:
        for domain, pair in said.items():
            if len(pair) != 2 or pair[0] > pair[1]:  # noqa: PLR2004  lowest and highest
                why = "a lock is the lowest and the highest clock in MHz"
                low, high = (min(pair), max(pair)) if pair else (345, 1500)
                yield Problem((*key, domain), why, f"write [{low}, {high}]", pair)
    pairs: list[tuple[Key, Data]] = [
        (("gpu_policy_application_clocks",), gpu_policy_application_clocks or {})
    ]
    pairs += [
        (key, one["application_clocks"]) for key, one in _each(gpu_policy_overrides, "application_clocks")
    ]
    for key, said in pairs:
        missing = {"memory", "graphics"} - set(said)
        if said and missing:
            why = "application clocks are a memory and a graphics clock that belong together"
            yield Problem((*key, *missing), why, f"add {missing.pop()}, or leave both out", "")


@fleet_rule
def one_master_of_mig(view: View) -> Iterator[Problem]:
    """Where Kubernetes cuts the GPUs of a group, the host does not."""
    by_kubernetes = {
        host: group
        for _, layouts in view.each("platform_mig")
        for group in layouts
        for host in view.members(group)
    }
    for host, group in by_kubernetes.items():
        values = view.hosts[host]
        said = [values.get("gpu_policy_mig", "leave")]
        said += [one["mig"] for _, one in _each(values.get("gpu_policy_overrides", ()), "mig")]
        if any(name != "leave" for name in said):
            why = (
                f"platform_mig has Kubernetes cut the GPUs of {group}, and two masters undo each other's work"
            )
            yield Problem(
                ("gpu_policy_mig",), why, f"write leave, or take {group} out of platform_mig", host=host
            )


def _each(overrides: Overrides, name: str) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """Overrides that set ``name``, each with the key of that value."""
    for place, one in enumerate(overrides):
        if one.get(name) is not None:
            yield ("gpu_policy_overrides", place, name), one
