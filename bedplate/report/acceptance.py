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
    """One Measure per promise of ``tier``; without a record the state is ``none``."""
    measured = {str(m.get("what")): m for m in _measured(tier.name, document)}
    return tuple(_measure(host, tier, what, promised, measured.get(what)) for what, promised in tier.promise)


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


def _measured(tier: str, document: Document | None) -> list[Document]:
    for entry in dicts((document or {}).get("tiers")):
        if entry.get("name") == tier:
            return dicts(entry.get("measures"))
    return []


def _measure(host: Host, tier: Tier, what: str, promised: Any, found: Document | None) -> Measure:
    words = _WORDS.get(what, what.replace("_", " "))
    if found is None:
        return Measure(host.name, tier.name, words, figure(what, promised), "", 0.0, "none")
    goal, value = found.get("goal", promised), found.get("value", 0)
    wanted, got = amount(what, goal), amount(what, value)
    return Measure(
        host=host.name,
        tier=tier.name,
        what=words,
        promised=figure(what, promised),
        measured=figure(what, value),
        ratio=got / wanted if wanted else 0.0,
        state=_STATES.get(str(found.get("verdict")), "info"),
        note=str(found.get("note", "")),
    )


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
