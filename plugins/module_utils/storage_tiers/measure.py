"""Run fio on tiers and keep what it says: the rim of ``acceptance``."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import acceptance, layout, observe, records
from .acceptance import Load
from .model import Record
from .observe import SYS, ToolFailed

_FREE_SHARE = 5  # the file takes at most this part of what is free


def tiers(wishes: Sequence[Mapping[str, Any]], mode: str, load: Load, state: Path) -> list[dict[str, Any]]:
    """Measure every tier that is mounted. Raises ToolFailed, ValueError."""
    known = {r.tier: r for r in records.read(state)}
    return [_tier(wish, known[wish["name"]], mode, load) for wish in wishes if wish["name"] in known]


def keep(path: Path, measured: Sequence[Mapping[str, Any]]) -> None:
    """Write the results; tiers that were not measured this time keep theirs."""
    try:
        old = json.loads(path.read_text())["tiers"]
    except (OSError, ValueError, KeyError):
        old = []
    fresh = {t["name"] for t in measured}
    document = {"tiers": [t for t in old if t["name"] not in fresh] + list(measured)}
    records.replace_file(path, json.dumps(document, indent=2) + "\n", 0o644)


def _tier(wish: Mapping[str, Any], record: Record, mode: str, load: Load) -> dict[str, Any]:
    mount, promise = record.mount, wish.get("promise") or {}
    if not os.path.ismount(mount):
        raise ToolFailed(f"tier {record.tier} is not mounted at {mount}")
    array = observe.array_device(record.md_uuid)
    members = sorted(f.name[len("dev-") :] for f in (SYS / array / "md").glob("dev-*"))
    what = acceptance.wanted(promise, str(wish.get("class") or ""))
    space = os.statvfs(mount)
    load = replace(load, size=min(load.size, space.f_bavail * space.f_frsize // _FREE_SHARE))
    with _quiet(SYS / array / "md" / "sync_action"):
        measured = _on_file(mount, what, load)
        raw = (
            _fio(acceptance.raw_jobs([f"/dev/{m}" for m in members], what, load), True)
            if mode == "relative"
            else {}
        )
    capacity = space.f_blocks * space.f_frsize
    if mode == "relative":
        smallest = min(int((SYS / m / "size").read_text()) * 512 for m in members)
        whole = smallest * layout.data_disks(record.level, len(record.serials))
        measures = acceptance.judge_relative(
            promise, measured, raw, (capacity, whole), bool(record.luks_uuid)
        )
    else:
        measures = acceptance.judge(promise, measured, capacity)
    return {
        "name": record.tier,
        "filesystem": record.fs_uuid,
        "mode": mode,
        "encrypted": bool(record.luks_uuid),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": os.uname().release,
        "fio": observe.run("fio", "--version").strip(),
        "load": {"runtime_s": load.runtime, "size_bytes": load.size, "jobs": load.jobs, "depth": load.depth},
        "measures": measures,
        "raw": raw,
    }


def _on_file(mount: str, what: Sequence[str], load: Load) -> dict[str, dict[str, float]]:
    path = Path(mount) / acceptance.FILE
    path.unlink(missing_ok=True)  # of a run that was cut
    try:
        return _fio(acceptance.tier_jobs(mount, what, load), False)
    finally:
        path.unlink(missing_ok=True)


def _fio(jobs: str, readonly: bool) -> dict[str, dict[str, float]]:
    argv = ["fio", "--output-format=json", *(["--readonly"] if readonly else []), "-"]
    try:
        done = subprocess.run(argv, input=jobs, capture_output=True, text=True, check=False, cwd="/")
    except FileNotFoundError as error:
        raise ToolFailed("fio is not installed") from error
    if done.returncode != 0:
        raise ToolFailed(f"fio: {(done.stderr or done.stdout).strip()[-400:]} (exit {done.returncode})")
    return acceptance.figures(done.stdout)


@contextmanager
def _quiet(sync: Path) -> Iterator[None]:
    """Hold a resynchronisation while measuring; it would halve the figures of an array that is new."""
    busy = sync.exists() and sync.read_text().strip() not in ("idle", "frozen")
    if busy:
        sync.write_text("frozen")
    try:
        yield
    finally:
        if busy:
            sync.write_text("idle")  # md goes on by itself with what is left
