"""Programs from a release archive: what is pinned runs, and nothing else; whatever goes wrong, the old ones
stay."""

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_module import Module
from tests.integration.mirror import Mirror, serving

PROGRAMS = ["bin/one", "bin/two"]


def archive(folder: Path, version: str, members: dict[str, bytes] | None = None) -> tuple[str, str]:
    """An archive in ``folder``; its name and SHA-256. Programs say their version."""
    said = f"#!/bin/sh\necho {version}\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in (members or dict.fromkeys(PROGRAMS, said)).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    file = folder / f"thing-{version}.tar.gz"
    data = gzip.compress(stream.getvalue(), mtime=0)  # the same archive every time
    file.write_bytes(data)
    return file.name, hashlib.sha256(data).hexdigest()


class Host:
    """A host with a folder of releases and one of links."""

    def __init__(self, root: Path) -> None:
        self.root, self.source = root, root / "source"
        self.links = root / "bin"

    def install(self, version: str, *, check: bool = False, **change: Any) -> dict[str, Any]:
        """The module for a version, whose archive is made first unless it is there."""
        name, sha256 = archive(self.source, version, change.pop("members", None))
        words = {"name": "thing", "version": version, "url": f"file://{self.source}/{name}", "sha256": sha256}
        places = {"root": str(self.root / "lib"), "links": str(self.links), "programs": PROGRAMS}
        return Module("release_archive")({**words, **places, **change}, check=check)

    def says(self, program: str = "one") -> str:
        """What the program on the path says."""
        return os.popen(str(self.links / program)).read().strip()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_programs_come_and_stay(host: Host) -> None:
    foreseen = host.install("1.0", check=True)
    assert foreseen["changed"] and not host.links.exists()
    assert host.install("1.0")["plan"] == foreseen["plan"]
    assert (host.says(), host.says("two")) == ("1.0", "1.0")
    assert not host.install("1.0")["changed"] and not host.install("1.0", check=True)["changed"]


def test_an_upgrade_keeps_the_release_before_and_no_more(host: Host) -> None:
    for version in ("1.0", "1.1", "1.2"):
        assert host.install(version)["changed"]
        assert host.says() == version
    kept = sorted(folder.name.split("-")[0] for folder in (host.root / "lib" / "thing").iterdir())
    assert kept == ["1.1", "1.2"]
    assert host.install("1.1")["changed"] and host.says() == "1.1", "back again"


def test_it_comes_from_a_mirror(host: Host) -> None:
    name, _ = archive(host.source, "1.0")
    with serving(Mirror(host.source)) as mirror:
        assert host.install("1.0", url=f"{mirror.url}/{name}")["changed"]
    assert host.says() == "1.0"


WRONG = {
    "another digest": ({"sha256": "0" * 64}, "SHA-256 differs"),
    "no digest": ({"sha256": "latest"}, "is no SHA-256"),
    "no such archive": ({"url": "file:///nowhere/thing.tar.gz"}, "has no thing.tar.gz"),
    "no address": ({"url": "thing.tar.gz"}, "is no source"),
    "a program is missing": ({"members": {"bin/one": b"#!/bin/sh\n"}}, "the archive has no bin/two"),
    "no archive": ({"members": {}}, "the archive has no bin/one, bin/two"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_leaves_the_old_programs(host: Host, name: str) -> None:
    change, words = WRONG[name]
    host.install("1.0")
    change = {**change, "members": {"x": b""}} if name == "no archive" else change
    said = host.install("2.0", **change)
    assert said["failed"] and words in said["msg"], said["msg"]
    assert host.says() == "1.0"
    left = [folder.name.split("-")[0] for folder in (host.root / "lib" / "thing").iterdir()]
    assert left == ["1.0"]


def test_a_program_that_was_touched_comes_anew(host: Host) -> None:
    host.install("1.0")
    (host.links / "one").resolve().write_text("#!/bin/sh\necho somebody else\n")
    said = host.install("1.0")
    assert said["changed"] and "one was touched" in said["plan"][0]
    assert host.says() == "1.0"


def test_somebody_elses_program_is_refused_by_name(host: Host) -> None:
    host.links.mkdir()
    (host.links / "two").write_text("mine")
    said = host.install("1.0")
    assert said["failed"] and "two is somebody else's file" in said["msg"]
    assert (host.links / "two").read_text() == "mine" and not (host.root / "lib").exists()


def test_a_release_is_brought_beside_the_one_that_runs(host: Host) -> None:
    host.install("1.0.0")
    staged = host.install("2.0.0", stage=True)
    assert staged["changed"] and host.says() == "1.0.0"
    assert os.popen(f"{staged['folder']}/one").read().strip() == "2.0.0"
    assert not host.install("2.0.0", stage=True)["changed"]
    host.install("2.0.0")
    assert host.says() == "2.0.0"


def test_another_version_is_refused_while_a_mark_is_there(host: Host) -> None:
    mark = host.root / "done"
    held = {"mark": str(mark), "why": "the other playbook does that"}
    assert host.install("1.0.0", held=held)["changed"]
    mark.touch()
    assert not host.install("1.0.0", held=held)["changed"]
    refused = host.install("2.0.0", held=held)
    assert refused["failed"] and "version 1.0.0 runs here, not 2.0.0: the other playbook" in refused["msg"]
    assert host.says() == "1.0.0"
