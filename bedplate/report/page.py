"""The page itself: view model → HTML. Everything is escaped; style and script are part of the file."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bedplate.report import draw, draw_gpus, units
from bedplate.report.facts import Host
from bedplate.report.model import Page
from bedplate.report.verdict import state_of_hosts

TEMPLATES = Path(__file__).parent / "templates"
MANY_RACKS = 12  # above this racks are drawn small and folded
MANY_HOSTS = 40  # above this tables of hosts are folded
STATE_WORDS = {"pass": "passed", "fail": "failed", "none": "not measured", "info": "measured, no goal"}
STATE_MARKS = {"pass": "✓", "fail": "✗", "none": "○", "info": "•"}


def render(page: Page) -> str:
    """The report as one HTML document without external resources."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=units.size,
        memory=units.memory,
        number=units.number,
        count=units.count,
        duration=units.duration,
        gpu=units.gpu,
    )
    measures = [m for layout in page.storage for tier in layout.tiers for m in tier.measures]
    states = state_of_hosts(page.hosts, page.runs, measures)
    environment.globals.update(
        draw=draw,
        draw_gpus=draw_gpus,
        marks=STATE_MARKS,
        words=STATE_WORDS,
        states=states,
        failed_hosts=[name for name, state in states.items() if state == "fail"],
        alike=kinds_of(page.hosts),
        attached=Counter(network for host in page.hosts for network, _ in host.addresses),
        compact=len(page.racks) > MANY_RACKS,
        many=len(page.hosts) > MANY_HOSTS,
        style=_own("report.css"),
        script=_own("report.js"),
    )
    return environment.get_template("report.html.j2").render(page=page)


def kinds_of(hosts: Iterable[Host]) -> tuple[tuple[Host, int], ...]:
    """Hosts that do the same with the same hardware: one of them, and how many there are."""
    kinds: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        key = (host.groups, host.cpus, host.memory, host.gpu_model, host.gpu_count, len(host.disks))
        kinds.setdefault(key, []).append(host)
    return tuple((members[0], len(members)) for members in kinds.values())


def _own(name: str) -> Markup:
    """A file of ours that is put into the page as it is."""
    return Markup((TEMPLATES / name).read_text())  # noqa: S704 our own file, not input
