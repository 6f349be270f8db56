"""Buckets: the standby fetches what the other site's object store has, and knows how old its copy is."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import BucketCopy, Config


@dataclass(frozen=True)
class Copied:
    """How one bucket fared."""

    name: str
    ok: bool
    said: str


def command(copy: BucketCopy, remotes: str) -> list[str]:
    """rclone, from store to store, whatever they are: by size and hash, which their listings tell. What
    vanished there vanishes here, but not all at once: a site that was emptied by mistake, or by an enemy,
    does not empty the other one."""
    found = ["rclone", "sync", copy.source, copy.target, "--config", remotes, "--fast-list", "--checksum"]
    found += [
        f"--max-delete={copy.most_removed}",
        "--use-json-log",
        "--stats=0",
        "--retries=1",
        "--transfers=8",
    ]
    return [*found, "--contimeout=5s", "--timeout=30s", "--low-level-retries=2"]


def replicate(config: Config) -> list[Copied]:
    """Bring every bucket here; remember when a copy was last whole."""
    known = read(config)
    found = []
    for copy in config.buckets:
        begin = time.time()
        done = subprocess.run(
            command(copy, config.remotes),
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            capture_output=True,
            text=True,
            check=False,
            timeout=24 * 3600,
        )
        ok = done.returncode == 0
        said = "equal" if ok else _last(done.stderr)
        if ok:  # what came in while it was copied is not in it
            known[copy.name] = {"whole": begin, "seconds": round(time.time() - begin, 3)}
        known.setdefault(copy.name, {})["ok"] = int(ok)
        found.append(Copied(copy.name, ok, said))
    config.state.mkdir(parents=True, exist_ok=True)
    partial = _file(config).with_suffix(".partial")
    partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
    partial.replace(_file(config))
    return found


def read(config: Config) -> dict[str, dict[str, Any]]:
    """What is known of each bucket: ``whole`` (when the last whole copy began), ``seconds`` that it took, and
    whether the last one was ``ok``."""
    file = _file(config)
    found: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _file(config: Config) -> Path:
    return config.state / "buckets.json"


def _last(log: str) -> str:
    lines = [_message(line) for line in log.strip().splitlines()]
    return "; ".join(lines[-2:]) or "it failed and said nothing"


def _message(line: str) -> str:
    try:
        document: Mapping[str, Any] = json.loads(line)
    except ValueError:
        return line
    return str(document.get("msg", line)).strip()
