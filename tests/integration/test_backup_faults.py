"""What must not hurt a backup: a kill, a flipped byte, a stolen credential, a full disk, a wrong clock."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from backup import plan, work
from backup.files import Files
from backup.kind import Place
from backup.plan import Keep
from backup.problem import BackupError
from backup.restic import Restic, of

from bedplate import evidence, paths
from tests import backup_services as services
from tests.backup_site import CREDENTIAL, HOST, BackupSite

COMMAND = "pytest tests/integration/test_backup_faults.py"
KILLS = 20
PROGRAM = paths.ROLES / "backup" / "files" / "bedplate_backup.py"
MIB = 2**20

pytestmark = pytest.mark.skipif(not services.have("restic", "rclone"), reason="needs restic (make setup)")


def note(name: str, claim: str, value: float, goal: str) -> None:
    evidence.record("lab", f"backup.{name}", claim, value, goal=goal, proved_on="program", command=COMMAND)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BackupSite]:
    site = BackupSite(tmp_path / "site")
    site.start()
    yield site
    site.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixteen files that restic cannot make smaller."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(16):
        (folder / f"{number}").write_bytes(random.Random(number).randbytes(3 * MIB))
    return folder


def config_of(site: BackupSite, data: Path, **more: object) -> plan.Config:
    return plan.parse(site.document([{"name": "data", "kind": "files", "paths": [str(data)]}], **more))


def good_run(config: plan.Config) -> str:
    """The id of the snapshot of a good run."""
    (done,) = work.run(config, say=lambda line: None)
    assert done.ok, done.said
    return done.snapshot


def program(config: Path, *words: str) -> subprocess.Popen[bytes]:
    """The host's program in a process group of its own, which can be killed with restic in it."""
    command = [sys.executable, str(PROGRAM), "--config", str(config), *words]
    env = os.environ | {"PYTHONPATH": str(paths.MODULE_UTILS)}
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def content(config: plan.Config, snapshot: str, into: Path) -> dict[str, bytes]:
    """Every file of a snapshot."""
    work.restore(config, "data", into, snapshot)
    found = {path.name: path.read_bytes() for path in into.rglob("*") if path.is_file()}
    shutil.rmtree(into)
    return found


def test_a_backup_that_is_killed_at_any_point_harms_nothing(
    site: BackupSite, data: Path, tmp_path: Path
) -> None:
    """SIGKILL for the program and restic together, at twenty points of a run, each with new data."""
    config = config_of(site, data)
    slow = {
        "limit_kib": 6000
    }  # most of a run is spent on its way to the server, however busy this machine is
    file = site.write([{"name": "data", "kind": "files", "paths": [str(data)]}], **slow)
    first = good_run(config)
    original = {path.name: path.read_bytes() for path in data.iterdir()}
    whole, killed, ended, broken = 3.0, 0, 0, 0
    while killed < KILLS:
        (data / "0").write_bytes(os.urandom(8 * MIB))
        begin, process = time.monotonic(), program(file, "run")
        with suppress(subprocess.TimeoutExpired):
            process.wait(whole * (killed + 1) / (KILLS + 1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        else:
            whole, ended = min(whole, time.monotonic() - begin), ended + 1
            assert process.returncode == 0 and ended < KILLS, (
                "there is always a point that is left to kill at"
            )
        process.wait()
        of(config).ask("unlock", "--remove-all")
        broken += bool(of(config).check("1/256"))
    last = good_run(config)
    broken += bool(work.verify(config))
    assert content(config, last, tmp_path / "last") == {
        path.name: path.read_bytes() for path in data.iterdir()
    }
    lost = content(config, first, tmp_path / "first") != original
    say = f"Repositories found broken after a backup was killed at {KILLS} points of its work"
    note("killed.broken", say, broken, "== 0")
    note("killed.lost", "Older snapshots that do not come back unchanged afterwards", int(lost), "== 0")
    assert (broken, lost) == (0, False)


def test_one_byte_that_flips_anywhere_is_found(site: BackupSite, data: Path) -> None:
    config = config_of(site, data)
    good_run(config)
    repository, chance = site.repositories / HOST, random.Random(9)
    files = [path for path in sorted(repository.rglob("*")) if path.is_file() and path.parent.name != "locks"]
    packs = [path for path in files if "data" in path.parts]
    others = [path for path in files if path not in packs]
    flipped = found = named = 0
    packs_tried = len(packs[:5])
    assert packs_tried >= 3
    for path in [*packs[:5], *others]:
        before = path.read_bytes()
        damaged = bytearray(before)
        damaged[chance.randrange(len(before))] ^= 1 << chance.randrange(8)
        path.chmod(0o600)
        path.write_bytes(damaged)
        shutil.rmtree(site.folder / "state/cache", ignore_errors=True)
        try:
            broken = work.verify(config)
        except BackupError as error:
            broken = [str(error)]
        flipped, found = flipped + 1, found + bool(broken)
        named += path in packs and any(path.name in line for line in broken)
        path.write_bytes(before)
    assert work.verify(config) == []
    say = f"Flips of one bit in packs, index, snapshot, key and config that were not found, of {flipped}"
    note("flipped.missed", say, flipped - found, "== 0")
    note("flipped.unnamed", "Packs with a flipped bit that verify does not name", packs_tried - named, "== 0")
    assert (flipped - found, packs_tried - named) == (0, 0)


def test_a_damaged_pack_is_mended_by_what_the_host_still_has(site: BackupSite, data: Path) -> None:
    """As the runbook of BackupDamaged says."""
    config = config_of(site, data)
    first, repository = good_run(config), site.repositories / HOST
    pack = max(repository.rglob("data/*/*"), key=lambda path: path.stat().st_size)
    pack.unlink()
    local = Restic({"RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD": "password"}, ("--no-cache",))
    local.ask("rebuild-index")
    (mending,) = work.run(config)  # which says what it stored again
    assert str(data) in mending.said
    good_run(config)
    assert work.verify(config) == []
    content(config, first, site.folder / "first")


def test_a_stolen_credential_can_neither_remove_nor_change(site: BackupSite, data: Path) -> None:
    """Every object of the repository is deleted and overwritten by hand, with the host's own credential."""
    config = config_of(site, data)
    snapshot = good_run(config)
    repository = site.repositories / HOST
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    allowed = 0
    for path in before:
        kind = "config" if path.name == "config" else f"{path.relative_to(repository).parts[0]}/{path.name}"
        for method in ("DELETE", "POST"):
            status = ask(site, method, f"{HOST}/{kind}")
            allowed += status < 400
    allowed += ask(site, "DELETE", f"{HOST}/") < 400
    assert ask(site, "GET", f"somebody-else/data/{'0' * 64}") == 403
    tries = 2 * len(before) + 1
    note("append_only.allowed", f"Of {tries} attempts to remove or overwrite, those allowed", allowed, "== 0")
    assert allowed == 0
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(BackupError, match="neither change nor remove"):
        Restic(of(config).environment, patience=2).ask("forget", snapshot)
    assert [one.id[:8] for one in work.listing(config)] == [snapshot]


def ask(site: BackupSite, method: str, path: str) -> int:
    """The status of a request with the host's credential."""
    token = b64encode(f"{HOST}:{CREDENTIAL}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.port}/{path}",
        method=method,
        data=b"x" if method == "POST" else None,
        headers={"Authorization": f"Basic {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_wrong_password_writes_nothing(site: BackupSite, data: Path) -> None:
    config = config_of(site, data)
    good_run(config)
    before = sorted(site.repositories.rglob("*"))
    (site.folder / "password").write_text("another")
    with pytest.raises(BackupError, match="password does not open"):
        work.run(config)
    assert sorted(site.repositories.rglob("*")) == before
    (site.folder / "password").chmod(0o644)
    with pytest.raises(BackupError, match="can be read by others"):
        work.run(config)


def test_a_repository_that_is_gone_is_not_begun_anew(site: BackupSite, data: Path) -> None:
    """As when the disk of the repositories is not mounted."""
    config = config_of(site, data)
    good_run(config)
    (site.repositories / HOST).rename(site.folder / "aside")
    with pytest.raises(BackupError, match="is gone"):
        work.run(config)
    assert not (site.repositories / HOST / "config").exists()
    (site.folder / "aside").rename(site.repositories / HOST)
    good_run(config)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_target_is_said_and_loses_nothing(tmp_path: Path, data: Path) -> None:
    site = BackupSite(tmp_path / "site")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=72m", "tmpfs", site.repositories], check=True)
    try:
        site.start()
        config = config_of(site, data, patience=3)
        first = good_run(config)
        original = {path.name: path.read_bytes() for path in data.iterdir()}
        for number in range(16):
            (data / f"{number}").write_bytes(os.urandom(3 * MIB))
        (done,) = work.run(config)
        assert not done.ok
        assert "full" in done.said or "server fails" in done.said, done.said
        assert work.verify(config) == []
        assert content(config, first, tmp_path / "first") == original
        subprocess.run(["mount", "-o", "remount,size=200m", site.repositories], check=True)
        good_run(config)
        assert work.verify(config) == []
    finally:
        site.stop()
        subprocess.run(["umount", site.repositories], check=True)


def test_a_clock_that_jumped_writes_nothing_and_removes_nothing(site: BackupSite, data: Path) -> None:
    config = config_of(site, data)
    good_run(config)
    for jump in (timedelta(days=400), timedelta(days=-400), timedelta(minutes=15)):
        with pytest.raises(BackupError, match="the clock says"):
            work.run(config, moment=work.now() + jump)
    # Somebody's clock was wrong all the same: its snapshot pushes out no other.
    future = f"{work.now() + timedelta(days=900):%F %T}"
    of(config).ask("backup", "--host", HOST, "--tag", "data", "--time", future, str(data))
    local = Restic({"RESTIC_REPOSITORY": str(site.repositories / HOST), "RESTIC_PASSWORD": "password"})
    kept = work.keep(local, Keep(daily=1, weekly=1, monthly=1), site.repositories / HOST)
    assert (len(kept.keep), len(kept.remove), len(kept.unclear)) == (1, 0, 1)


def test_runs_do_not_overlap(site: BackupSite, data: Path) -> None:
    file = site.write([{"name": "data", "kind": "files", "paths": [str(data)]}])
    both = [program(file, "run"), program(file, "run")]
    said = [process.communicate()[0].decode() for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 3], said
    assert sum("another run is at work" in text for text in said) == 1
    assert len(work.listing(config_of(site, data))) == 1


def test_retention_removes_by_a_way_of_its_own(site: BackupSite, data: Path, tmp_path: Path) -> None:
    """Forty nights, then retention on the server: what it keeps comes back, what it removed makes room."""
    config = config_of(site, data)
    good_run(config)
    for night in range(1, 5):
        (data / "0").write_bytes(os.urandom(3 * MIB))
        told = f"{work.now() - timedelta(days=10 * night):%F %T}"
        of(config).ask("backup", "--host", HOST, "--tag", "data", "--time", told, str(data))
    repository = site.repositories / HOST
    for file in (repository / "snapshots").iterdir():  # they arrived when they say
        os.utime(file, (time.time(),) * 2)
    local = Restic({"RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD": "password"}, ("--no-cache",))
    lying = work.keep(local, Keep(daily=1, weekly=1, monthly=1), repository)
    assert (len(lying.keep), len(lying.remove), len(lying.unclear)) == (1, 0, 4), "they came today"
    used = sum(path.stat().st_size for path in repository.rglob("*") if path.is_file())
    kept = work.keep(local, Keep(daily=1, weekly=1, monthly=1))
    assert len(kept.remove) >= 3
    freed = used - sum(path.stat().st_size for path in repository.rglob("*") if path.is_file())
    assert freed > 8 * MIB
    assert work.verify(config) == []
    assert work.drill(config)[0].ok
    assert len(work.listing(config)) == len(kept.keep)


def test_a_drill_that_finds_a_difference_says_so(
    site: BackupSite, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(site, data)
    good_run(config)
    compare = Files.compare

    def tampered(self: Files, item: plan.Item, restored: Path, place: Place) -> object:
        target = restored / data.relative_to("/") / "3"
        target.write_bytes(b"not what it was")
        return compare(self, item, restored, place)

    monkeypatch.setattr(Files, "compare", tampered)
    (done,) = work.drill(config)
    assert not done.ok
    assert f"{data}/3: has another content" in done.said
    assert 'drill_ok{item="data",kind="files"} 0' in (site.folder / "backup.prom").read_text()
