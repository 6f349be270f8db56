"""Recorded output of nvidia-smi and of the kernel log as the document that the host's own program writes.

For machines on which nothing may run, and for fixtures: a folder with what people are asked to send. Pure but
for ``folder``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Document = dict[str, Any]
XML, SPEEDS, ERRORS, TOPOLOGY, LOG = (
    "nvidia-smi-q.xml",
    "nvidia-smi-nvlink-s.txt",
    "nvidia-smi-nvlink-e.txt",
    "topo-m.txt",
    "kernel.log",
)
_GPU = re.compile(r"^GPU (\d+):")
_SPEED = re.compile(r"^\s*Link (\d+): (?:([\d.]+) GB/s|<inactive>)\s*$")
_ERROR = re.compile(r"^\s*Link (\d+): (Replay|Recovery|CRC) Errors: (\d+)\s*$")
_EVENT = re.compile(r"^\s*\[?\s*([\d.]+)?\]?.*NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+),?\s*(.*)$")
_UNKNOWN = {"", "N/A", "Not Found", "Unknown Error"}


def folder(place: Path) -> Document:
    """Everything that is in a folder of recorded outputs; only the XML is needed."""
    texts = {
        name: (place / name).read_text()
        for name in (SPEEDS, ERRORS, TOPOLOGY, LOG)
        if (place / name).exists()
    }
    return document((place / XML).read_text(), texts)


def document(xml: str, texts: Mapping[str, str] | None = None) -> Document:
    """``nvidia-smi -q -x``, and by file name what else was recorded."""
    texts = texts or {}
    root = ElementTree.fromstring(xml)  # noqa: S314  expat refuses entity bombs since 2.4.1
    gpus = [_gpu(index, node) for index, node in enumerate(root.iter("gpu"))]
    if SPEEDS in texts:
        known = links(texts[SPEEDS], texts.get(ERRORS, ""))
        for gpu in gpus:
            gpu["links"] = known.get(gpu["index"])
    return {
        "version": 1,
        "driver": _text(root, "driver_version"),
        "cuda": _text(root, "cuda_version"),
        "gpus": gpus,
        "topology": topology(texts.get(TOPOLOGY, "")),
        "kernel_log": {
            "source": "kernel.log" if LOG in texts else "nobody asked",
            "xids": events(texts.get(LOG, "")),
        },
    }


def links(speeds: str, errors: str) -> dict[int, list[Document]]:
    """``nvidia-smi nvlink -s`` and ``-e``: NVLinks by GPU."""
    found: dict[int, list[Document]] = {}
    current = -1
    for line in speeds.splitlines():
        if gpu := _GPU.match(line):
            current = int(gpu[1])
        elif link := _SPEED.match(line):
            speed = None if link[2] is None else round(float(link[2]) * 1000)
            entry: Document = {
                "link": int(link[1]),
                "active": speed is not None,
                "speed_mbps": speed,
                "errors": {},
            }
            found.setdefault(current, []).append(entry)
    for line in errors.splitlines():
        if gpu := _GPU.match(line):
            current = int(gpu[1])
        elif count := _ERROR.match(line):
            for entry in found.get(current, []):
                if entry["link"] == int(count[1]):
                    entry["errors"][count[2].lower()] = int(count[3])
    return found


def topology(text: str) -> list[list[str]]:
    """The GPUs' part of ``nvidia-smi topo -m``."""
    rows = [line.split("\t") for line in text.splitlines()]
    names = [word.strip() for word in rows[0]] if rows else []
    columns = [index for index, word in enumerate(names) if re.fullmatch(r"GPU\d+", word)]
    return [
        [row[column].strip() for column in columns]
        for row in rows[1:]
        if re.fullmatch(r"GPU\d+", row[0].strip())
    ]


def events(log: str) -> list[Document]:
    """XIDs in lines of dmesg or the journal; time is seconds since boot where dmesg says it, else 0."""
    return [
        {
            "kind": "xid",
            "time": float(match[1] or 0),
            "bus": match[2].lower(),
            "code": int(match[3]),
            "text": match[4],
        }
        for line in log.splitlines()
        if (match := _EVENT.match(line))
    ]


def _gpu(index: int, node: ElementTree.Element) -> Document:
    pcie = "pci/pci_gpu_link_info/"
    return {
        "index": index,
        "lost": False,
        "name": _text(node, "product_name"),
        "uuid": _text(node, "uuid"),
        "serial": _text(node, "serial"),
        "bus": node.get("id"),
        "device_id": (_text(node, "pci/pci_device_id") or "")[:4].lower(),
        "vbios": _text(node, "vbios_version"),
        "memory_mib": _whole(node, "fb_memory_usage/total"),
        "pcie": {
            "generation": _whole(node, f"{pcie}pcie_gen/current_link_gen"),
            "generation_max": _whole(node, f"{pcie}pcie_gen/max_link_gen"),
            "width": _whole(node, f"{pcie}link_widths/current_link_width"),
            "width_max": _whole(node, f"{pcie}link_widths/max_link_width"),
            "replays": _whole(node, "pci/replay_counter"),
        },
        "links": None,
        "fabric": {"state": _text(node, "fabric/state"), "status": _text(node, "fabric/status")},
        "ecc": _ecc(node),
        "rows": _rows(node),
        "retired": _retired(node),
        "clocks": {
            "sm": _whole(node, "clocks/sm_clock"),
            "sm_max": _whole(node, "max_clocks/sm_clock"),
            "memory": _whole(node, "clocks/mem_clock"),
            "memory_max": _whole(node, "max_clocks/mem_clock"),
        },
        "power": {
            "limit": _number(node, "gpu_power_readings/current_power_limit"),
            "default": _number(node, "gpu_power_readings/default_power_limit"),
            "min": _number(node, "gpu_power_readings/min_power_limit"),
            "max": _number(node, "gpu_power_readings/max_power_limit"),
            "draw": _number(node, "gpu_power_readings/instant_power_draw"),
        },
        "temperature": _whole(node, "temperature/gpu_temp"),
        "reasons": _reasons(node),
        "mig": _flag(node, "mig_mode/current_mig"),
        "persistence": _flag(node, "persistence_mode"),
        "recovery": _text(node, "gpu_recovery_action"),
        "processes": len(node.findall("processes/process_info")),
    }


def _ecc(node: ElementTree.Element) -> Document | None:
    enabled = _flag(node, "ecc_mode/current_ecc")
    if enabled is None:
        return None
    counters = {}
    for scope in ("volatile", "aggregate"):
        at = f"ecc_errors/{scope}/"
        uncorrected = ("sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable")
        counters[scope] = {
            "sram_corrected": _whole(node, f"{at}sram_correctable"),
            "dram_corrected": _whole(node, f"{at}dram_correctable"),
            "uncorrected": sum(_whole(node, at + name) or 0 for name in uncorrected),
        }
    return {"enabled": enabled, "pending": _flag(node, "ecc_mode/pending_ecc"), **counters}


def _rows(node: ElementTree.Element) -> Document | None:
    if _whole(node, "remapped_rows/remapped_row_unc") is None:
        return None
    return {
        "correctable": _whole(node, "remapped_rows/remapped_row_corr"),
        "uncorrectable": _whole(node, "remapped_rows/remapped_row_unc"),
        "pending": _flag(node, "remapped_rows/remapped_row_pending"),
        "failure": _flag(node, "remapped_rows/remapped_row_failure"),
    }


def _retired(node: ElementTree.Element) -> Document | None:
    single = _whole(node, "retired_pages/multiple_single_bit_retirement/retired_count")
    double = _whole(node, "retired_pages/double_bit_retirement/retired_count")
    if single is None and double is None:
        return None
    pending = _flag(node, "retired_pages/pending_retirement")
    return {"single": single or 0, "double": double or 0, "pending": bool(pending)}


def _reasons(node: ElementTree.Element) -> list[str]:
    """Names as NVML has them; drivers before 535.54 say throttle where later ones say event."""
    found = []
    for reason in [*node.iterfind("clocks_event_reasons/*"), *node.iterfind("clocks_throttle_reasons/*")]:
        if (reason.text or "").strip() == "Active":
            found.append(re.sub(r"^clocks_(event|throttle)_reason_", "", reason.tag))
    return found


def _text(node: ElementTree.Element, path: str) -> str | None:
    text = (node.findtext(path) or "").strip()
    return None if text in _UNKNOWN else text


def _number(node: ElementTree.Element, path: str) -> float | None:
    match = re.match(r"-?\d+(?:\.\d+)?", _text(node, path) or "")
    return float(match[0]) if match else None


def _whole(node: ElementTree.Element, path: str) -> int | None:
    number = _number(node, path)
    return None if number is None else int(number)


def _flag(node: ElementTree.Element, path: str) -> bool | None:
    return {"Enabled": True, "Yes": True, "Disabled": False, "No": False}.get(_text(node, path) or "")
