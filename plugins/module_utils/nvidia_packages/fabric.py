"""What a host needs for NVSwitch between its GPUs: fabric manager, NVLink subnet manager. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE, NVSWITCH, NVLSM = "none", "nvswitch", "nvlsm"
_OWN_NAME = 580  # first branch whose fabric manager has no branch in its name


def kind(gpus: Mapping[str, Any], catalogue: Mapping[str, Mapping[str, Any]]) -> str:
    """none, nvswitch or nvlsm. ``gpus`` is hardware_gpus: smaller boards link their GPUs without a switch."""
    row = catalogue.get(gpus.get("model", ""))
    if row is None or gpus.get("count") not in row["fabric_boards"]:
        return NONE
    return str(row["fabric"])


def packages(fabric: str, version: str) -> list[dict[str, str]]:
    """Packages that must be installed together with driver ``version``; the managers end themselves when the
    loaded driver has another one.
    """
    if fabric == NONE:
        return []
    branch = version.partition(".")[0]
    suffix = "" if int(branch) >= _OWN_NAME else f"-{branch}"
    locked = [
        {"name": f"{name}{suffix}", "version": version} for name in ("nvidia-fabricmanager", "libnvidia-nscq")
    ]
    subnet = ("nvlsm", "libibumad3", "infiniband-diags") if fabric == NVLSM else ()
    return [*locked, *({"name": name} for name in subnet)]
