"""`bedplate backup` and `bedplate restore` on this machine, as a person types them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import backup_services as services
from tests.backup_site import BackupSite

pytestmark = pytest.mark.skipif(not services.have("restic", "rclone"), reason="needs restic (make setup)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackupSite]:
    site = BackupSite(tmp_path_factory.mktemp("command") / "site")
    data = site.folder / "data"
    data.mkdir()
    (data / "file").write_text("content")
    site.write([{"name": "data", "kind": "files", "paths": [str(data)]}])
    site.start()
    assert bedplate(site, "backup", "run").returncode == 0
    yield site
    site.stop()


def bedplate(site: BackupSite, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bedplate", *words, "--config", str(site.folder / "backup.json")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_drill_says_what_it_compared(site: BackupSite) -> None:
    done = bedplate(site, "backup", "drill", "files")
    assert done.returncode == 0, done.stderr
    assert "✓ lab-gpu1 data: 2 compared, 7 bytes, all equal" in done.stdout


def test_snapshots_are_one_json_document(site: BackupSite) -> None:
    (told,) = json.loads(bedplate(site, "backup", "list", "--json").stdout)
    assert (told["host"], told["item"], told["ok"]) == ("lab-gpu1", "data", True)


def test_an_item_comes_back_and_nothing_is_written_over(site: BackupSite, tmp_path: Path) -> None:
    done = bedplate(site, "restore", "files", "--into", str(tmp_path / "back"))
    assert done.returncode == 0, done.stderr
    back = tmp_path / "back" / (site.folder / "data/file").relative_to("/")
    assert back.read_text() == "content"
    again = bedplate(site, "restore", "files", "--into", str(tmp_path / "back"))
    assert (again.returncode, "is not empty" in " ".join(again.stderr.split())) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["backup", "drill", "tape"], 3, "nothing here is called tape"),
        (["restore", "data", "--into", "/nowhere/x", "--snapshot", "ffff"], 3, "has no snapshot ffff"),
        (["restore", "data", "--into", "x", "--word", "bucket=b"], 2, "goes with --load"),
        (["backup", "run", "-i", "inventories/lab"], 2, "say whose"),
    ],
)
def test_what_cannot_be_done_is_said(site: BackupSite, words: list[str], code: int, said: str) -> None:
    done = bedplate(site, *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_broken_repository_ends_with_the_verdict_no(site: BackupSite) -> None:
    (pack, *_) = [path for path in site.repositories.rglob("data/*/*") if path.is_file()]
    before = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    done = bedplate(site, "backup", "verify")
    pack.write_bytes(before)
    assert (done.returncode, pack.name in done.stdout) == (1, True), done.stdout + done.stderr
    assert bedplate(site, "backup", "verify").returncode == 0
