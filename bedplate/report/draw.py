"""The pictures of the page: racks, disks, networks, GPUs. Each function turns view records into one SVG."""

from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from bedplate.rehearse.picture import COLOURS
from bedplate.report import units
from bedplate.report.facts import Disk, Host, Link, Network, Nic, Tier
from bedplate.report.model import GpuHost, Rack, State
from bedplate.report.svg import drawing, element, rect, shorten, text

KNOWN_TIERS = ("hot", "warm", "cold")
KNOWN_ZONES = ("management", "compute", "business", "storage")
DISKS_PER_ROW = 6  # as many as a phone shows side by side
_LEFT = 26  # margin of the rack's unit numbers
_LETTER, _SMALL_LETTER = 6.4, 5.0  # width of a letter at 10.5 px and at 7.5 px


def rack(view: Rack, states: dict[str, State], compact: bool) -> Markup:
    """A rack's elevation, unit 1 at the bottom; every host links to its row in the table."""
    step, width, top = (9, 168, 4) if compact else (15, 232, 4)
    parts = [rect(_LEFT, top, width - _LEFT - 2, view.units * step, "rack", rx=2)]
    for unit in range(1, view.units + 1):
        y = top + (view.units - unit) * step
        if unit > 1:
            parts.append(element("path", d=f"M{_LEFT} {y + step}h{width - _LEFT - 2}", class_="rail"))
        if unit % 5 == 0 or unit == 1:
            parts.append(text(_LEFT - 6, y + step - (1 if compact else 3.5), unit, "tick", text_anchor="end"))
    for unit, sharing in groupby(sorted(view.hosts, key=lambda h: (h.unit, h.name)), key=lambda h: h.unit):
        boxes = list(sharing)
        share = (width - _LEFT - 6) / len(boxes)
        for index, host in enumerate(boxes):
            x = _LEFT + 2 + index * share
            y = top + (view.units - unit - host.height + 1) * step
            place = _Place(x, y + 0.5, share - 1, host.height * step - 1)
            parts.append(_rack_host(host, states.get(host.name, "none"), place, compact))
    return drawing(width, view.units * step + 8, f"rack {view.name}, {len(view.hosts)} hosts", parts, "r")


@dataclass(frozen=True)
class _Place:
    x: float
    y: float
    width: float
    height: float


def _rack_host(host: Host, state: State, place: _Place, compact: bool) -> Markup:
    letters = int((place.width - 16) / (_SMALL_LETTER if compact else _LETTER))
    extra = f"{host.gpu_count} GPU" if host.gpu_count and not compact else ""
    baseline = place.y + place.height / 2 + (2.6 if compact else 3.6)
    name = shorten(host.name, max(letters - len(extra) - 1, 3))
    return element(
        "a",
        element("title", f"{host.name}, {', '.join(host.groups)}, unit {host.unit}"),
        rect(place.x, place.y, place.width, place.height, "box gpu" if host.gpu_count else "box", rx=1.5),
        rect(place.x, place.y, 4, place.height, f"s-{state}", rx=1),
        text(place.x + 9, baseline, name, "small" if compact else "name"),
        text(place.x + place.width - 6, baseline, extra, "tick", text_anchor="end") if extra else "",
        href=f"#host-{host.name}",
    )


def disks(members: tuple[Disk, ...], tier_class: str, label: str) -> Markup:
    """Drives side by side as in a front panel, six in a row: class on top, size below."""
    width, height, gap = 46, 60, 5
    parts = []
    for index, disk in enumerate(members):
        row, column = divmod(index, DISKS_PER_ROW)
        x, y = column * (width + gap) + 1, row * (height + 3)
        title = element("title", f"{disk.serial or 'serial number differs by host'}, {units.size(disk.size)}")
        number, _, unit = units.size(disk.size).partition(" ")
        parts.append(
            element(
                "g",
                title,
                rect(x, y + 1, width, height - 2, f"disk {tier_class}", rx=3),
                rect(x + 7, y + 7, width - 14, 2.5, "slot", rx=1),
                text(x + width / 2, y + 24, disk.kind.upper(), "kind", text_anchor="middle"),
                text(x + width / 2, y + 40, number, "figure", text_anchor="middle"),
                text(x + width / 2, y + 51, unit, "kind", text_anchor="middle"),
            )
        )
    columns, rows = min(max(len(members), 1), DISKS_PER_ROW), max(-(-len(members) // DISKS_PER_ROW), 1)
    return drawing(columns * (width + gap), rows * (height + 3) - 3, label, parts, "d")


def capacity(tier: Tier, tier_class: str) -> Markup:
    """How much of the raw capacity can be used, and how much pays for redundancy."""
    width = 250
    used = width * tier.usable / tier.raw if tier.raw else 0.0
    label = f"{units.size(tier.usable)} usable of {units.size(tier.raw)}"
    parts = [rect(0, 0, width, 6, "rest", rx=3), rect(0, 0, used, 6, f"fill {tier_class}", rx=3)]
    return drawing(width, 6, label, parts, "bar")


def tier_class(name: str) -> str:
    """Style of a tier: hot, warm and cold have their colours, any other name a neutral one."""
    return f"t-{name}" if name in KNOWN_TIERS else "t-other"


def zone_class(name: str) -> str:
    """Style of a network's zone."""
    return f"z-{name}" if name in KNOWN_ZONES else "z-other"


def links(host: Host) -> Markup:
    """Which port or bond carries which network: ports, links, networks from left to right."""
    row, y, parts = 40, 26, _link_heads()
    for link in host.links:
        rows = max(len(link.nics), len(link.networks), 1)
        middle = y + rows * row / 2
        parts += _link(link, y, rows * row, middle)
        y += rows * row + 10
    for nic in host.spare_nics:
        parts += [_port(nic, 0, y, "port spare"), text(196, y + 20, "carries nothing", "tick")]
        y += row
    return drawing(760, y, f"networks of {host.name}", parts, "n")


def _link_heads() -> list[Markup]:
    columns = ((0, "ports"), (260, "link"), (500, "networks"))
    return [text(x, 11, words, "head") for x, words in columns]


def _link(link: Link, y: float, height: float, middle: float) -> list[Markup]:
    wires, boxes = [], []
    for nic, at in zip(link.nics, _spread(y, height, len(link.nics)), strict=True):
        wires.append(_wire(180, at, 260, middle))
        boxes.append(_port(nic, 0, at - 15, "port"))
    for network, at in zip(link.networks, _spread(y, height, len(link.networks)), strict=True):
        wires.append(_wire(420, middle, 500, at, zone_class(network.zone)))
        boxes.append(_network(network, at))
    bonded = len(link.nics) > 1
    boxes += [
        rect(260, middle - 15, 160, 30, "link", rx=4),
        text(270, middle + 4, shorten(link.name, 12), "name"),
        text(
            412,
            middle + 4,
            shorten((link.mode or "bond") if bonded else "single", 13),
            "tick",
            text_anchor="end",
        ),
    ]
    return wires + boxes


def _port(nic: Nic, x: float, y: float, class_: str) -> Markup:
    return element(
        "g",
        element("title", f"{nic.name}, {nic.kind}, {nic.speed}"),
        rect(x + 0.5, y, 180, 30, class_, rx=4),
        text(x + 10, y + 19, shorten(nic.name, 14), "name"),
        text(x + 172, y + 19, nic.speed, "tick", text_anchor="end"),
    )


def _network(network: Network, at: float) -> Markup:
    vlan = f"VLAN {network.vlan}" if network.vlan else "untagged"
    mtu = f"MTU {network.mtu}" if network.mtu else ""
    return element(
        "g",
        element("title", f"{network.name}, zone {network.zone}, {network.subnet}, {mtu}"),
        rect(500, at - 17, 259, 34, f"net {zone_class(network.zone)}", rx=4),
        rect(500, at - 17, 5, 34, f"fill {zone_class(network.zone)}", rx=2),
        text(514, at - 2, shorten(network.name, 20), "name"),
        text(514, at + 11, f"{network.subnet}", "tick"),
        text(750, at - 2, vlan, "tick", text_anchor="end"),
        text(750, at + 11, mtu, "tick", text_anchor="end"),
    )


def _wire(x1: float, y1: float, x2: float, y2: float, class_: str = "") -> Markup:
    bend = (x1 + x2) / 2
    return element(
        "path",
        d=f"M{x1:g} {y1:g}C{bend:g} {y1:g} {bend:g} {y2:g} {x2:g} {y2:g}",
        class_=f"wire {class_}".strip(),
    )


def _spread(y: float, height: float, count: int) -> list[float]:
    return [y + height * (index + 0.5) / count for index in range(count)]


def gpus(view: GpuHost) -> Markup:
    """A host's GPUs as a row of boxes; one colour per workload, outlined where free."""
    side, gap = 20, 4
    parts, at = [], 0
    for occupant in view.occupants:
        path = "".join(_square(at + i, side, gap) for i in range(occupant.gpus))
        title = element("title", f"{occupant.workload}, {occupant.gpus} GPUs")
        parts.append(element("path", title, d=path, fill=_colour(occupant.index)))
        at += occupant.gpus
    if view.free:
        path = "".join(_square(at + i, side, gap) for i in range(view.free))
        parts.append(element("path", element("title", f"{view.free} GPUs free"), d=path, class_="free"))
        at += view.free
    return drawing(max(at, 1) * (side + gap), side + 2, f"GPUs of {view.host.name}", parts, "g")


def swatch(index: int) -> Markup:
    """The colour of one workload, for the legend."""
    return drawing(
        12, 12, "", [element("rect", x=1, y=1, width=10, height=10, rx=2, fill=_colour(index))], "swatch"
    )


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _square(index: int, side: int, gap: int) -> str:
    return f"M{index * (side + gap) + 1} 1h{side}v{side}h-{side}z"
