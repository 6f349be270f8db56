"""A stand-in for nvidia-ml-py: H200s as one host showed them on 2026-11-23, and nothing else.

Put its folder first on PYTHONPATH; FAKE_GPUS says how many there are. What it does not have is what the
driver refuses.
"""

import ctypes
import os
from types import SimpleNamespace

COUNT, LINKS = int(os.environ.get("FAKE_GPUS", "2")), 18
NVML_NVLINK_MAX_LINKS = 36
NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM = 0, 1, 2
NVML_P2P_CAPS_INDEX_NVLINK, NVML_P2P_STATUS_OK = 2, 0
NVML_VOLATILE_ECC, NVML_AGGREGATE_ECC = 0, 1
NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 0, 1
NVML_MEMORY_LOCATION_SRAM, NVML_MEMORY_LOCATION_DRAM = 7, 2
_GET_SPEED = 164


class NVMLError(Exception):
    """What the bindings raise."""


class c_nvmlGpuFabricInfo_v2_t(ctypes.Structure):
    """Fabric state of one GPU."""

    _fields_ = (("state", ctypes.c_uint), ("status", ctypes.c_uint))


def nvmlInit() -> None: ...


def nvmlShutdown() -> None: ...


def nvmlDeviceGetCount() -> int:
    return COUNT


def nvmlDeviceGetHandleByIndex(index: int) -> SimpleNamespace:
    return SimpleNamespace(index=index)


def nvmlDeviceGetName(_) -> str:
    return "NVIDIA H200"


def nvmlDeviceGetUUID(handle) -> str:
    return f"GPU-3f0a9d5c-1111-4222-8333-00000000000{handle.index}"


def nvmlDeviceGetSerial(handle) -> str:
    return f"165432100000{handle.index}"


def nvmlDeviceGetPciInfo(handle) -> SimpleNamespace:
    return SimpleNamespace(busId=f"00000000:00:0{handle.index + 6}.0".encode(), pciDeviceId=0x233510DE)


def nvmlDeviceGetMemoryInfo(_) -> SimpleNamespace:
    return SimpleNamespace(total=143771 * 2**20)


def nvmlSystemGetDriverVersion() -> str:
    return "580.159.04"


def nvmlSystemGetCudaDriverVersion_v2() -> int:
    return 13000


def nvmlDeviceGetCurrPcieLinkGeneration(_) -> int:
    return 5


nvmlDeviceGetMaxPcieLinkGeneration = nvmlDeviceGetCurrPcieLinkGeneration


def nvmlDeviceGetCurrPcieLinkWidth(_) -> int:
    return 16


nvmlDeviceGetMaxPcieLinkWidth = nvmlDeviceGetCurrPcieLinkWidth


def nvmlDeviceGetNvLinkState(_, link: int) -> int:
    if link >= LINKS:
        raise NVMLError("Invalid Argument")
    return 1


def nvmlDeviceGetFieldValues(_, wanted) -> list[SimpleNamespace]:
    known = {_GET_SPEED: 26562, 230: 0, 161: 0, 162: 0, 163: 0}
    return [
        SimpleNamespace(
            nvmlReturn=0 if field in known else 3,
            valueType=3,
            value=SimpleNamespace(ullVal=known.get(field, 0)),
        )
        for field, _scope in wanted
    ]


def nvmlDeviceGetGpuFabricInfoV(_, info) -> None:
    info._obj.state, info._obj.status = 3, 0


def nvmlDeviceGetEccMode(_) -> list[int]:
    return [1, 1]


def nvmlDeviceGetTotalEccErrors(*_) -> int:
    return 0


def nvmlDeviceGetMemoryErrorCounter(*_) -> int:
    return 0


def nvmlDeviceGetRemappedRows(_) -> tuple[int, ...]:
    return (0, 0, 0, 0)


def nvmlDeviceGetClockInfo(_, kind: int) -> int:
    return {NVML_CLOCK_SM: 1980, NVML_CLOCK_MEM: 3201}[kind]


nvmlDeviceGetMaxClockInfo = nvmlDeviceGetClockInfo


def nvmlDeviceGetPowerManagementLimit(_) -> int:
    return 700000


nvmlDeviceGetPowerManagementDefaultLimit = nvmlDeviceGetPowerManagementLimit


def nvmlDeviceGetPowerManagementLimitConstraints(_) -> list[int]:
    return [200000, 700000]


def nvmlDeviceGetPowerUsage(_) -> int:
    return 121340


def nvmlDeviceGetTemperature(*_) -> int:
    return 38


def nvmlDeviceGetCurrentClocksEventReasons(_) -> int:
    return 1


def nvmlDeviceGetMigMode(_) -> list[int]:
    return [0, 0]


def nvmlDeviceGetPersistenceMode(_) -> int:
    return 1


def nvmlDeviceGetComputeRunningProcesses(_) -> list[object]:
    return []


def nvmlDeviceGetUtilizationRates(_) -> SimpleNamespace:
    return SimpleNamespace(gpu=100)


def nvmlDeviceGetP2PStatus(*_) -> int:
    return NVML_P2P_STATUS_OK


def nvmlDeviceGetNvLinkRemotePciInfo(*_) -> SimpleNamespace:
    return SimpleNamespace(busId=b"00000000:00:00.0")  # a switch, which the guest does not see
