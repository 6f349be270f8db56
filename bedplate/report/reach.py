"""Networks: whom each host reached when role vlan_network last verified it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from bedplate.report.facts import Host, dicts
from bedplate.report.model import Reach

ROLE = "vlan_network"


def reach_of(hosts: Iterable[Host], acceptance: Mapping[str, Mapping[str, Any]]) -> tuple[Reach, ...]:
    """One record per host that has networks; state ``none`` where nobody verified it.

    The document is what module vlan_network writes in state ``verified``: ``reachable`` (address, device,
    role, answers, full_frames) and ``faults`` (sentences).
    """
    return tuple(_reach(host.name, acceptance.get(host.name, {}).get(ROLE)) for host in hosts if host.links)


def _reach(host: str, document: Mapping[str, Any] | None) -> Reach:
    if not document:
        return Reach(host, "none", 0, 0, ())
    asked = dicts(document.get("reachable"))
    faults = [str(fault) for fault in document.get("faults") or ()]
    quiet = [str(entry.get("address")) for entry in asked if not entry.get("answers")]
    cut = [e for e in asked if e.get("role") == "peer" and e.get("answers") and not e.get("full_frames")]
    notes = faults + [f"{address} does not answer" for address in quiet if address not in " ".join(faults)]
    notes += [f"packets of the full MTU to {entry.get('address')} are lost" for entry in cut]
    return Reach(host, "fail" if faults else "pass", len(asked), len(asked) - len(quiet), tuple(notes))
