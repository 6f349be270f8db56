"""Judges what was read without load: counts, links, memory, events. One cause gives one complaint. Pure."""

import re
from collections.abc import Callable, Iterator
from itertools import combinations

from bedplate.acceptance.complaint import Complaint, Level, place, several
from bedplate.acceptance.observed import Event, Gpu, Host, Link
from bedplate.acceptance.wanted import Wanted

FABRIC_DONE = ("Completed", "Success")
NO_FABRIC = ("", "N/A", "Not Supported")
_NODE = re.compile(r"/dev/nvidia\d+")  # its number is the driver's minor number, not the GPU's index
SPEED_SLACK = 0.02  # of an NVLink's raw speed: branches round differently
_RESET_FABRIC = (
    "stop what uses the GPUs, reset all of them (`nvidia-smi -r`), look at dmesg; RMA if it comes back"
)


def judge(host: Host, wanted: Wanted) -> list[Complaint]:
    """Everything that is wrong, host first, then GPU by GPU."""
    right = [gpu for gpu in host.gpus if not gpu.lost and _is_model(gpu, wanted)]
    found = [*_count(host, wanted), *_lost(host), *_model(host, wanted), *_serials(host, wanted)]
    found += [*_driver(host, wanted), *_libraries(host, wanted), *_containers(host)]
    for gpu in right:
        for rule in _RULES:
            found += rule(gpu, wanted)
    found += _topology(host, wanted, right)
    found += _events(host, wanted)
    return found


def _is_model(gpu: Gpu, wanted: Wanted) -> bool:
    return gpu.name.replace("-", " ") == wanted.product


def _count(host: Host, wanted: Wanted) -> Iterator[Complaint]:
    there = len(host.gpus)
    if there == wanted.count:
        return
    bus = "" if host.on_bus is None else f", {host.on_bus} on the PCI bus"
    if host.on_bus is not None and host.on_bus > there:
        remedy = "the driver leaves GPUs alone that are there: dmesg says why; reset or replace them"
    else:
        remedy = "look for a GPU that is off the bus (dmesg, BMC), or correct hardware_gpus.count"
    missing = _missing(host, wanted)
    named = f" (missing {', '.join(missing)})" if missing and there < wanted.count else ""
    yield Complaint("gpus.count", "host", "number of GPUs", f"{there}{bus}{named}", str(wanted.count), remedy)


def _missing(host: Host, wanted: Wanted) -> list[str]:
    there = {gpu.serial for gpu in host.gpus}
    return [serial for serial in wanted.serials if serial not in there]


def _serials(host: Host, wanted: Wanted) -> Iterator[Complaint]:
    """GPUs that were exchanged; what is only missing is said by their number."""
    for gpu in host.gpus:
        if wanted.serials and gpu.serial and gpu.serial not in wanted.serials:
            expected = " or ".join(_missing(host, wanted)) or "one of hardware_gpus.serials"
            remedy = "it was exchanged: correct hardware_gpus.serials, or find out by whom"
            yield _at(gpu, "gpus.serial", "serial number", gpu.serial, expected, remedy)


def _lost(host: Host) -> Iterator[Complaint]:
    for gpu in host.gpus:
        if gpu.lost:
            remedy = "power the host off and on; reseat the GPU or its board if it comes back"
            yield Complaint("gpus.lost", place(gpu.index), "GPU does not answer", "lost", "answers", remedy)


def _model(host: Host, wanted: Wanted) -> Iterator[Complaint]:
    names: dict[str, list[int]] = {}
    for gpu in host.gpus:
        if not gpu.lost and not _is_model(gpu, wanted):
            names.setdefault(gpu.name, []).append(gpu.index)
    for name, indexes in names.items():
        remedy = "correct hardware_gpus.model, or the machine: it is not the one that was ordered"
        yield Complaint("gpus.model", several(indexes), "GPU model", name, wanted.product, remedy)


def _driver(host: Host, wanted: Wanted) -> Iterator[Complaint]:
    if wanted.driver and host.driver != wanted.driver:
        remedy = "run site.yml, or set version_nvidia_driver to what shall be there"
        yield Complaint("driver.version", "host", "driver that is loaded", host.driver, wanted.driver, remedy)


def _libraries(host: Host, wanted: Wanted) -> Iterator[Complaint]:
    """CUDA and NCCL of the host. Programs in containers bring their own, so this refuses no host."""
    remedy = "run site.yml, or correct version_cuda and version_nccl; containers bring their own"
    lacking = [version for version in wanted.toolkits if version not in (host.toolkits or ())]
    if host.toolkits is not None and lacking:
        value, expected = ", ".join(host.toolkits) or "none", ", ".join(wanted.toolkits)
        yield Complaint("cuda.toolkits", "host", "CUDA toolkits", value, expected, remedy, "warn")
    if host.nccl is not None and wanted.nccl and wanted.nccl not in host.nccl:
        value = ", ".join(host.nccl) or "none"
        yield Complaint("nccl.version", "host", "NCCL", value, wanted.nccl, remedy, "warn")


def _containers(host: Host) -> Iterator[Complaint]:
    """Whether a container that asks for a GPU by CDI gets it: every GPU but those that MIG has cut."""
    if host.cdi is None:
        return
    if host.cdi.error:
        remedy = "run `nvidia-ctk cdi generate` on the host; it needs the driver's library"
        yield Complaint("cdi.error", "host", "GPUs for containers", host.cdi.error, "are found", remedy)
        return
    whole = [gpu.index for gpu in host.gpus if not gpu.lost and not gpu.mig]
    with_node = {name for name, nodes in host.cdi.devices.items() if any(map(_NODE.fullmatch, nodes))}
    absent = [index for index in whole if not {str(index), f"gpu{index}"} & with_node]
    if absent:
        remedy = (
            "make its device node (`nvidia-modprobe -c 0 -u`), then `systemctl restart nvidia-cdi-refresh`"
        )
        value = ", ".join(sorted(host.cdi.devices)) or "none"
        yield Complaint("cdi.devices", several(absent), "GPUs for containers", value, "this one too", remedy)
    old = [i for i in whole if i not in absent and not {str(i), f"gpu{i}"} & set(host.cdi.described)]
    if old:
        value = ", ".join(host.cdi.described) or "none"
        remedy = "run site.yml (role container_runtime), or `systemctl restart nvidia-cdi-refresh`"
        level: Level = "fail" if host.cdi.described else "warn"
        yield Complaint(
            "cdi.described", several(old), "GPUs that CDI describes", value, "this one too", remedy, level
        )


def _memory(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    expected = int(wanted.catalogue["memory_mib"])
    if gpu.memory is not None and gpu.memory != expected:
        remedy = "another variant of the model, or memory that is reserved: compare the VBIOS of all hosts"
        yield _at(gpu, "memory.size", "memory", f"{gpu.memory} MiB", f"{expected} MiB", remedy)


def _pcie(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    lanes, generation = int(wanted.catalogue["pcie"]["lanes"]), int(wanted.catalogue["pcie"]["generation"])
    width = min((w for w in (gpu.width, gpu.width_max) if w is not None), default=lanes)
    if width < lanes:
        remedy = "reseat the GPU or its riser, look for bent pins; check that the slot has all lanes"
        yield _at(gpu, "pcie.width", "PCIe lanes", f"x{width}", f"x{lanes}", remedy)
    if gpu.generation_max is not None and gpu.generation_max < generation:
        remedy = "set the slot to its highest generation in the BIOS; check riser and retimer"
        yield _at(
            gpu,
            "pcie.generation",
            "PCIe generation at most",
            str(gpu.generation_max),
            str(generation),
            remedy,
        )


def _links(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    if not wanted.linked or gpu.links is None:
        return
    active = [link for link in gpu.links if link.active]
    if len(active) != wanted.links:
        down = [str(link.number) for link in gpu.links if not link.active]
        named = f" (link {', '.join(down)} inactive)" if down else ""
        yield _at(
            gpu, "nvlink.links", "active NVLinks", f"{len(active)}{named}", str(wanted.links), _RESET_FABRIC
        )
    yield from _link_speed(gpu, active, int(wanted.catalogue["nvlink"]["speed"]))


def _link_speed(gpu: Gpu, active: list[Link], speed: int) -> Iterator[Complaint]:
    slow = [link for link in active if link.speed and link.speed < speed * (1 - SPEED_SLACK)]
    if slow:
        value = ", ".join(f"link {link.number} {link.speed} MB/s" for link in slow)
        yield _at(gpu, "nvlink.speed", "speed of NVLinks", value, f"{speed} MB/s", _RESET_FABRIC)


def _fabric(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    state, status = gpu.fabric_state, gpu.fabric_status
    if (state, status) == FABRIC_DONE or (state in NO_FABRIC and not wanted.fabric):
        return
    remedy = (
        "start the fabric manager of the driver's very version and read its log; "
        "CUDA fails with error 802 until it has finished"
    )
    value = f"{state or 'none'} ({status or 'no status'})"
    yield _at(gpu, "fabric.state", "NVLink fabric", value, "Completed (Success)", remedy)


def _ecc(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    ecc = gpu.ecc
    if ecc is None:
        return
    if not wanted.ecc(gpu.index):
        if ecc.enabled:
            yield _at(gpu, "ecc.mode", "ECC", "on", "off", "nvidia-smi -e 0, then reset the GPU")
    elif not ecc.enabled:
        remedy = "nvidia-smi -e 1, then reset the GPU"
        yield _at(gpu, "ecc.mode", "ECC", "off", "on", remedy)
    elif not ecc.pending:
        yield _at(
            gpu, "ecc.pending", "ECC after the next reset", "off", "on", "nvidia-smi -e 1", level="warn"
        )
    if ecc.uncorrected:
        remedy = "drain the host and reset the GPU; RMA if errors come back"
        yield _at(gpu, "ecc.uncorrected", "uncorrected memory errors", str(ecc.uncorrected), "0", remedy)
    for kind, count in (("sram", ecc.sram_corrected), ("dram", ecc.dram_corrected)):
        limit = int(wanted.limits[f"{kind}_corrected"])
        if count >= limit:
            remedy = "watch the GPU; RMA if the count grows as fast again after a reset"
            what = f"corrected errors in {kind.upper()}"
            yield _at(gpu, f"ecc.{kind}_corrected", what, str(count), f"less than {limit}", remedy)


def _rows(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    if gpu.rows_failed:
        yield _at(gpu, "rows.failed", "row remapping", "failed", "no failure", "RMA: no spare row is left")
    elif gpu.rows_pending:
        remedy = "drain the host and reset the GPU, so that the spare row takes over"
        yield _at(gpu, "rows.pending", "row remapping", "pending", "none pending", remedy)
    limit = int(wanted.limits["remapped_rows"])
    if gpu.rows_uncorrectable > limit:
        value, remedy = str(gpu.rows_uncorrectable), "RMA: the memory is wearing out"
        yield _at(
            gpu, "rows.count", "rows replaced after uncorrectable errors", value, f"at most {limit}", remedy
        )


def _retired(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    limit = int(wanted.limits["retired_pages"])
    if gpu.retired_pending:
        remedy = "drain the host and reset the GPU, so that the pages are left out"
        yield _at(gpu, "pages.pending", "page retirement", "pending", "none pending", remedy)
    if gpu.retired >= limit:
        value, remedy = str(gpu.retired), "RMA: the memory is wearing out"
        yield _at(gpu, "pages.retired", "retired pages", value, f"less than {limit}", remedy)


def _power(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    limit, row = gpu.power_limit, wanted.catalogue["power"]
    if limit is None:
        return
    low, high = gpu.power_min or row["min"], gpu.power_max or row["max"]
    asked = wanted.power_limit(gpu.index)
    expected = asked or gpu.power_default or float(row["default"])
    if asked and not low <= asked <= high:
        remedy = "write a limit within the board's range into the inventory"
        value, span = f"{asked:.0f} W wanted", f"{low:.0f} to {high:.0f} W"
        yield _at(gpu, "power.wanted", "power limit", value, span, remedy)
    elif not low <= limit <= high:
        remedy = f"nvidia-smi -pl {expected:.0f}; the board's range is {low:.0f} to {high:.0f} W"
        yield _at(gpu, "power.range", "power limit", f"{limit:.0f} W", f"{low:.0f} to {high:.0f} W", remedy)
    elif abs(limit - expected) >= 1:
        remedy = f"nvidia-smi -pl {expected:.0f}, or say the limit in the inventory"
        yield _at(gpu, "power.limit", "power limit", f"{limit:.0f} W", f"{expected:.0f} W", remedy)


def _throttled(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    yield from throttled(place(gpu.index, gpu.bus), gpu.reasons, wanted)


def throttled(where: str, reasons: tuple[str, ...], wanted: Wanted) -> Iterator[Complaint]:
    """Reasons for low clocks that mean trouble; the general one only where it stands alone."""
    bad = [reason for reason in reasons if reason in wanted.limits["reasons"]]
    if len(bad) > 1 and "hw_slowdown" in bad:
        bad.remove("hw_slowdown")
    for reason in bad:
        remedy = (
            "look at power supplies and their cables: the board pulled the brake"
            if "brake" in reason
            else "look at fans, air flow and inlet temperature; reseat the heat sink if one GPU stands out"
        )
        yield Complaint(
            "clocks.slowed", where, "clocks are held down by", reason, "nothing but power cap", remedy
        )


def _state(gpu: Gpu, wanted: Wanted) -> Iterator[Complaint]:
    if gpu.recovery not in ("None", ""):
        remedy = "do what the driver asks for before the GPU is used again"
        yield _at(gpu, "gpu.recovery", "recovery that the driver asks for", gpu.recovery, "None", remedy)
    if gpu.mig:
        remedy = "switch MIG off to measure whole GPUs (nvidia-smi -mig 0), or take it as it is"
        yield _at(gpu, "mig.mode", "MIG", "on", "off while measuring", remedy, level="warn")
    if gpu.persistence is False:
        remedy = "enable nvidia-persistenced: without it the driver forgets its settings"
        yield _at(gpu, "gpu.persistence", "persistence", "off", "on", remedy, level="warn")
    if gpu.processes:
        remedy = "end them, or read the figures with that in mind"
        yield _at(gpu, "gpu.busy", "processes on the GPU", str(gpu.processes), "0", remedy, level="warn")


_RULES: tuple[Callable[[Gpu, Wanted], Iterator[Complaint]], ...] = (
    _memory,
    _pcie,
    _links,
    _fabric,
    _ecc,
    _rows,
    _retired,
    _power,
    _throttled,
    _state,
)


def _topology(host: Host, wanted: Wanted, right: list[Gpu]) -> Iterator[Complaint]:
    """Pairs that are not linked as the others; GPUs whose own links are short have been named already."""
    named = {gpu.index for gpu in right for _ in _links(gpu, wanted)}
    whole = [gpu.index for gpu in right if gpu.index not in named]
    if not wanted.linked or len(host.topology) != len(host.gpus):
        return
    widths = {pair: host.topology[pair[0]][pair[1]] for pair in combinations(whole, 2)}
    most = max((_links_of(word) for word in widths.values()), default=0) or wanted.links
    for (one, other), word in widths.items():
        if _links_of(word) < most:
            where = f"GPU {one} and GPU {other}"
            yield Complaint("nvlink.topology", where, "way between them", word, f"NV{most}", _RESET_FABRIC)


def _links_of(word: str) -> int:
    return int(word[2:]) if word.startswith("NV") and word[2:].isdigit() else 0


def _events(host: Host, wanted: Wanted) -> Iterator[Complaint]:
    if not host.log_read:
        remedy = "let the role run as root: events of the driver are only there"
        yield Complaint("xid.log", "host", "kernel log", "cannot be read", "readable", remedy, "warn")
    groups: dict[tuple[str, str, int], list[Event]] = {}
    for event in host.events:
        groups.setdefault((event.kind, event.bus, event.code), []).append(event)
    for (kind, bus, code), events in groups.items():
        row = wanted.xids.get(code, {}) if kind == "xid" else {"level": "fail", "name": "NVSwitch event"}
        level = str(row.get("level", "warn"))
        if level != "ignore":
            name = f"{kind.upper()} {code}, {row.get('name', 'not in our table')}"
            times = "once" if len(events) == 1 else f"{len(events)} times"
            remedy = str(row.get("remedy", "look it up in NVIDIA's catalogue of XIDs"))
            where = _owner(host, bus) if kind == "xid" else f"NVSwitch {bus}"
            text = f"{times} since boot: {events[-1].text}".rstrip(": ")
            yield Complaint(
                f"{kind}.{code}", where, name, text, "none", remedy, "fail" if level == "fail" else "warn"
            )


def _owner(host: Host, bus: str) -> str:
    """The GPU at a PCI address; the kernel leaves the function out and writes fewer zeros than NVML."""
    for gpu in host.gpus:
        if gpu.bus and gpu.bus.lower().split(".")[0].endswith(bus.lower().split(".")[0]):
            return place(gpu.index, gpu.bus)
    return f"GPU at {bus}"


def _at(  # noqa: PLR0917
    gpu: Gpu, check: str, what: str, value: str, expected: str, remedy: str, *, level: str = "fail"
) -> Complaint:
    return Complaint(
        check, place(gpu.index, gpu.bus), what, value, expected, remedy, "fail" if level == "fail" else "warn"
    )
