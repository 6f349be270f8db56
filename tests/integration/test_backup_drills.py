"""Every kind of item is backed up from its real program, restored and compared; what differs is found."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from backup import plan, work
from backup.kind import MANIFEST, Place, write_manifest
from backup.problem import BackupError

from bedplate import evidence
from tests import backup_services as services
from tests.backup_site import BackupSite

COMMAND = "pytest tests/integration/test_backup_drills.py"
OBJECTS = {"plain": b"a" * 10, "a b/c+d%2F": b"b" * 20, "ü/☃": b"c", "large": b"0123456789" * 300_000}

pytestmark = pytest.mark.skipif(
    not services.have("restic", "rclone"), reason="needs restic and rclone (make setup)"
)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """One that PostgreSQL, which runs as another user, may pass; pytest closes its own to others."""
    with tempfile.TemporaryDirectory(prefix="bedplate-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BackupSite]:
    site = BackupSite(tmp_path / "site")
    site.start()
    yield site
    site.stop()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def back_up(site: BackupSite, item: dict[str, object]) -> tuple[plan.Config, float]:
    """A configuration of one item with a good snapshot, and the seconds that this took."""
    config = plan.parse(site.document([item]))
    time.sleep(0.1)  # the kernel's clock of files ticks every few milliseconds
    (done,) = work.run(config)
    assert done.ok, done.said
    return config, done.seconds


def prove(site: BackupSite, item: dict[str, object], what: str) -> work.Result:
    """Back up, drill, see that the drill left nothing, and record both."""
    config, seconds = back_up(site, item)
    (drilled,) = work.drill(config)
    kind, failed = str(item["kind"]), int(not drilled.ok)
    claim = f"Failed restore drills of {what}: {drilled.said}"
    evidence.record(
        "lab", f"backup.drill.{kind}", claim, failed, goal="== 0", proved_on="program", command=COMMAND
    )
    assert drilled.ok, drilled.said
    assert list((site.folder / "scratch").iterdir()) == []
    claim = f"Minutes of that drill of {drilled.bytes:,} bytes; its backup took {seconds:.1f} s"
    evidence.record(
        "lab",
        f"backup.drill.{kind}.minutes",
        claim,
        round(drilled.seconds / 60, 3),
        unit="min",
        proved_on="program",
        command=COMMAND,
    )
    return drilled


def test_files_come_back_with_owner_and_mode(site: BackupSite, tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "deep/er").mkdir(parents=True)
    for number in range(200):
        (folder / "deep" / f"{number}.conf").write_bytes(f"value {number}\n".encode() * (number + 1))
    (folder / "deep/er/link").symlink_to("../0.conf")
    (folder / "odd name ☃").write_text("")
    (folder / "deep/0.conf").chmod(0o640)
    (folder / "left out").mkdir()
    (folder / "left out/x").write_text("x")
    excluded = [str(folder / "left out")]
    drilled = prove(
        site, {"name": "host", "kind": "files", "paths": [str(folder)], "exclude": excluded}, "files"
    )
    assert drilled.said.startswith("205 compared"), drilled.said


def test_a_database_is_loaded_and_dumped_again(site: BackupSite, tmp_path: Path, stack: ExitStack) -> None:
    server = stack.enter_context(services.postgres(tmp_path / "postgresql"))
    item = services.postgres_item(server)
    prove(site, item, "PostgreSQL, loaded into a server of its own and dumped again")
    config = plan.parse(site.document([item]))
    with pytest.raises(BackupError, match="database dify already"):
        work.restore(config, "postgresql", tmp_path / "first", load={})
    services.sql(server, 'DROP DATABASE dify; DROP DATABASE "odd name\'s"'.replace("; ", ";\n"))
    _, said = work.restore(config, "postgresql", tmp_path / "second", load={})
    assert "3 databases" in said
    assert services.sql(server, "SELECT count(*), max(id) FROM messages", "dify").strip() == "5000|5000"


def test_a_dump_that_is_not_what_was_dumped_is_found(
    site: BackupSite, tmp_path: Path, stack: ExitStack
) -> None:
    server = stack.enter_context(services.postgres(tmp_path / "postgresql", rows=10))
    (item,) = plan.parse(site.document([services.postgres_item(server)])).items
    dumped, kind = tmp_path / "dumped", work.KINDS["postgresql"]
    kind.collect(item, dumped)
    (dumped / "dify.dump").write_bytes((dumped / "dify.dump").read_bytes()[:-500])
    place = Place(tmp_path, work.now())
    assert "dify.dump has another content" in kind.compare(item, dumped, place).differences
    write_manifest(dumped, databases=["dify"])
    with pytest.raises(BackupError, match="pg_restore"):
        kind.compare(item, dumped, place)


@pytest.mark.rehearsal
def test_a_restored_etcd_answers_with_the_same_hash(
    site: BackupSite, tmp_path: Path, stack: ExitStack
) -> None:
    programs = services.tools()
    stack.enter_context(services.on_path(*(programs[name].parent for name in ("etcd", "etcdctl", "etcdutl"))))
    endpoint = stack.enter_context(services.etcd(tmp_path / "etcd"))
    item = {"name": "cluster", "kind": "etcd", "endpoint": endpoint}
    prove(site, item, "etcd, started again from its snapshot")
    services.put(endpoint, range(50))
    config, _ = back_up(site, item)
    assert work.drill(config)[0].ok, "what was written later is in the later snapshot"
    into = tmp_path / "restored"
    work.restore(config, "cluster", into)
    manifest = json.loads((into / MANIFEST).read_text())
    manifest["content"]["hash"] += 1
    (into / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "apart").mkdir()
    told = work.KINDS["etcd"].compare(config.items[0], into, Place(tmp_path / "apart", work.now()))
    assert [text.split()[0] for text in told.differences] == ["hash"]


def test_a_bucket_comes_back_with_its_metadata(site: BackupSite, tmp_path: Path, stack: ExitStack) -> None:
    item = stack.enter_context(services.object_store(tmp_path / "s3"))
    bucket = services.store(item, "files", tmp_path / "s3")
    for number in range(1001):  # more than a page of a listing
        bucket.put(f"many/{number}", str(number).encode(), {"content-type": "text/plain"})
    for key, body in OBJECTS.items():
        bucket.put(key, body, {"content-type": "text/x-odd", "x-amz-meta-owner": "dify"})
    prove(site, item, "a bucket of 1005 objects")
    again = services.store(item, "again", tmp_path / "s3")
    again.make()
    config = plan.parse(site.document([item]))
    owner = {"bucket": "again", "credentials_file": str(tmp_path / "s3/owner")}
    bucket.put("plain", b"written since", {})
    with pytest.raises(BackupError, match="may not do this"):  # the backup's credential only reads
        work.restore(config, item["name"], tmp_path / "first", load={})
    work.restore(config, item["name"], tmp_path / "second", load=owner)
    assert {key for key, _ in again.objects()} == {key for key, _ in bucket.objects()}
    for key, body in OBJECTS.items():
        headers = again.get(key, tmp_path / "object")
        assert (tmp_path / "object").read_bytes() == body
        assert (headers["content-type"], headers["x-amz-meta-owner"]) == ("text/x-odd", "dify")


@pytest.mark.rehearsal
def test_the_newest_snapshot_of_a_folder_leaves_the_host(
    site: BackupSite, tmp_path: Path, stack: ExitStack
) -> None:
    """As role kubernetes_control_plane leaves them."""
    programs = services.tools()
    stack.enter_context(services.on_path(*(programs[name].parent for name in ("etcd", "etcdctl", "etcdutl"))))
    endpoint, folder = stack.enter_context(services.etcd(tmp_path / "etcd", keys=600)), tmp_path / "snapshots"
    folder.mkdir()
    item = {"name": "cluster", "kind": "etcd", "folder": str(folder)}
    config = plan.parse(site.document([item]))
    assert "there is none" in work.run(config)[0].said
    old, new = folder / "etcd-20261101T023000Z.db", folder / "etcd-20261102T023000Z.db"
    services.etcdctl(endpoint, "snapshot", "save", str(old))
    os.utime(old, (0, 0))
    assert f"{old.name} is the newest" in work.run(config)[0].said
    services.put(endpoint, range(500, 600))
    services.etcdctl(endpoint, "snapshot", "save", str(new))
    assert work.run(config)[0].ok
    (drilled,) = work.drill(config)
    assert drilled.ok and drilled.said.startswith("6"), drilled.said
    into = tmp_path / "restored"
    work.restore(config, "cluster", into)
    assert (into / "snapshot.db").read_bytes() == new.read_bytes()
    damaged = bytearray(new.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    new.write_bytes(damaged)
    assert "is damaged" in work.run(config)[0].said


@pytest.mark.rehearsal
def test_a_stack_comes_back_with_every_secret(site: BackupSite, tmp_path: Path, stack: ExitStack) -> None:
    item = stack.enter_context(services.pulumi_stack(tmp_path / "pulumi", services.tools()))
    drilled = prove(site, item, "a Pulumi stack, its state and its secrets")
    assert drilled.said.startswith("25 compared"), drilled.said
    staged = site.folder / "state/stage/platform"
    assert not any(b"hidden1" in path.read_bytes() for path in staged.iterdir())
