"""The scripts and units of a change, as text. Plain shell: what an administrator at the console can read and
run.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

BOOT_UNIT = "bedplate-restore.service"


@dataclass(frozen=True)
class File:
    """One file that the change writes: what it holds before and after (None: it is not there)."""

    path: str
    before: str | None
    after: str | None
    mode: str = "0644"
    mode_before: str = "0644"


@dataclass(frozen=True)
class Step:
    """Commands in order, with what they do in words; ``boot``: also when the old state is put back during
    boot.
    """

    says: str
    commands: tuple[tuple[str, ...], ...]
    boot: bool = False


@dataclass(frozen=True)
class Change:
    """What is tried, and how it is taken back. ``name`` tells its kind: one change of a kind at a time."""

    name: str
    files: tuple[File, ...]
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]


def restore_unit(name: str) -> str:
    """Name of the transient timer and service that take the change back."""
    return f"bedplate-restore-{name}"


def apply_unit(name: str) -> str:
    """Name of the transient timer and service that apply the change apart from the connection."""
    return f"bedplate-apply-{name}"


def apply_script(folder: str, change: Change) -> str:
    """Applies the change; the first step that fails takes everything back."""
    lines = [
        "#!/bin/sh",
        f"# Tries a change of {change.name}. Written by Bedplate; restore.sh takes it back.",
        f"cd {shlex.quote(folder)} || exit 1",
        'failed() { printf "%s\\n" "$1" >failed; exec /bin/sh ./restore.sh failed; }',
    ]
    present = [file.path for file in change.files if file.after is not None]
    gone = [file.path for file in change.files if file.after is None]
    lines += [f"{{ {line}; }} || failed 'write files'" for line in (*_put("new", present), *_remove(gone))]
    for step in change.steps:
        body = " && ".join(shlex.join(command) for command in step.commands)
        lines.append(f"{{ {body}; }} || failed {shlex.quote(step.says)}")
    lines += ["cut -d' ' -f1 /proc/uptime >applied.new && mv applied.new applied"]
    return "\n".join(lines) + "\n"


def restore_script(folder: str, change: Change) -> str:
    """Takes the change back. Argument: timer, boot, failed or host, who asks for it.

    Whoever renames the marker first wins: a change that was confirmed in the same moment stays. Every step is
    tried whatever became of the one before; run again after a power cut, it ends in the same state.
    """
    name = change.name
    lines = [
        "#!/bin/sh",
        f"# Takes a change of {name} back. Written by Bedplate.",
        "# usage: restore.sh timer|boot|failed|host",
        f"cd {shlex.quote(folder)} || exit 1",
        "mv armed restoring 2>/dev/null || [ -e restoring ] || exit 0",
        'case "$1" in timer|host) '
        f"systemctl stop {apply_unit(name)}.timer {apply_unit(name)}.service 2>/dev/null ;; esac",
    ]
    lines += _put("old", [file.path for file in change.files if file.before is not None])
    lines += _remove([file.path for file in change.files if file.before is None])
    for step in change.undo:
        body = "; ".join(f"{shlex.join(command)} 2>/dev/null" for command in step.commands)
        lines.append(body if step.boot else f'[ "$1" = boot ] || {{ {body}; }}')
    lines += [
        'printf \'{"outcome": "restored", "by": "%s", "uptime": %s}\\n\' "$1" '
        "\"$(cut -d' ' -f1 /proc/uptime)\" >outcome",
        "sync",
        "mv restoring restored",
        f'[ "$1" = boot ] || systemctl stop {restore_unit(name)}.timer 2>/dev/null',
        "exit 0",
    ]
    return "\n".join(lines) + "\n"


def boot_unit(state: str) -> str:
    """The unit that takes back, during boot, what was tried and not confirmed before it."""
    scripts = f"{state}/safe_change/*/restore.sh"
    return f"""# Written by Bedplate.
[Unit]
Description=Put back configuration that was tried and not confirmed before this boot
DefaultDependencies=no
RequiresMountsFor={state} /etc
After=local-fs.target
Before=network-pre.target systemd-networkd.service bedplate-firewall.service shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
ConditionPathExistsGlob=|{state}/safe_change/*/armed
ConditionPathExistsGlob=|{state}/safe_change/*/restoring

[Service]
Type=oneshot
TimeoutStartSec=120
ExecStart=/bin/sh -c 'for script in {scripts}; do /bin/sh "$$script" boot; done'

[Install]
WantedBy=sysinit.target
"""


def stored(path: str) -> str:
    """Where a file is kept within ``new`` or ``old``: a folder for each folder, the same name."""
    folder, _, name = path.rpartition("/")
    return f"{folder.strip('/').replace('/', '-')}/{name}"


def _put(part: str, paths: list[str]) -> list[str]:
    """One copy for each folder: a process takes a second on an emulated machine. Modes are those of the
    copies.
    """
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(path.rpartition("/")[0], []).append(f"{part}/{stored(path)}")
    return [
        f"mkdir -p {shlex.quote(folder)} && cp -p {shlex.join(copies)} {shlex.quote(folder + '/')}"
        for folder, copies in folders.items()
    ]


def _remove(paths: list[str]) -> list[str]:
    return [f"rm -f {shlex.join(paths)}"] if paths else []
