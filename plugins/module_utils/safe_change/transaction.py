"""One change on this host: armed, applied, then confirmed or taken back."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .scripts import (
    BOOT_UNIT,
    Change,
    apply_script,
    apply_unit,
    boot_unit,
    restore_script,
    restore_unit,
    stored,
)

Run = Callable[[list[str]], "tuple[int, str, str]"]
UNITS = Path("/etc/systemd/system")
DETACH_SECONDS = 3  # the answer reaches the controller before its connection may end


class Transaction:
    """The change called ``name`` below ``state`` (path_state); ``run`` runs a program: (rc, out, err)."""

    def __init__(self, run: Run, state: str, name: str) -> None:
        self._run, self._state, self._name = run, state, name
        self.folder = Path(state) / "safe_change" / name

    def pending(self) -> dict[str, Any] | None:
        """What was said when the change was armed, while it is neither confirmed nor taken back."""
        for marker in ("armed", "restoring"):
            try:
                said: dict[str, Any] = json.loads((self.folder / marker).read_text())
            except (OSError, ValueError):
                continue
            return said
        return None

    def outcome(self) -> dict[str, Any]:
        """How the last change ended: ``outcome`` confirmed or restored, ``by`` whom, ``seconds`` it took."""
        try:
            said = json.loads((self.folder / "outcome").read_text())
            known: dict[str, Any] = json.loads((self._last_marker()).read_text())
        except (OSError, ValueError):
            return {}
        # After a boot the two clocks have nothing to do with each other.
        seconds = None if said.get("by") == "boot" else round(said["uptime"] - known["uptime"], 1)
        failed = self.folder / "failed"
        step = failed.read_text().strip() if failed.exists() else ""
        return {**said, "id": known["id"], "seconds": seconds, "failed_step": step}

    def applied(self) -> float | None:
        """When the change was through, in seconds since boot; None while it is not."""
        try:
            return float((self.folder / "applied").read_text())
        except (OSError, ValueError):
            return None

    def arm(self, change: Change, said: dict[str, Any], seconds: int) -> None:
        """Keep what is needed to go back, and make the host go back after ``seconds`` or a boot."""
        self._install_boot_unit()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        for file in change.files:
            self._keep("old", file.path, file.before, file.mode_before)
            self._keep("new", file.path, file.after, file.mode)
        (self.folder / "apply.sh").write_text(apply_script(str(self.folder), change))
        (self.folder / "restore.sh").write_text(restore_script(str(self.folder), change))
        marker = {**said, "uptime": uptime(), "rollback_after": seconds}
        (self.folder / "armed.new").write_text(json.dumps(marker))
        self._clear(restore_unit(self._name))
        self._clear(apply_unit(self._name))
        (self.folder / "armed.new").rename(self.folder / "armed")
        os.sync()
        self._later(restore_unit(self._name), seconds, "restore.sh", "timer")

    def apply(self) -> str:
        """Apply now and wait for it. Returns what failed, in which case everything has been taken back."""
        self._run(["/bin/sh", str(self.folder / "apply.sh")])
        failed = self.folder / "failed"
        return failed.read_text().strip() if failed.exists() else ""

    def apply_later(self) -> None:
        """Apply in a moment, apart from this connection."""
        self._later(apply_unit(self._name), DETACH_SECONDS, "apply.sh")

    def confirm(self) -> bool:
        """Keep the change. False when it was taken back in the meantime."""
        try:
            (self.folder / "armed").rename(self.folder / "confirmed")
        except FileNotFoundError:
            return False
        said = {"outcome": "confirmed", "by": "controller", "uptime": uptime()}
        (self.folder / "outcome").write_text(json.dumps(said))
        os.sync()
        self._run(["systemctl", "stop", f"{restore_unit(self._name)}.timer"])
        return True

    def restore(self) -> None:
        """Take the change back now and wait for it."""
        self._run(["/bin/sh", str(self.folder / "restore.sh"), "host"])

    def restore_later(self) -> None:
        """Take the change back in a moment, apart from this connection."""
        self._clear(restore_unit(self._name))
        self._later(restore_unit(self._name), DETACH_SECONDS, "restore.sh", "host")

    def wait(self, seconds: float) -> None:
        """Wait until no change is pending, at most so long."""
        end = time.monotonic() + seconds
        while self.pending() is not None and time.monotonic() < end:
            time.sleep(1)

    def _keep(self, part: str, path: str, text: str | None, mode: str) -> None:
        if text is None:
            return
        copy = self.folder / part / stored(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8", errors="surrogateescape")
        copy.chmod(int(mode, 8))

    def _later(self, unit: str, seconds: int, script: str, *arguments: str) -> None:
        command = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={seconds}"]
        command += ["--timer-property=AccuracySec=100ms", "/bin/sh", str(self.folder / script), *arguments]
        code, _, err = self._run(command)
        if code != 0:
            raise OSError(f"systemd-run cannot start {unit}: {err.strip()}")

    def _clear(self, unit: str) -> None:
        """A unit of the last time that is still loaded would keep its name."""
        self._run(["systemctl", "stop", f"{unit}.timer", f"{unit}.service"])
        self._run(["systemctl", "reset-failed", f"{unit}.timer", f"{unit}.service"])

    def _install_boot_unit(self) -> None:
        path, text = UNITS / BOOT_UNIT, boot_unit(self._state)
        if path.exists() and path.read_text() == text:
            return
        path.write_text(text)
        self._run(["systemctl", "daemon-reload"])
        code, _, err = self._run(["systemctl", "enable", BOOT_UNIT])
        if code != 0:
            raise OSError(f"cannot enable {BOOT_UNIT}: {err.strip()}")

    def _last_marker(self) -> Path:
        names = ("confirmed", "restored", "restoring", "armed")
        return next(
            (self.folder / name for name in names if (self.folder / name).exists()), self.folder / "armed"
        )


def uptime() -> float:
    """Seconds since boot: a clock that nobody sets."""
    return float(Path("/proc/uptime").read_text().split()[0])
