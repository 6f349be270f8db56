"""Texts of the configuration files that we share with others: mdadm.conf, crypttab, fstab, udev rules.

Pure: old text and lines of ours in, new text out. Lines of others are never changed, with one exception:
an ARRAY line that names an array of ours outside our block goes, because two lines for one array stop a boot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from .model import HOMEHOST, OWNER, Record, Tier

MDADM_CONF = "/etc/mdadm/mdadm.conf"  # Debian, Ubuntu
CRYPTTAB = "/etc/crypttab"
FSTAB = "/etc/fstab"
RULES = "/etc/udev/rules.d/90-bedplate-storage-tiers.rules"
FILES = (MDADM_CONF, CRYPTTAB, FSTAB, RULES)
BEGIN = "# BEGIN bedplate storage_tiers (written by Ansible; changes inside are lost)"
END = "# END bedplate storage_tiers"
_BLOCK = re.compile(re.escape(BEGIN) + r"\n.*?" + re.escape(END) + r"\n?", re.DOTALL)


def digest(text: str) -> str:
    """What the initial RAM disk was made with."""
    return hashlib.sha256(text.encode()).hexdigest()


def texts(
    records: Sequence[Record], tiers: Sequence[Tier], before: dict[str, str], keys: str, options: str
) -> dict[str, str]:
    """The files as they must be: ``records`` are the tiers that are ready, ``tiers`` what is wished for.

    ``keys`` is the folder of the key files, ``options`` the mount options.
    """
    uuids = {r.md_uuid for r in records}
    arrays = [_array_line(r) for r in records]
    crypt = [_crypt_line(r, keys) for r in records if r.luks_uuid]
    mounts = [f"UUID={r.fs_uuid} {r.mount} xfs {options} 0 0" for r in records]
    ready = {r.tier for r in records}
    return {
        MDADM_CONF: block(_without_arrays(before.get(MDADM_CONF, ""), uuids), arrays),
        CRYPTTAB: block(before.get(CRYPTTAB, ""), crypt),
        FSTAB: block(before.get(FSTAB, ""), mounts),
        RULES: "".join(f"{line}\n" for t in tiers if t.name in ready for line in _rules(t)),
    }


def block(text: str, lines: Sequence[str]) -> str:
    """``text`` with our block holding ``lines``, where it stood or at the end; without lines no block."""
    ours = "".join(f"{line}\n" for line in (BEGIN, *lines, END)) if lines else ""
    if _BLOCK.search(text):
        return _BLOCK.sub(lambda _: ours, text, count=1)
    if not ours:
        return text
    return text + ("" if not text or text.endswith("\n") else "\n") + ours


def foreign_lines(text: str) -> list[list[str]]:
    """Fields of the lines outside our block, comments left out."""
    rest = _BLOCK.sub("", text)
    return [line.split() for line in rest.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def conflicts(record: Record, files: dict[str, str]) -> list[tuple[str, str]]:
    """(what was found, remedy) for lines of others that want the same mount point or mapping name."""
    found = []
    for fields in foreign_lines(files.get(FSTAB, "")):
        if len(fields) > 1 and fields[1].rstrip("/") == record.mount.rstrip("/"):
            remedy = f"remove the line from {FSTAB}, or choose another mount point"
            found.append((f"{FSTAB} already mounts {fields[0]} at {record.mount}", remedy))
    for fields in foreign_lines(files.get(CRYPTTAB, "")):
        if record.luks_uuid and fields[0] == f"{OWNER}-{record.tier}":
            found.append((f"{CRYPTTAB} already opens {fields[0]}", f"remove the line from {CRYPTTAB}"))
    return found


def _array_line(record: Record) -> str:
    return f"ARRAY /dev/md/{OWNER}-{record.tier} metadata=1.2 UUID={record.md_uuid}"


def _crypt_line(record: Record, keys: str) -> str:
    # The work queues of dm-crypt cost latency on flash; nofail: a tier must never keep a machine from
    # booting. Nothing waits for it, so it may wait itself for disks that come late.
    options = "luks,nofail,x-systemd.device-timeout=10min,no-read-workqueue,no-write-workqueue"
    return f"{OWNER}-{record.tier} UUID={record.luks_uuid} {keys}/{record.tier}.key {options}"


def _without_arrays(text: str, uuids: set[str]) -> str:
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        inside = (inside or line.rstrip() == BEGIN) and line.rstrip() != END
        ours = any(f"UUID={value}".lower() in line.lower() for value in uuids)
        if inside or not (line.lstrip().upper().startswith("ARRAY") and ours):
            kept.append(line)
    return "".join(kept)


def _rules(tier: Tier) -> list[str]:
    """Tuning is lost at every assembly, so udev sets it when the array appears."""
    array = f'ENV{{MD_NAME}}=="{HOMEHOST}:{tier.array_name}"'
    match = f'SUBSYSTEM=="block", KERNEL=="md*", ACTION=="add|change", {array}'
    lines = []
    if tier.read_ahead:
        lines.append(f'{match}, ATTR{{queue/read_ahead_kb}}="{tier.read_ahead // 1024}"')
    if tier.raid in (5, 6):
        # 8192 stripes take 32 MiB of memory for each member; four threads: flash outruns the one of raid5d.
        threads = 0 if tier.kind == "hdd" else 4
        lines.append(f'{match}, ATTR{{md/stripe_cache_size}}="8192", ATTR{{md/group_thread_cnt}}="{threads}"')
    return lines
