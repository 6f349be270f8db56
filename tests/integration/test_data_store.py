"""The object store by the real program: three masters, two volume servers, two filers with their names in
PostgreSQL, two gateways, our identities. Who sees what, the gate, and what a kill of each part does."""

import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from data_postgres import PASSWORDS, Cluster, cluster
from data_store import KEYS, Weed, client, result, setup

from ai_platform import consumers, data_parts
from ai_platform import object_store_objects as render
from ai_platform.data_flows import FILER, MASTER, STORE, VOLUME
from bedplate import evidence
from tests.data_programs import running, wait
from tests.data_samples import settings

COMMAND = "pytest tests/integration/test_data_store.py"
WRITERS, ROUNDS = 16, 25
OK, DENIED = 200, 403


@dataclass(frozen=True)
class Site:
    """A store that is set up, and the database below it."""

    weed: Weed
    database: Cluster

    def ask(
        self,
        method: str,
        who: str,
        path: str,
        body: bytes = b"",
        *,
        gateway: int = 0,
        key: str = "",
        **extra: str,
    ) -> tuple[int, bytes]:
        """Status and body of one request of an identity."""
        named = {name.replace("_", "-"): value for name, value in extra.items()}
        store = client(self.weed.endpoint(gateway), who, key)
        status, text, _ = store.ask(method, path, body=body, extra=named)
        return status, text

    def back(self) -> None:
        """Until both gateways write and read."""
        for gateway in range(2):
            wait(lambda at=gateway: self.ask("PUT", "dify", "/dify/back", b"x", gateway=at)[0] == OK)
            wait(lambda at=gateway: self.ask("GET", "dify", "/dify/back", gateway=at)[0] == OK)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        Path(name).chmod(0o755)
        with cluster(settings(), Path(name) / "pg") as database:
            part = data_parts.program_parts(settings())[FILER]
            text = render.filer_store(part)["data"]["filer.toml"]
            text = text.replace('"postgresql.data.svc"', '"localhost"').replace(
                "5432", str(database.ports[0])
            )
            text = text.replace(f"{render.TLS}/{consumers.AUTHORITY}", str(database.certificate))
            (Path(name) / "weed").mkdir()
            weed = Weed(settings(), Path(name) / "weed", text, PASSWORDS["filer"])
            with running(*weed.all):
                found = Site(weed, database)
                assert set(result(setup(weed.endpoint()))["winners"]) == {1}
                found.back()
                yield found


def proved(id: str, claim: str, value: float, goal: str = "", unit: str = "") -> None:
    evidence.record(
        "lab", f"data.{id}", claim, value, goal=goal, unit=unit, proved_on="program", command=COMMAND
    )


def test_the_job_finds_what_it_made(site: Site) -> None:
    again = result(setup(site.weed.endpoint(1)))
    assert again["buckets"] == dict.fromkeys(consumers.buckets(), "is there")
    rows = int(site.database.ask("SELECT count(*) FROM filemeta", "filer", "filer"))
    assert rows >= len(consumers.buckets()), "names are not in PostgreSQL"


def test_exactly_one_of_many_writers_wins(site: Site) -> None:
    """Through both gateways and both filers at once, where a store without a lock of its own fails."""
    won = []
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):

            def write(writer: int, key: str = f"/milvus/log/{number}") -> int:
                body = str(writer).encode()
                return site.ask("PUT", "milvus", key, body, gateway=writer % 2, if_none_match="*")[0]

            statuses = list(pool.map(write, range(WRITERS)))
            winners = [writer for writer, status in enumerate(statuses) if status == OK]
            kept = site.ask("GET", "milvus", f"/milvus/log/{number}")[1].decode()
            won.append(len(winners))
            assert kept in map(str, winners), (kept, statuses)
    claim = f"Rounds of {ROUNDS} in which not exactly one of {WRITERS} conditional writes at two gateways won"
    proved("s3_gate", claim, sum(count != 1 for count in won), "== 0")
    assert set(won) == {1}


def test_each_identity_sees_its_own_buckets(site: Site) -> None:
    rights = {
        one.name: {g.bucket: g.actions for g in one.grants} for one in consumers.CONSUMERS if one.grants
    }
    for bucket in consumers.buckets():
        writer = next(name for name, may in rights.items() if "Write" in may.get(bucket, ()))
        assert site.ask("PUT", writer, f"/{bucket}/there", b"content")[0] == OK
    refused = 0
    for name, may in rights.items():
        for bucket in consumers.buckets():
            actions = may.get(bucket, ())
            wanted = {
                ("GET", f"/{bucket}/there"): "Read" in actions,
                ("GET", f"/{bucket}"): "List" in actions,
                ("PUT", f"/{bucket}/new-{name}"): "Write" in actions,
            }
            for (method, path), may_it in wanted.items():
                status, text = site.ask(method, name, path, b"x" if method == "PUT" else b"")
                assert (status == OK) is may_it, (name, method, path, status, text[:200])
                assert may_it or status == DENIED, (name, method, path, status)
                refused += not may_it
        assert site.ask("PUT", name, f"/bucket-of-{name}")[0] == DENIED
    proved("s3_refused", "Requests to buckets of others that the object store denies", refused, ">= 100")


@pytest.mark.parametrize(
    ("who", "key"), [("dify", "wrong"), ("dify", "minioadmin"), ("minioadmin", "minioadmin"), ("nobody", "x")]
)
def test_who_is_not_let_in(site: Site, who: str, key: str) -> None:
    assert site.ask("GET", who, "/dify/there", key=key)[0] == DENIED
    assert plain(f"{site.weed.endpoint()}/dify/there") == DENIED


def plain(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """Status of a request that nobody signed."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_filers_and_volume_servers_take_nothing_from_strangers(site: Site) -> None:
    """Network policies keep everybody away from them; who gets there all the same writes nothing."""
    filer, volume = (site.weed.ports[app, 0][0] for app in (FILER, VOLUME))
    assert plain(f"http://127.0.0.1:{filer}/buckets/dify/planted", "POST", b"x") in (401, DENIED)
    assert plain(f"http://127.0.0.1:{filer}/buckets/dify/there", "DELETE") in (401, DENIED)
    assert plain(f"http://127.0.0.1:{volume}/1,0100000000", "POST", b"x") in (401, DENIED)
    assert (
        site.ask("GET", "dify", "/dify/there") == (OK, b"x")
        or site.ask("GET", "dify", "/dify/there")[0] == OK
    )


@pytest.mark.parametrize("app", [STORE, FILER, VOLUME, MASTER])
def test_a_part_that_is_killed_loses_nothing(site: Site, app: str) -> None:
    """Objects that were acknowledged are read again while it is away, or when it is back."""
    written = {f"/dify/{app}-{n}": f"{app}{n}".encode() * 200 for n in range(20)}
    for key, content in written.items():
        assert site.ask("PUT", "dify", key, content)[0] == OK
    begin = time.monotonic()
    site.weed.processes[app, 0].end(signal.SIGKILL)
    other = sum(site.ask("GET", "dify", key, gateway=1) == (OK, content) for key, content in written.items())
    site.weed.processes[app, 0].start()
    site.back()
    seconds = time.monotonic() - begin
    there = sum(site.ask("GET", "dify", key) == (OK, content) for key, content in written.items())
    claim = (
        f"Objects of {len(written)} read while one {app} is killed, of two or three; and all when it is back"
    )
    proved(f"s3_killed_{app.replace('-', '_')}", claim, other, f"== {len(written)}")
    claim = f"Seconds from the kill of one {app} until both gateways write and read"
    proved(f"s3_back_{app.replace('-', '_')}", claim, round(seconds, 1), unit="s")
    assert (other, there) == (len(written), len(written))


def test_a_database_that_is_away_is_waited_for(site: Site) -> None:
    """Filers answer errors, not wrong answers, and go on by themselves."""
    assert site.ask("PUT", "dify", "/dify/before", b"kept")[0] == OK
    site.database.processes[0].end(signal.SIGKILL)
    assert site.ask("PUT", "dify", "/dify/during", b"x")[0] >= 500
    assert site.ask("GET", "dify", "/dify/before")[0] != 404, "what is there is said not to be"
    site.database.processes[0].start()
    site.back()
    assert site.ask("GET", "dify", "/dify/before") == (OK, b"kept")


def test_a_rotated_key_is_the_only_one(site: Site) -> None:
    gateway = site.weed.processes[STORE, 1]
    before = site.weed.identities.read_text()
    site.weed.identities.write_text(render.identities(KEYS | {"dify": "another"}))
    gateway.end()
    gateway.start()
    wait(lambda: site.ask("GET", "dify", "/dify/there", gateway=1, key="another")[0] == OK, 180, gateway)
    assert site.ask("GET", "dify", "/dify/there", gateway=1)[0] == DENIED
    site.weed.identities.write_text(before)
    gateway.end()
    gateway.start()
    site.back()


def test_the_job_says_what_is_wrong(site: Site) -> None:
    wrong = setup(site.weed.endpoint(), key="wrong")
    assert wrong.returncode != 0
    assert "cannot be made: 403" in wrong.stderr
    late = setup("http://127.0.0.1:9", S3_PATIENCE="3")
    assert late.returncode != 0
    assert "no object store after 3 s" in late.stderr
