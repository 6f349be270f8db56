"""Read a host into ``model.Host``: one process, reads only. The parsing is in ``parse``, the bytes in
``probe``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import config, parse, probe, records
from .layout import LUKS_HEADER
from .model import OWNER, Array, Content, Disk, Holder, Host, Member, Record, Signature, Superblock
from .model import Mapping as Opened

COLUMNS = "NAME,KNAME,TYPE,SIZE,SERIAL,MODEL,ROTA,TRAN,RO,MOUNTPOINTS"
SYS = Path("/sys/class/block")
_WAITING = ("clear", "inactive", "")


@dataclass(frozen=True)
class Places:
    """Where things lie on the host."""

    state: Path = Path("/var/lib/bedplate/storage_tiers")
    keys: Path = Path("/etc/bedplate/storage_tiers")


class ToolFailed(RuntimeError):
    """A program that must work did not; the message holds what it said."""


def run(*argv: str) -> str:
    """Output of a program; a missing program or a failure is an empty text (the callers judge the text)."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, errors="replace")
    except FileNotFoundError:
        return ""
    return done.stdout


def host(mounts: Iterable[str], places: Places) -> Host:
    """The whole host. ``mounts`` are the mount points of the tiers. Raises ToolFailed, ValueError."""
    known = records.read(places.state)
    devices = parse.lsblk(run("lsblk", "-J", "-b", "-o", COLUMNS))
    if not devices:
        raise ToolFailed("lsblk shows no block device; is util-linux 2.37 or newer installed?")
    signatures = _signatures(devices)
    superblocks = {
        name: block
        for name, found in signatures.items()
        if any(s.type == "linux_raid_member" for s in found)
        for block in [parse.superblock(run("mdadm", "--examine", "--export", f"/dev/{name}"))]
        if block
    }
    mounted = _mounts()
    points = {point for _, point in mounted}
    return Host(
        machine_id=_text("/etc/machine-id").strip(),
        disks=tuple(_disk(d, signatures, superblocks) for d in devices if _is_disk(d)),
        arrays=tuple(_arrays(superblocks, known, places)),
        records=known,
        mounts=tuple(mounted),
        keys=frozenset(p.stem for p in places.keys.glob("*.key") if p.stat().st_size),
        filled=frozenset(m for m in mounts if m not in points and _has_entries(Path(m))),
        files={path: _text(path) for path in config.FILES},
        initramfs=_text(places.state / "initramfs").strip(),
    )


def disk(name: str) -> Disk:
    """One disk anew, right before it is touched. Raises ToolFailed when it is gone."""
    devices = parse.lsblk(run("lsblk", "-J", "-b", "-o", COLUMNS, f"/dev/{name}"))
    if not devices:
        raise ToolFailed(f"/dev/{name} is gone")
    signatures = _signatures(devices)
    block = parse.superblock(run("mdadm", "--examine", "--export", f"/dev/{name}"))
    return _disk(devices[0], signatures, {name: block} if block else {})


def signatures_of(name: str) -> list[Signature]:
    """Signatures on one device of any kind."""
    return parse.wipefs(run("wipefs", "-J", f"/dev/{name}")).get(name, [])


def array_device(md_uuid: str) -> str:
    """Kernel name of the assembled array with this UUID; empty where there is none."""
    for folder in SYS.glob("md*"):
        if (
            parse.export(run("mdadm", "--detail", "--export", f"/dev/{folder.name}")).get("MD_UUID")
            == md_uuid
        ):
            return folder.name
    return ""


def _is_disk(device: Mapping[str, Any]) -> bool:
    return device.get("type") == "disk"


def _signatures(devices: Iterable[Mapping[str, Any]]) -> dict[str, list[Signature]]:
    """Signatures of all disks and their partitions, from one process."""
    names = [str(d["kname"]) for d in devices if _is_disk(d)]
    names += [part for d in devices for part in parse.partitions(d)]
    return parse.wipefs(run("wipefs", "-J", *(f"/dev/{n}" for n in names))) if names else {}


def _disk(
    device: Mapping[str, Any], signatures: dict[str, list[Signature]], blocks: dict[str, Superblock]
) -> Disk:
    name, parts = str(device["kname"]), parse.partitions(device)
    points = parse.mount_points(device)
    own = [name, *parts]
    seen = Disk(
        name=name,
        serial=_serial(device),
        size=int(device.get("size") or 0),
        kind=parse.kind(device),
        model=str(device.get("model") or "").strip(),
        system=bool(parse.SYSTEM_POINTS & set(points)),
        read_only=bool(device.get("ro")),
        partitions=parts,
        signatures=tuple(s for n in own for s in signatures.get(n, [])),
        superblock=blocks.get(name),
        holders=tuple(h for n in own for h in _holders(n)),
        mounts=tuple(p for p in points if p != "[SWAP]"),
        swaps=tuple(s for s in _swaps() if s in own),
    )
    if seen.system or any(h.kind == "md" for h in seen.holders):
        return seen
    return _deeper(seen)


def _deeper(seen: Disk) -> Disk:
    """What costs time: asked only of disks that might be chosen."""
    seen = replace(seen, busy=probe.busy(seen.path), claims=tuple(_claims(seen)))
    if seen.signatures or seen.partitions or seen.holders or not seen.kind or not seen.size:
        return seen
    second = parse.export(run("blkid", "-p", "-o", "export", seen.path))
    kind = second.get("TYPE") or second.get("PTTYPE") or second.get("USAGE")
    if kind:
        return replace(seen, signatures=(Signature(seen.path, kind, 0, second.get("UUID", "")),))
    try:
        return replace(seen, stray=probe.stray(seen.path).first)
    except OSError as error:
        return replace(seen, unreadable=os.strerror(error.errno or 0))


def _claims(seen: Disk) -> Iterable[str]:
    if shutil.which("multipath") and seen.kind:
        done = subprocess.run(["multipath", "-c", seen.path], capture_output=True, check=False)
        if done.returncode == 0:
            yield "multipath claims it as one of several paths"


def _serial(device: Mapping[str, Any]) -> str:
    """The serial number without padding: udev's, else what the drive itself says."""
    serial = str(device.get("serial") or "").strip()
    page = Path(f"/sys/class/block/{device['kname']}/device/vpd_pg80")
    if not serial and page.exists():
        serial = page.read_bytes()[4:].decode("ascii", "replace").strip("\0 ")
    return serial


def _holders(name: str) -> list[Holder]:
    found = []
    for folder in sorted((SYS / name / "holders").glob("*")):
        dm = SYS / folder.name / "dm"
        kind = parse.holder_kind(folder.name, _text(dm / "uuid"))
        found.append(Holder(folder.name, kind, _text(dm / "name").strip()))
    return found


def _arrays(blocks: dict[str, Superblock], known: tuple[Record, ...], places: Places) -> Iterable[Array]:
    for folder in sorted(SYS.glob("md*")):
        md = folder / "md"
        if not md.is_dir():
            continue
        members = tuple(
            Member(d.name.replace("dev-", "", 1), _text(d / "state").strip())
            for d in sorted(md.glob("dev-*"))
        )
        block = next((blocks[m.disk] for m in members if m.disk in blocks), None)
        record = next((r for r in known if block and r.md_uuid == block.uuid), None)
        ours = block is not None and (record is not None or f":{OWNER}-" in block.name)
        active = _text(md / "array_state").strip() not in _WAITING
        array = Array(
            device=folder.name,
            uuid=block.uuid if block else "",
            name=block.name if block else "",
            level=parse.level(_text(md / "level")),
            devices=int(_text(md / "raid_disks").split()[0] or 0) if _text(md / "raid_disks").strip() else 0,
            active=active,
            members=members,
            component=int(_text(md / "component_size").strip() or 0) * 1024,
            sync=_text(md / "sync_action").strip() or "idle",
        )
        yield _with_content(array, record, places) if ours and active else array


def _with_content(array: Array, record: Record | None, places: Places) -> Array:
    area = LUKS_HEADER if record and record.luks_uuid and not record.ready else 0
    fs_uuid = record.fs_uuid if record and not record.ready else ""
    content = probe.content(array.path, signatures_of(array.device), "" if area else fs_uuid, area)
    mapping = _mapping(array.device, fs_uuid)  # where no header is left, it may be the only way to the data
    if content.kind == "luks" and content.complete and not mapping:
        tier = array.name.partition(f":{OWNER}-")[2]
        key = places.keys / f"{tier}.key"
        if key.exists():
            content = replace(content, key_fits=_fits(array.path, key))
    return replace(array, content=content, mapping=mapping)


def _mapping(device: str, fs_uuid: str) -> Opened | None:
    for holder in _holders(device):
        luks = parse.luks_uuid(_text(SYS / holder.name / "dm" / "uuid"))
        if luks:
            inner: Content = probe.content(f"/dev/{holder.name}", signatures_of(holder.name), fs_uuid, 0)
            return Opened(holder.name, holder.label, luks, inner)
    return None


def _fits(path: str, key: Path) -> bool:
    argv = ["cryptsetup", "open", "--test-passphrase", "--key-file", str(key), path]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _mounts() -> list[tuple[str, str]]:
    """(kernel name of the source, mount point) for mounts of block devices and of anything else."""
    found = []
    for number, point in parse.mountinfo(_text("/proc/self/mountinfo")):
        link = Path("/sys/dev/block") / number
        found.append((link.resolve().name if link.exists() else number, point))
    return found


def _swaps() -> list[str]:
    return [Path(s).resolve().name for s in parse.swaps(_text("/proc/swaps"))]


def _has_entries(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
