"""What role gpu_acceptance read on a host, as typed records. Pure and tolerant: unknown is None."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """One NVLink: ``speed`` in MB/s one way as ``nvidia-smi nvlink -s`` counts, errors since reset."""

    number: int
    active: bool
    speed: int | None
    errors: int


@dataclass(frozen=True)
class Ecc:
    """ECC mode and counters. Corrected and uncorrected errors count since the driver was loaded."""

    enabled: bool
    pending: bool
    uncorrected: int
    sram_corrected: int
    dram_corrected: int


@dataclass(frozen=True)
class Gpu:
    """One GPU: watts, degrees Celsius, MiB. ``links`` is None where nobody asked or it has none."""

    index: int
    lost: bool
    name: str
    serial: str
    bus: str
    memory: int | None
    generation_max: int | None
    width: int | None
    width_max: int | None
    links: tuple[Link, ...] | None
    fabric_state: str
    fabric_status: str
    ecc: Ecc | None
    rows_uncorrectable: int
    rows_pending: bool
    rows_failed: bool
    retired: int
    retired_pending: bool
    power_limit: float | None
    power_default: float | None
    power_min: float | None
    power_max: float | None
    temperature: int | None
    reasons: tuple[str, ...]
    mig: bool
    persistence: bool | None
    recovery: str
    processes: int


@dataclass(frozen=True)
class Event:
    """An XID (of a GPU) or SXID (of an NVSwitch) in the kernel log; ``time`` is Unix time."""

    kind: str
    bus: str
    code: int
    time: float
    text: str


@dataclass(frozen=True)
class Cdi:
    """GPUs for containers, by name: device nodes as NVIDIA's toolkit finds them, and what the host's files
    describe; ``error`` is why the toolkit finds none."""

    devices: Mapping[str, tuple[str, ...]]
    described: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class Host:
    """Everything that was read on a host without load. ``on_bus`` is what PCI shows, None where nobody
    looked; ``log_read`` says whether the kernel log could be read. ``toolkits`` and ``nccl`` are versions
    that are installed, None where nobody looked; so is ``cdi`` where NVIDIA's toolkit for containers is not
    there."""

    driver: str
    cuda: str
    gpus: tuple[Gpu, ...]
    topology: tuple[tuple[str, ...], ...]
    on_bus: int | None
    events: tuple[Event, ...]
    log_read: bool
    toolkits: tuple[str, ...] | None = None
    nccl: tuple[str, ...] | None = None
    cdi: Cdi | None = None


def host(document: Document) -> Host:
    """The document of ``gpu_acceptance facts``."""
    log = _part(document, "kernel_log")
    pci = document.get("pci")
    libraries = document.get("libraries")
    return Host(
        driver=str(document.get("driver") or ""),
        cuda=str(document.get("cuda") or ""),
        gpus=tuple(gpu(entry) for entry in document.get("gpus") or ()),
        topology=tuple(tuple(map(str, row)) for row in document.get("topology") or ()),
        on_bus=len(pci.get("gpu") or ()) or None if isinstance(pci, Mapping) else None,
        events=tuple(
            Event(
                str(e.get("kind", "xid")),
                str(e["bus"]),
                int(e["code"]),
                float(e["time"]),
                str(e.get("text", "")),
            )
            for e in log.get("xids") or ()
        ),
        log_read=bool(log.get("source")),
        toolkits=None if libraries is None else tuple(libraries["cuda"]),
        nccl=None if libraries is None else tuple(libraries["nccl"]),
        cdi=_cdi(document.get("cdi")),
    )


def _cdi(entry: Document | None) -> Cdi | None:
    if entry is None:
        return None
    devices = {str(name): tuple(nodes) for name, nodes in entry["devices"].items()}
    return Cdi(devices, tuple(entry["described"]), str(entry["error"]))


def gpu(entry: Document) -> Gpu:
    """One GPU of that document."""
    pcie, power, fabric = (_part(entry, key) for key in ("pcie", "power", "fabric"))
    rows, retired = _part(entry, "rows"), _part(entry, "retired")
    links = entry.get("links")
    return Gpu(
        index=int(entry["index"]),
        lost=bool(entry.get("lost")),
        name=str(entry.get("name") or ""),
        serial=str(entry.get("serial") or "").replace("N/A", ""),
        bus=str(entry.get("bus") or ""),
        memory=entry.get("memory_mib"),
        generation_max=pcie.get("generation_max"),
        width=pcie.get("width"),
        width_max=pcie.get("width_max"),
        links=None if links is None else tuple(_link(link) for link in links),
        fabric_state=str(fabric.get("state") or ""),
        fabric_status=str(fabric.get("status") or ""),
        ecc=_ecc(entry.get("ecc")),
        rows_uncorrectable=int(rows.get("uncorrectable") or 0),
        rows_pending=bool(rows.get("pending")),
        rows_failed=bool(rows.get("failure")),
        retired=int(retired.get("single") or 0) + int(retired.get("double") or 0),
        retired_pending=bool(retired.get("pending")),
        power_limit=power.get("limit"),
        power_default=power.get("default"),
        power_min=power.get("min"),
        power_max=power.get("max"),
        temperature=entry.get("temperature"),
        reasons=tuple(entry.get("reasons") or ()),
        mig=bool(entry.get("mig")),
        persistence=entry.get("persistence"),
        recovery=str(entry.get("recovery") or "None"),
        processes=int(entry.get("processes") or 0),
    )


def _link(entry: Document) -> Link:
    errors = _part(entry, "errors")
    return Link(
        number=int(entry["link"]),
        active=bool(entry.get("active")),
        speed=entry.get("speed_mbps"),
        errors=sum(int(count or 0) for count in errors.values()),
    )


def _ecc(entry: Document | None) -> Ecc | None:
    if not entry:
        return None
    volatile = _part(entry, "volatile")
    return Ecc(
        enabled=bool(entry.get("enabled")),
        pending=bool(entry.get("pending")),
        uncorrected=int(volatile.get("uncorrected") or 0),
        sram_corrected=int(volatile.get("sram_corrected") or 0),
        dram_corrected=int(volatile.get("dram_corrected") or 0),
    )


def _part(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}
