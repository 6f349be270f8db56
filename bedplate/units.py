"""Sizes as people write them (3.84TB, 512GiB), as bytes, and as Kubernetes quantities."""

import re

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}


def parse_bytes(text: str) -> int:
    """``3.84TB`` as 3840000000000. Raises ValueError on anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", str(text))
    if not match or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a size such as 512GiB or 3.84TB")
    return round(float(match[1]) * _UNITS[match[2]])


def quantity(size: int) -> str:
    """Bytes as a Kubernetes quantity, whole Mi or Gi, rounded up."""
    mebibytes = -(-size // 2**20)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
