"""LUKS headers: which have changed since the controller got a backup, and the bytes of one.

A header is what a key file or passphrase needs to reach the data; without it the data is gone, and it lies in
the first mebibytes of an array where any stray write can reach it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import observe, parse, records
from .layout import MIB
from .model import Host, Record
from .observe import Places


def due(host: Host, places: Places) -> list[dict[str, Any]]:
    """Encrypted tiers whose header is not the one that was backed up."""
    found = []
    for record in host.records:
        array = host.array(record.md_uuid)
        if record.ready and record.luks_uuid and array and array.content.kind == "luks":
            digest = hashlib.sha256(_read(array.path)).hexdigest()
            if digest != record.header:
                found.append({"tier": record.tier, "luks_uuid": record.luks_uuid, "digest": digest})
    return found


def backup(tier: str, places: Places) -> bytes:
    """The header of ``tier``, in the form that ``cryptsetup luksHeaderRestore`` takes. Raises ValueError."""
    name = observe.array_device(_record(tier, places).md_uuid)
    if not name:
        raise ValueError(f"the array of tier {tier} is not assembled")
    return _read(f"/dev/{name}")


def done(tier: str, digest: str, places: Places) -> None:
    """Remember that the controller holds the header with this digest."""
    records.write(places.state, replace(_record(tier, places), header=digest))


def _record(tier: str, places: Places) -> Record:
    for record in records.read(places.state):
        if record.tier == tier and record.luks_uuid:
            return record
    raise ValueError(f"there is no encrypted tier {tier} on this host")


def _read(path: str) -> bytes:
    with Path(path).open("rb") as device:
        size = parse.luks_area(device.read(4 * MIB))  # the JSON area is never larger
        device.seek(0)
        return device.read(size)
