"""Inventory and records in, view model out. Pure: the same input always gives the same page."""

from collections.abc import Iterable
from datetime import datetime

from bedplate.inventory import Inventory
from bedplate.report import units
from bedplate.report.acceptance import layouts_of
from bedplate.report.facts import RACK_UNITS, Host, hosts_of, networks_of, without_serials
from bedplate.report.gpus import verdicts_of
from bedplate.report.model import NetworkLayout, Page, Rack
from bedplate.report.reach import reach_of
from bedplate.report.rehearsal import gpu_hosts_of, rehearsal_of
from bedplate.report.runs import areas_of, runs_of
from bedplate.report.sources import Records
from bedplate.report.verdict import checks_of, headline_of, inventory_check

LIMITS = (
    "A virtual twin shows that the configuration is right, not how fast it is: its disks, links and "
    "processors are emulated. Storage promises are judged there as a ratio between the tier and its own raw "
    "members; absolute figures count only on the inventory's own machines.",
    "A twin has no GPUs. Speed, temperature, NVLink and memory of GPUs are shown by records that were proved "
    "on real GPUs, and by nothing else on this page.",
    "A rehearsal runs a real control plane with played kubelets: admission, quotas, scheduling and volumes "
    "are real, but no container is started, no image is pulled and no model is loaded.",
    "Firmware, cabling, switches, power and cooling are as the inventory says; nothing has looked at them.",
    "What a record does not mention was not measured. A plan without measurements is a plan.",
)


def build(inventory: Inventory, records: Records, now: datetime) -> Page:
    """The page of one environment as of ``now``."""
    hosts = hosts_of(inventory)
    runs = runs_of(records.runs)
    storage = layouts_of(hosts, records.acceptance)
    reach = reach_of(hosts, records.acceptance)
    rehearsal = rehearsal_of(records.rehearsal)
    areas = areas_of(records.evidence)
    gpus = verdicts_of(hosts, records.acceptance)
    asked = checks_of(
        hosts=hosts, runs=runs, reach=reach, storage=storage, rehearsal=rehearsal, areas=areas, gpus=gpus
    )
    checks = (inventory_check(records.findings), *asked)
    state, headline = headline_of(checks)
    return Page(
        environment=inventory.environment,
        domain=str(inventory.shared.get("site_domain", "")),
        written=units.moment(now.isoformat()),
        state=state,
        headline=headline,
        checks=checks,
        hosts=hosts,
        racks=racks_of(hosts),
        networks=networks_of(inventory.shared),
        storage=storage,
        links=links_of(hosts),
        reach=reach,
        gpus=gpu_hosts_of(hosts, records.rehearsal),
        gpu_verdicts=gpus,
        runs=runs,
        rehearsal=rehearsal,
        areas=areas,
        findings=tuple(sorted(records.findings or ())),
        limits=LIMITS,
        unreadable=records.unreadable,
    )


def racks_of(hosts: Iterable[Host]) -> tuple[Rack, ...]:
    """Racks by name, hosts from the top down; hosts in no rack come last under an empty name."""
    racks: dict[str, list[Host]] = {}
    for host in hosts:
        racks.setdefault(host.rack if host.unit else "", []).append(host)
    return tuple(
        Rack(
            name=name,
            units=max([RACK_UNITS, *(h.unit + h.height - 1 for h in racks[name])]),
            hosts=tuple(sorted(racks[name], key=lambda h: (-h.unit, h.name))),
        )
        for name in sorted(racks, key=lambda name: (name == "", name))
    )


def links_of(hosts: Iterable[Host]) -> tuple[NetworkLayout, ...]:
    """Hosts grouped by equal ports and links, in inventory order."""
    groups: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        build_of = without_serials(host)
        if host.nics:
            groups.setdefault((build_of.nics, build_of.links), []).append(host)
    return tuple(NetworkLayout(tuple(members), members[0]) for members in groups.values())
