"""nvidia-smi's answers as records."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from .model import Clocks, Gpu, Power, Switch

# "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-...)", then one line for each instance that can be used on it:
# "  MIG 1g.10gb     Device  0: (UUID: MIG-...)"
_LISTED = re.compile(r"^GPU (\d+):|^\s+MIG (\S+)\s+Device", re.MULTILINE)


def gpus(query: str, listing: str) -> tuple[Gpu, ...]:
    """Every GPU from ``nvidia-smi -q -x`` and ``nvidia-smi -L``."""
    root = Xml.fromstring(query)  # noqa: S314  the host's own driver wrote it
    instances = layouts(listing)
    return tuple(_gpu(index, node, instances.get(index, ())) for index, node in enumerate(root.iter("gpu")))


def layouts(listing: str) -> dict[int, tuple[str, ...]]:
    """MIG profiles by index of the GPU, sorted."""
    found: dict[int, list[str]] = {}
    mine: list[str] = []
    for number, profile in _LISTED.findall(listing):
        if number:
            mine = found.setdefault(int(number), [])
        else:
            mine.append(profile)
    return {index: tuple(sorted(names)) for index, names in found.items()}


def _gpu(index: int, node: Xml.Element, layout: tuple[str, ...]) -> Gpu:
    return Gpu(
        index=index,
        bus=node.get("id", ""),
        name=_text(node, "product_name"),
        persistence=_on(node, "persistence_mode"),
        compute_mode=_text(node, "compute_mode").lower(),
        power=_power(node),
        applications=_clocks(node.find("applications_clocks")),
        default_applications=_clocks(node.find("default_applications_clocks")),
        supported=tuple(_supported(node)),
        graphics_clock=_number(node, "clocks/sm_clock"),
        memory_clock=_number(node, "clocks/mem_clock"),
        ecc=_switch(node, "ecc_mode", "ecc"),
        mig=_switch(node, "mig_mode", "mig"),
        layout=layout,
        processes=tuple(_processes(node)),
    )


def _power(node: Xml.Element) -> Power | None:
    block = "gpu_power_readings" if node.find("gpu_power_readings") is not None else "power_readings"
    names = ("requested_power_limit", "default_power_limit", "min_power_limit", "max_power_limit")
    found = [_decimal(_text(node, f"{block}/{name}")) for name in names]
    if found[0] is None:  # drivers before R530 have only one limit, and call it so
        found[0] = _decimal(_text(node, f"{block}/power_limit"))
    limit, default, lowest, highest = found
    if limit is None or default is None or lowest is None or highest is None:
        return None
    return Power(limit, default, lowest, highest)


def _clocks(node: Xml.Element | None) -> Clocks | None:
    if node is None:
        return None
    memory, graphics = _number(node, "mem_clock"), _number(node, "graphics_clock")
    return None if memory is None or graphics is None else Clocks(memory, graphics)


def _supported(node: Xml.Element) -> list[Clocks]:
    found = []
    for block in node.iterfind("supported_clocks/supported_mem_clock"):
        memory = _number(block, "value")
        graphics = (_decimal(one.text or "") for one in block.iterfind("supported_graphics_clock"))
        found += [
            Clocks(memory, int(clock)) for clock in graphics if memory is not None and clock is not None
        ]
    return found


def _processes(node: Xml.Element) -> list[str]:
    return [
        f"{_text(one, 'pid')} {_text(one, 'process_name')}".strip()
        for one in node.iterfind("processes/process_info")
    ]


def _switch(node: Xml.Element, block: str, name: str) -> Switch | None:
    now, later = _on(node, f"{block}/current_{name}"), _on(node, f"{block}/pending_{name}")
    return None if now is None or later is None else Switch(now, later)


def _on(node: Xml.Element, path: str) -> bool | None:
    return {"Enabled": True, "Disabled": False}.get(_text(node, path))


def _number(node: Xml.Element, path: str) -> int | None:
    value = _decimal(_text(node, path))
    return None if value is None else int(value)


def _decimal(text: str) -> float | None:
    """``700.00 W`` as 700.0; None for N/A and whatever else is no number."""
    match = re.match(r"\d+(\.\d+)?", text.strip())
    return float(match[0]) if match else None


def _text(node: Xml.Element, path: str) -> str:
    return (node.findtext(path) or "").strip()
