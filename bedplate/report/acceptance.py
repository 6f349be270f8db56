"""Storage tiers: what was promised against what role storage_tiers measured on each host. Pure."""

from collections.abc import Iterable
from typing import Any

from bedplate.report import units
from bedplate.report.facts import Host, Tier, dicts, without_serials
from bedplate.report.model import Measure, State, StorageLayout, TierView

_WORDS = {
    "read_iops": "read IOPS",
    "write_iops": "write IOPS",
    "read_bandwidth": "read bandwidth",
    "write_bandwidth": "write bandwidth",
    "capacity": "capacity",
}
_STATES: dict[str, State] = {"pass": "pass", "fail": "fail", "info": "info"}
Document = dict[str, Any]


def measures_of(host: Host, tier: Tier, document: Document | None) -> tuple[Measure, ...]:
    """What was measured of ``tier``, and with state ``none`` every promise that was not.

    ``document`` is what module storage_acceptance wrote: ``tiers`` with name, mode and ``measures`` of what,
    value, goal, verdict and note.
    """
    entry = next((t for t in dicts((document or {}).get("tiers")) if t.get("name") == tier.name), {})
    found = {str(m.get("what")): m for m in dicts(entry.get("measures"))}
    relative = entry.get("mode") == "relative"
    promised = dict(tier.promise)
    return tuple(
        _measured(host, tier, found[what], relative)
        if what in found
        else Measure(host.name, tier.name, _words(what), figure(what, promised[what]), "", 0.0, "none")
        for what in dict.fromkeys([*promised, *found])
    )


def layouts_of(
    hosts: Iterable[Host], acceptance: dict[str, dict[str, Document]]
) -> tuple[StorageLayout, ...]:
    """Hosts grouped by equal disks and tiers, in inventory order; hosts without disks are left out."""
    groups: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        build = without_serials(host)
        if host.disks:
            groups.setdefault((build.disks, build.tiers), []).append(host)
    return tuple(_layout(tuple(members), acceptance) for members in groups.values())


def _layout(hosts: tuple[Host, ...], acceptance: dict[str, dict[str, Document]]) -> StorageLayout:
    sample = hosts[0] if len(hosts) == 1 else without_serials(hosts[0])
    tiers = []
    for index, tier in enumerate(sample.tiers):
        found: list[Measure] = []
        for host in hosts:
            document = acceptance.get(host.name, {}).get("storage_tiers")
            found += measures_of(host, host.tiers[index], document)
        tiers.append(TierView(tier, tuple(found)))
    return StorageLayout(hosts, sample, tuple(tiers))


def _measured(host: Host, tier: Tier, found: Document, relative: bool) -> Measure:
    what, goal, value = str(found.get("what")), found.get("goal", ""), found.get("value", 0)
    asked = amount(what, goal)
    return Measure(
        host=host.name,
        tier=tier.name,
        what=_words(what),
        asked=figure(what, goal),
        measured=figure(what, value),
        ratio=amount(what, value) / asked if asked else 0.0,
        state=_STATES.get(str(found.get("verdict")), "info"),
        note=str(found.get("note", "")),
        relative=relative,
    )


def _words(what: str) -> str:
    return _WORDS.get(what, what.replace("_", " "))


def figure(what: str, value: Any) -> str:
    """A promise or a result in words: ``500,000``, ``16 TB``, ``12 GB/s``."""
    if what == "capacity":
        return units.size(units.parse_bytes(value)) if units.parse_bytes(value) else str(value)
    if what.endswith("bandwidth"):
        return f"{units.size(units.parse_bytes(value))}/s" if units.parse_bytes(value) else str(value)
    return units.number(value)


def amount(what: str, value: Any) -> float:
    """The same as a plain number."""
    if what == "capacity" or what.endswith("bandwidth"):
        return float(units.parse_bytes(value))
    return float(value) if isinstance(value, int | float) else 0.0
