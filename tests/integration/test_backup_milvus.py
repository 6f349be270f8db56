"""Milvus' collections are backed up from a real server, drilled, lost, and made again as they were."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate import evidence, paths
from tests import backup_services as services
from tests.backup_site import BackupSite
from tests.integration.milvus_server import SECRETS, Milvus, python, running

PROGRAM = paths.ROLES / "backup/files/bedplate_backup.py"
CLIENT = Path(__file__).with_name("backup_milvus.py")
COMMAND = "pytest -m long tests/integration/test_backup_milvus.py"

pytestmark = pytest.mark.skipif(
    not services.have("restic", "rclone"), reason="needs restic and rclone (make setup)"
)


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    with running(tmp_path_factory.mktemp("milvus")) as found:
        ask(found, "make", "given")
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BackupSite]:
    site = BackupSite(tmp_path / "site")
    site.start()
    yield site
    site.stop()


def ask(milvus: Milvus, what: str, *more: object) -> dict[str, Any]:
    done = python([CLIENT, what, milvus.address, "backup", SECRETS["backup"], *more], {})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def item(milvus: Milvus, **more: Any) -> dict[str, Any]:
    return {"name": "milvus", "kind": "milvus", "address": milvus.address, **more}


def work(site: BackupSite, one: dict[str, Any], *words: object) -> subprocess.CompletedProcess[str]:
    """The program of the CronJob, with what its image and its environment have."""
    config = site.write([one])
    return python([PROGRAM, "--config", config, "--json", *words], environment())


def environment(secret: str = "") -> dict[str, str]:
    return {"PYTHONPATH": str(paths.MODULE_UTILS), "MILVUS_PASSWORD": secret or SECRETS["backup"]}


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    (found,) = json.loads(done.stdout)
    assert done.returncode == 0, found
    return found


def test_a_drill_finds_what_is_equal_and_what_is_not(milvus: Milvus, site: BackupSite) -> None:
    ours = item(milvus, databases=["dify"])
    first, second = (told(work(site, ours, "run")) for _ in range(2))
    assert second["added"] < first["added"] / 10, (first, second)
    assert told(work(site, ours, "drill"))["said"].startswith("300 compared")
    assert told(work(site, ours | {"drill_rows": 100}, "drill"))["said"].startswith("100 compared")
    program = f"""
import json
from pathlib import Path
from backup import milvus, plan
from backup.kind import Place
from backup.milvus_server import Server
site = Path({str(site.folder)!r})
(one,) = plan.parse(json.loads((site / "backup.json").read_text())).items
insert = Server.insert
Server.insert = lambda self, found, lines, name="": insert(self, found, list(lines)[:-1], name)
print(*milvus.Milvus().compare(one, site / "state/stage/milvus", Place(site, None)).differences)
"""
    done = python(["-c", program], environment())
    assert "dify/given: 99 rows of 100 came back, or others" in done.stdout, done.stdout + done.stderr
    assert ask(milvus, "content")["databases"] == ["default", "dify", "knowledge"]


@pytest.mark.long
def test_collections_come_back_after_they_were_lost(milvus: Milvus, site: BackupSite, tmp_path: Path) -> None:
    ask(milvus, "make", "everything", "parts", "resting")
    before = ask(milvus, "content")
    kept, drilled = told(work(site, item(milvus), "run")), told(work(site, item(milvus), "drill"))
    rows = sum(len(found["rows"]) for found in before.values() if isinstance(found, dict))
    assert drilled["said"].startswith(f"{rows} compared"), drilled
    claim = f"Failed restore drills of Milvus 2.3.5, four collections: {drilled['said']}"
    evidence.record("lab", "backup.drill.milvus", claim, 0, goal="== 0", proved_on="program", command=COMMAND)
    claim = f"Minutes of that drill; its backup of {kept['bytes']:,} bytes took {kept['seconds']:.1f} s"
    minutes = round(drilled["seconds"] / 60, 3)
    evidence.record(
        "lab",
        "backup.drill.milvus.minutes",
        claim,
        minutes,
        unit="min",
        proved_on="program",
        command=COMMAND,
    )
    assert ask(milvus, "content") == before, "a drill leaves nothing behind, and what rested still does"

    there = work(site, item(milvus), "restore", "milvus", "--into", tmp_path / "first", "--load")
    assert "is a collection" in json.loads(there.stdout)[0]["said"]
    ask(milvus, "drop")
    assert ask(milvus, "content")["everything"] is None
    said = told(work(site, item(milvus), "restore", "milvus", "--into", tmp_path / "second", "--load"))[
        "said"
    ]
    assert f"4 collections were made, with {rows} rows" in said
    assert ask(milvus, "content") == before


@pytest.mark.long  # the client tries for a minute what fails
@pytest.mark.parametrize(
    ("more", "secret", "said"),
    [
        ({}, "wrong", "Milvus"),
        ({"databases": ["nowhere"]}, "", "nowhere"),
    ],
)
def test_what_cannot_be_read_is_said(
    milvus: Milvus, site: BackupSite, more: dict[str, Any], secret: str, said: str
) -> None:
    config = site.write([item(milvus, **more)])
    done = python([PROGRAM, "--config", config, "--json", "run"], environment(secret))
    (found,) = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (1, False)
    assert said in found["said"], found
