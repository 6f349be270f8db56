"""Carry out actions, one function for each kind. Before a disk is written to it is looked at once more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import actions as do
from . import config, observe, probe, records
from .choose import Refusal
from .emptiness import found
from .model import HOMEHOST, Disk
from .observe import Places, ToolFailed

KEY_BYTES = 64
RAID5 = 5
_LABEL = 12  # characters that XFS keeps


class Changed(RuntimeError):
    """Something is not as it was when the plan was made; nothing was done to it."""


def apply(action: do.Action, places: Places) -> None:
    """Carry out one action. Raises ToolFailed with the program's words, or Changed."""
    _HANDLERS[type(action)](action, places)


def tool(*argv: str) -> str:
    """Run a program that must succeed."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError as error:
        raise ToolFailed(f"{argv[0]} is not installed") from error
    if done.returncode != 0:
        raise ToolFailed(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()} (exit {done.returncode})")
    return done.stdout


def settle() -> None:
    """Wait for udev: it assembles, links and probes on its own as soon as a device changes."""
    subprocess.run(["udevadm", "settle", "--timeout=60"], check=False, capture_output=True)


def _again(target: do.Target) -> Disk:
    disk = observe.disk(Path(target.path).name)
    if disk.serial != target.serial:
        raise Changed(f"{target} now has the serial {disk.serial or 'none'}; run again")
    return disk


def _still_empty(target: do.Target) -> None:
    for item in found(_again(target)):
        raise Changed(str(Refusal("", str(target), item.what, item.remedy)))


def _still_ours(target: do.Target, md_uuid: str) -> Disk:
    disk = _again(target)
    if not disk.superblock or disk.superblock.uuid != md_uuid:
        raise Changed(f"{target} no longer carries array {md_uuid}; run again")
    return disk


def _array(md_uuid: str) -> str:
    name = observe.array_device(md_uuid)
    if not name:
        raise Changed(f"array {md_uuid} is not assembled any more; run again")
    return f"/dev/{name}"


def _blank(path: str) -> None:
    """The disks were empty where one looks; what lies in their middle shows only now, as content of the
    array.
    """
    signatures = observe.signatures_of(Path(path).name)
    first = probe.stray(path).first
    if signatures or first is not None:
        what = ", ".join(s.type for s in signatures) or f"bytes at offset {first}"
        raise Changed(
            f"{path} was just made of empty disks and holds {what} of an earlier use; nothing was formatted."
            f" Wipe its disks with playbooks/storage_wipe.yml if that is not needed"
        )


def _remember(action: do.Remember, places: Places) -> None:
    records.write(places.state, action.record)


def _make_key(action: do.MakeKey, places: Places) -> None:
    places.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = places.keys / f"{action.tier}.key"
    if path.exists():
        raise Changed(f"{path} is there already; run again")
    records.replace_file(path, os.urandom(KEY_BYTES), 0o400)


def _stop(action: do.StopArray, places: Places) -> None:
    tool("mdadm", "--stop", action.device)
    settle()


def _clear(action: do.ClearMember, places: Places) -> None:
    _still_ours(action.disk, action.md_uuid)
    tool("mdadm", "--zero-superblock", action.disk.path)
    settle()


def _create(action: do.CreateArray, places: Places) -> None:
    for disk in action.disks:
        _still_empty(disk)
    argv = ["mdadm", "--create", f"/dev/md/{action.name}", "--metadata=1.2", f"--uuid={action.md_uuid}"]
    argv += [f"--name={action.name}", f"--homehost={HOMEHOST}", f"--level={action.level}"]
    argv += [f"--raid-devices={len(action.disks)}"]
    if action.chunk:
        argv.append(f"--chunk={action.chunk // 1024}")
    if action.level:
        # Explicit, because what mdadm does by itself differs between 4.3 and 4.4. Large pieces keep it cheap
        # on flash.
        argv.append("--bitmap=internal")
        argv += ["--bitmap-chunk=128M"] if action.flash else []
    if action.level == RAID5 or len(action.disks) == 1:
        # Without --force RAID 5 begins with a member missing and rebuilt onto, and alarms as degraded for
        # hours;
        # RAID 0 of one disk is refused.
        argv.append("--force")
    # --run answers mdadm's questions; every reason for one was looked for above.
    tool(*argv, "--run", *(d.path for d in action.disks))
    settle()


def _assemble(action: do.AssembleArray, places: Places) -> None:
    for disk in action.disks:
        _still_ours(disk, action.md_uuid)
    if not observe.array_device(action.md_uuid):  # udev may have been faster
        extra = ["--run"] if action.degraded else []
        members = [d.path for d in action.disks]
        tool("mdadm", "--assemble", f"/dev/md/{action.name}", f"--uuid={action.md_uuid}", *extra, *members)
    settle()


def _remove_member(action: do.RemoveMember, places: Places) -> None:
    there = Path(f"/dev/{action.device}").exists()
    tool("mdadm", _array(action.md_uuid), "--remove", f"/dev/{action.device}" if there else "detached")
    settle()


def _add_member(action: do.AddMember, places: Places) -> None:
    array = _array(action.md_uuid)
    if not action.returned:
        _still_empty(action.disk)
        tool("mdadm", array, "--add", action.disk.path)
    else:
        _still_ours(action.disk, action.md_uuid)
        try:
            tool("mdadm", array, "--re-add", action.disk.path)  # copies only what changed meanwhile
        except ToolFailed:
            tool("mdadm", "--zero-superblock", action.disk.path)
            tool("mdadm", array, "--add", action.disk.path)
    settle()


def _format_luks(action: do.FormatLuks, places: Places) -> None:
    array = _array(action.md_uuid)
    if not action.over_own:
        _blank(array)
    # The key is 512 random bits: nothing can be guessed, so a slow key derivation would only slow every boot.
    tool(
        *("cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", f"--uuid={action.luks_uuid}"),
        *("--cipher=aes-xts-plain64", "--key-size=512", "--sector-size=4096", "--luks2-keyslots-size=2m"),
        *(f"--offset={action.offset // 512}", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"),
        *(f"--key-file={places.keys / (action.tier + '.key')}", array),
    )
    _flush(array)


def _open_luks(action: do.OpenLuks, places: Places) -> None:
    if not Path(f"/dev/mapper/{action.name}").exists():
        settle()
        tool(
            *("cryptsetup", "open", "--type=luks2", f"--key-file={places.keys / (action.tier + '.key')}"),
            *("--perf-no_read_workqueue", "--perf-no_write_workqueue"),
            *(f"/dev/disk/by-uuid/{action.luks_uuid}", action.name),
        )
    settle()


def _make_filesystem(action: do.MakeFilesystem, places: Places) -> None:
    path = f"/dev/mapper/{action.mapping}" if action.mapping else _array(action.md_uuid)
    if not action.over_own and not action.mapping:
        _blank(path)
    argv = ["mkfs.xfs", "-q", "-L", action.tier[:_LABEL], "-m", f"uuid={action.fs_uuid}"]
    if action.stripe:
        argv += ["-d", f"su={action.stripe[0]},sw={action.stripe[1]}"]
    tool(*argv, *(["-f"] if action.over_own else []), path)  # without -f mkfs.xfs looks once more itself
    _flush(path)
    settle()


def _write_file(action: do.WriteFile, places: Places) -> None:
    path = Path(action.path)
    if (path.read_text() if path.exists() else "") != action.before:
        raise Changed(f"{path} was changed meanwhile; run again")
    records.replace_file(path, action.after)
    if action.path == config.RULES:
        tool("udevadm", "control", "--reload")
        tool("udevadm", "trigger", "--settle", "--subsystem-match=block", "--sysname-match=md*")
    elif action.path in (config.FSTAB, config.CRYPTTAB):
        tool("systemctl", "daemon-reload")


def _refresh_initramfs(action: do.RefreshInitramfs, places: Places) -> None:
    for argv in (["update-initramfs", "-u"], ["dracut", "--force"]):
        try:
            tool(*argv)
            break
        except ToolFailed as error:
            if "not installed" not in str(error):
                raise
    records.replace_file(places.state / "initramfs", action.digest + "\n", 0o600)


def _mount(action: do.MountTier, places: Places) -> None:
    Path(action.mount).mkdir(parents=True, exist_ok=True)
    settle()
    if not os.path.ismount(action.mount):  # systemd may have been faster
        tool("mount", action.mount)


def _flush(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_HANDLERS: dict[type[do.Action], Callable[[Any, Places], None]] = {
    do.Remember: _remember,
    do.MakeKey: _make_key,
    do.StopArray: _stop,
    do.ClearMember: _clear,
    do.CreateArray: _create,
    do.AssembleArray: _assemble,
    do.RemoveMember: _remove_member,
    do.AddMember: _add_member,
    do.FormatLuks: _format_luks,
    do.OpenLuks: _open_luks,
    do.MakeFilesystem: _make_filesystem,
    do.WriteFile: _write_file,
    do.RefreshInitramfs: _refresh_initramfs,
    do.MountTier: _mount,
}
