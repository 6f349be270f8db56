"""What NVML says of every GPU, as plain data; whatever a GPU or a driver cannot say is None."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import pynvml as nvml

from . import cdi, kernel_log, libraries, pci

Facts = dict[str, Any]
VERSION = 1  # grows when the meaning of a key changes
MIB = 2**20
REASONS = {
    1: "gpu_idle",
    2: "applications_clocks_setting",
    4: "sw_power_cap",
    8: "hw_slowdown",
    16: "sync_boost",
    32: "sw_thermal_slowdown",
    64: "hw_thermal_slowdown",
    128: "hw_power_brake_slowdown",
    256: "display_clocks_setting",
}
FABRIC_STATES = ("Not Supported", "Not Started", "In Progress", "Completed")
RECOVERY = (
    "None",
    "GPU Reset",
    "Node Reboot",
    "Drain P2P",
    "Drain and Reset",
    "Recover IMEX Domain",
    "Bus Reset",
    "System Reboot",
)
ANCESTORS = {0: "X", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}
ERRORS = {"replay": 161, "recovery": 162, "crc": 163}  # NVML_FI_DEV_NVLINK_ERROR_DL_*
GET_SPEED, RECOVERY_ACTION = 164, 230  # NVML_FI_DEV_NVLINK_GET_SPEED, NVML_FI_DEV_GET_GPU_RECOVERY_ACTION


def ask(function: str, *arguments: Any) -> Any:
    """What NVML answers, or None where this GPU, driver or binding has no answer."""
    try:
        return getattr(nvml, function)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def read() -> Facts:
    """Everything that can be known without putting load on a GPU."""
    handles = {index: ask("nvmlDeviceGetHandleByIndex", index) for index in range(nvml.nvmlDeviceGetCount())}
    cuda = ask("nvmlSystemGetCudaDriverVersion_v2") or 0
    return {
        "version": VERSION,
        "host": platform.node(),
        "kernel": platform.release(),
        "driver": ask("nvmlSystemGetDriverVersion"),
        "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
        "module": pci.kernel_module(),
        "pci": pci.devices(),
        "gpus": [gpu(index, handle) for index, handle in handles.items()],
        "topology": topology([handle for handle in handles.values() if handle]),
        "kernel_log": kernel_log.read(),
        "libraries": libraries.read(),
        "cdi": cdi.read(),
    }


def gpu(index: int, handle: Any) -> Facts:
    """One GPU. A GPU that no longer answers has ``lost`` and nothing else."""
    if handle is None or ask("nvmlDeviceGetName", handle) is None:
        return {"index": index, "lost": True}
    place = ask("nvmlDeviceGetPciInfo", handle)
    memory = ask("nvmlDeviceGetMemoryInfo", handle)
    mig = ask("nvmlDeviceGetMigMode", handle)
    return {
        "index": index,
        "lost": False,
        "name": ask("nvmlDeviceGetName", handle),
        "uuid": ask("nvmlDeviceGetUUID", handle),
        "serial": ask("nvmlDeviceGetSerial", handle),
        "bus": decoded(place.busId) if place else None,
        "device_id": f"{place.pciDeviceId >> 16:04x}" if place else None,
        "vbios": ask("nvmlDeviceGetVbiosVersion", handle),
        "memory_mib": memory.total // MIB if memory else None,
        "pcie": pcie(handle),
        "links": links(handle),
        "fabric": fabric(handle),
        "ecc": ecc(handle),
        "rows": rows(handle),
        "retired": retired(handle),
        "clocks": clocks(handle),
        "power": power(handle),
        "temperature": ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU),
        "reasons": reasons(handle),
        "mig": None if mig is None else bool(mig[0]),
        "persistence": flag(ask("nvmlDeviceGetPersistenceMode", handle)),
        "recovery": recovery(handle),
        "processes": len(ask("nvmlDeviceGetComputeRunningProcesses", handle) or []),
    }


def pcie(handle: Any) -> Facts:
    """Generation and lanes. An idle GPU shows a low current generation: judge it under load."""
    return {
        "generation": ask("nvmlDeviceGetCurrPcieLinkGeneration", handle),
        "generation_max": ask("nvmlDeviceGetMaxPcieLinkGeneration", handle),
        "width": ask("nvmlDeviceGetCurrPcieLinkWidth", handle),
        "width_max": ask("nvmlDeviceGetMaxPcieLinkWidth", handle),
        "replays": ask("nvmlDeviceGetPcieReplayCounter", handle),
    }


def links(handle: Any) -> list[Facts] | None:
    """Every NVLink of the GPU: state, raw speed in MB/s one way, error counters; None where it has none."""
    found = []
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        state = ask("nvmlDeviceGetNvLinkState", handle, link)
        if state is not None:
            fields = field_values(handle, [(GET_SPEED, link), *((code, link) for code in ERRORS.values())])
            errors = dict(zip(ERRORS, fields[1:], strict=True))
            found.append({"link": link, "active": bool(state), "speed_mbps": fields[0], "errors": errors})
    return found or None


def field_values(handle: Any, wanted: list[tuple[int, int]]) -> list[int | None]:
    """Values of NVML fields (field, scope); None for each that is not to be had."""
    answers = ask("nvmlDeviceGetFieldValues", handle, wanted)
    if answers is None:
        return [None] * len(wanted)
    return [None if a.nvmlReturn else number(a.value, a.valueType) for a in answers]


def number(value: Any, kind: int) -> int:
    """The member of NVML's union that its type names."""
    names = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    return int(getattr(value, names[kind]))


def fabric(handle: Any) -> Facts | None:
    """Whether the GPU has joined its NVLink fabric; None where it belongs to none."""
    try:
        info = nvml.c_nvmlGpuFabricInfo_v2_t()
        nvml.nvmlDeviceGetGpuFabricInfoV(handle, ctypes.byref(info))
    except (nvml.NVMLError, AttributeError):
        return None
    if info.state == 0:
        return None
    status = "Success" if info.status == 0 else nvml.nvmlErrorString(info.status)
    if info.state != len(FABRIC_STATES) - 1:
        status = "N/A"
    return {"state": FABRIC_STATES[info.state], "status": status}


def ecc(handle: Any) -> Facts | None:
    """Mode now and after the next boot, and errors since the driver was loaded and of the GPU's life."""
    mode = ask("nvmlDeviceGetEccMode", handle)
    if mode is None:
        return None
    return {
        "enabled": bool(mode[0]),
        "pending": bool(mode[1]),
        "volatile": ecc_errors(handle, nvml.NVML_VOLATILE_ECC),
        "aggregate": ecc_errors(handle, nvml.NVML_AGGREGATE_ECC),
    }


def ecc_errors(handle: Any, counter: int) -> Facts:
    """Corrected errors by place, uncorrected ones in all."""
    corrected, uncorrected = nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    sram, dram = nvml.NVML_MEMORY_LOCATION_SRAM, nvml.NVML_MEMORY_LOCATION_DRAM
    return {
        "sram_corrected": ask("nvmlDeviceGetMemoryErrorCounter", handle, corrected, counter, sram),
        "dram_corrected": ask("nvmlDeviceGetMemoryErrorCounter", handle, corrected, counter, dram),
        "uncorrected": ask("nvmlDeviceGetTotalEccErrors", handle, uncorrected, counter),
    }


def rows(handle: Any) -> Facts | None:
    """Rows of memory that were replaced, and whether one waits for a reset or could not be replaced."""
    found = ask("nvmlDeviceGetRemappedRows", handle)
    if found is None:
        return None
    correctable, uncorrectable, pending, failure = found
    return {
        "correctable": correctable,
        "uncorrectable": uncorrectable,
        "pending": bool(pending),
        "failure": bool(failure),
    }


def retired(handle: Any) -> Facts | None:
    """Pages that GPUs without row remapping (Volta and before) no longer use."""
    single = ask("nvmlDeviceGetRetiredPages", handle, 0)
    double = ask("nvmlDeviceGetRetiredPages", handle, 1)
    if single is None and double is None:
        return None
    pending = ask("nvmlDeviceGetRetiredPagesPendingStatus", handle)
    return {"single": len(single or []), "double": len(double or []), "pending": bool(pending)}


def clocks(handle: Any) -> Facts:
    """MHz now and at most."""
    sm, memory = nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM
    return {
        "sm": ask("nvmlDeviceGetClockInfo", handle, sm),
        "sm_max": ask("nvmlDeviceGetMaxClockInfo", handle, sm),
        "memory": ask("nvmlDeviceGetClockInfo", handle, memory),
        "memory_max": ask("nvmlDeviceGetMaxClockInfo", handle, memory),
    }


def power(handle: Any) -> Facts:
    """Watts: the limit that holds, the board's default and range, and what is drawn."""
    low, high = ask("nvmlDeviceGetPowerManagementLimitConstraints", handle) or (None, None)
    return {
        "limit": watts(ask("nvmlDeviceGetPowerManagementLimit", handle)),
        "default": watts(ask("nvmlDeviceGetPowerManagementDefaultLimit", handle)),
        "min": watts(low),
        "max": watts(high),
        "draw": watts(ask("nvmlDeviceGetPowerUsage", handle)),
    }


def watts(milliwatts: int | None) -> float | None:
    """NVML counts in milliwatts."""
    return None if milliwatts is None else milliwatts / 1000


def reasons(handle: Any) -> list[str]:
    """Why the clocks are not higher, in the words of nvidia-smi."""
    mask = ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
    if mask is None:
        mask = ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return [word for bit, word in REASONS.items() if (mask or 0) & bit]


def recovery(handle: Any) -> str | None:
    """What the driver wants done before the GPU is used again (R565 and later)."""
    value = field_values(handle, [(RECOVERY_ACTION, 0)])[0]
    return None if value is None else RECOVERY[value] if value < len(RECOVERY) else str(value)


def decoded(value: str | bytes) -> str:
    """Text of NVML's structures; not every release of the bindings decodes it."""
    return value.decode() if isinstance(value, bytes) else value


def flag(value: int | None) -> bool | None:
    """NVML's enabled and disabled."""
    return None if value is None else bool(value)


def topology(handles: list[Any]) -> list[list[str]]:
    """How every two GPUs are linked, as ``nvidia-smi topo -m`` says it: NV18, PIX, SYS …"""
    return [[word(one, other) for other in handles] for one in handles]


def word(one: Any, other: Any) -> str:
    """NV and the number of links between two GPUs, else where their PCIe paths meet."""
    if one is other:
        return "X"
    if ask("nvmlDeviceGetP2PStatus", one, other, nvml.NVML_P2P_CAPS_INDEX_NVLINK) == nvml.NVML_P2P_STATUS_OK:
        return f"NV{shared_links(one, other)}"
    level = ask("nvmlDeviceGetTopologyCommonAncestor", one, other)
    return ANCESTORS.get(-1 if level is None else level, "N/A")


def shared_links(one: Any, other: Any) -> int:
    """Active links from ``one`` to ``other``: direct ones, or all of them where they lead to a switch."""
    place = ask("nvmlDeviceGetPciInfo", other)
    active = [n for n in range(nvml.NVML_NVLINK_MAX_LINKS) if ask("nvmlDeviceGetNvLinkState", one, n)]
    remote = [ask("nvmlDeviceGetNvLinkRemotePciInfo", one, link) for link in active]
    direct = [info for info in remote if info and place and info.busId == place.busId]
    return len(direct) or len(active)
