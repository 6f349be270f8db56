"""Recorded GPU hosts (tests/fixtures/nvidia) and what is made of them by hand.

Healthy hosts are recordings; where a recording lacks a file (the links of the four H100), it is written here
after what the same host said of itself. Every faulty host is a healthy one with one change.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import yaml

from bedplate import paths
from bedplate.acceptance import figures, smi
from bedplate.acceptance.wanted import Wanted, wanted

RECORDED = paths.ROOT / "tests" / "fixtures" / "nvidia"
DRIVER = "580.159.04"
MIB, GIB = 2**20, 2**30
Document = dict[str, Any]
BOOT = "kernel: NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.159.04\n"


@dataclass(frozen=True)
class Recorded:
    """What people send of a host: the XML and, by file name, texts."""

    xml: str
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """As bedplate reads it."""
        return smi.document(self.xml, self.texts)


Change = Callable[[Recorded], Recorded]


@cache
def catalogue(name: str) -> dict[str, Any]:
    """A file of inventories/_common."""
    return yaml.safe_load((paths.COMMON / f"{name}.yml").read_text())


def expected(model: str = "h100-sxm5-80gb", count: int = 4, **known: Any) -> Wanted:
    """What an inventory with ``count`` GPUs of ``model`` expects."""
    gpus = catalogue("gpus")["catalogue_gpus"]
    acceptance = catalogue("gpu_acceptance")["catalogue_gpu_acceptance"]
    hardware = {"model": model, "count": count, "serials": known.pop("serials", ())}
    return wanted(hardware, gpus, acceptance, **({"driver": DRIVER} | known))


def four() -> Recorded:
    """Four H100 as recorded; their links, each as the recording's README says, written by hand."""
    folder = RECORDED / "h100x4"
    speeds = "".join(_speeds(index, 18) for index in range(4))
    texts = {smi.SPEEDS: speeds, smi.TOPOLOGY: (folder / smi.TOPOLOGY).read_text(), smi.LOG: BOOT}
    return Recorded((folder / smi.XML).read_text(), texts)


def single() -> Recorded:
    """One H100 as recorded."""
    return Recorded((RECORDED / "h100x1" / smi.XML).read_text(), {smi.LOG: BOOT})


def eight(name: str = "NVIDIA H100 80GB HBM3", memory: int = 81559, speed: float = 26.562) -> Recorded:
    """Made by hand: the four H100 twice, as one host with eight GPUs of that name."""
    xml = four().xml
    first = xml.index("\t<gpu id=")
    body = xml[first : xml.index("</nvidia_smi_log>")]
    again = re.sub(r"00000000:00:0(\d)\.0", r"00000000:01:0\1.0", body)
    xml = xml[:first] + body + again + "</nvidia_smi_log>\n"
    xml = xml.replace("NVIDIA H100 80GB HBM3", name).replace("<total>81559 MiB", f"<total>{memory} MiB")
    rows = ["\t" + "\t".join(f"GPU{n}" for n in range(8))]
    rows += [f"GPU{n}\t" + "\t".join(" X " if m == n else "NV18" for m in range(8)) for n in range(8)]
    speeds = "".join(_speeds(index, 18, speed) for index in range(8))
    return Recorded(xml, {smi.SPEEDS: speeds, smi.TOPOLOGY: "\n".join(rows) + "\n", smi.LOG: BOOT})


def _speeds(gpu: int, links: int, speed: float = 26.562) -> str:
    lines = [f"GPU {gpu}: NVIDIA H100 80GB HBM3 (UUID: GPU-0)"]
    return "\n".join([*lines, *(f"\t Link {n}: {speed:.3f} GB/s" for n in range(links))]) + "\n"


def in_gpu(index: int, old: str, new: str) -> Change:
    """Replace the one ``old`` in the XML of one GPU."""

    def change(recorded: Recorded) -> Recorded:
        parts = re.split(r"(?=\t<gpu id=)", recorded.xml)
        assert parts[index + 1].count(old) >= 1, f"{old!r} is not there"
        parts[index + 1] = parts[index + 1].replace(old, new, 1)
        return replace(recorded, xml="".join(parts))

    return change


def in_text(name: str, old: str, new: str) -> Change:
    """Replace the first ``old`` in one of the texts."""

    def change(recorded: Recorded) -> Recorded:
        assert old in recorded.texts[name], f"{old!r} is not there"
        return replace(recorded, texts=recorded.texts | {name: recorded.texts[name].replace(old, new, 1)})

    return change


def without_gpu(index: int) -> Change:
    """A GPU that the driver no longer shows."""

    def change(recorded: Recorded) -> Recorded:
        parts = re.split(r"(?=\t<gpu id=)", recorded.xml)
        last = parts[index + 1].endswith("</nvidia_smi_log>\n")
        parts[index + 1] = "</nvidia_smi_log>\n" if last else ""
        texts = {name: text for name, text in recorded.texts.items() if name == smi.LOG}
        return replace(recorded, xml="".join(parts), texts=texts)

    return change


def xid(code: int, bus: str = "0000:00:07", text: str = "pid=4711, name=python") -> Change:
    """An event of the driver in the kernel log, as dmesg shows it."""

    def change(recorded: Recorded) -> Recorded:
        line = f"[ 8431.552034] NVRM: Xid (PCI:{bus}): {code}, {text}\n"
        return replace(recorded, texts=recorded.texts | {smi.LOG: recorded.texts[smi.LOG] + line})

    return change


GOOD = {"memory_copy": 2987.0, "h2d": 55.0, "d2h": 55.0, "bf16": 757.0, "fp8": 1354.0}


def measured(gpus: int = 4, **changes: Any) -> Document:
    """A whole document as a healthy host writes it, with the figures of the recordings' README."""
    facts = four().document if gpus == 4 else eight().document
    names = range(gpus)
    document: Document = {
        "version": 1,
        "level": "standard",
        "complete": True,
        "seconds": 173.4,
        "rounds": 1,
        "environment": {"NCCL_NVLS_ENABLE": "0"},
        "facts": facts,
        "after": copy.deepcopy(facts),
        "gpus": [{"index": n} | {k: {"value": v, "baseline": v} for k, v in GOOD.items()} for n in names],
        "pairs": {
            "bytes": GIB,
            "value": [[None if a == b else 395.0 for a in names] for b in names],
            "baseline": [[None if a == b else 394.0 for a in names] for b in names],
        },
        "collectives": [
            collective("all_reduce", 256 * MIB, gpus, 300.0),
            collective("all_reduce", GIB, gpus, 361.0),
        ],
        "load": [
            {
                "looks": 90,
                "loaded": 80,
                "pcie_generation": 5,
                "pcie_width": 16,
                "reasons": {"sw_power_cap": 60},
            }
            for _ in names
        ],
        "failures": [],
    }
    return document | changes


def collective(operation: str, size: int, gpus: int, bandwidth: float) -> Document:
    """One collective that reaches a bus bandwidth, GB/s, and its baseline with it."""
    seconds = size * figures.FACTORS[operation] * (gpus - 1) / gpus / bandwidth / 1e9
    entry = {"operation": operation, "bytes": size, "gpus": gpus}
    return entry | {"seconds": seconds, "baseline_seconds": seconds}
