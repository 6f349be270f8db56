"""Chroma by the real program, started as the platform renders it: its probe answers, what is nearest is
found, and everything is on the volume."""

import json
import random
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_platform import milvus_objects
from ai_platform.milvus_parts import CHROMA, parts
from ai_platform.reading import read
from bedplate import evidence
from bedplate.ports import free_port
from tests.data_programs import Process, home, running, substitute, wait
from tests.platform_samples import host, inventory

COMMAND = "pytest tests/integration/test_data_chroma.py"
# What the image calls `chroma`, without the client's packages.
PROGRAM = "import sys, chromadb_rust_bindings as own; own.cli(sys.argv)"
BASE = "/api/v2/tenants/default_tenant/databases/default_database/collections"
ROWS, DIMENSIONS, TOP = 1_000, 32, 10
SETTINGS = read(
    inventory({"gpu1": host("h100-sxm5-80gb", storage_tiers=[{"name": "hot"}])}, chroma={"tier": "hot"})
)


class Site:
    """The server, and a client of it."""

    def __init__(self, folder: Path) -> None:
        pod = milvus_objects.chroma(SETTINGS, parts(SETTINGS)[CHROMA])["spec"]["template"]["spec"]
        [made] = pod["containers"]
        self.port, self.probe = free_port(), made["readinessProbe"]["httpGet"]["path"]
        places = {
            f"--port={SETTINGS.ports['chroma']}": f"--port={self.port}",
            "=/data": f"={folder / 'data'}",
        }
        words = substitute(made["args"], places | {"0.0.0.0": "127.0.0.1"})
        env = {one["name"]: one["value"] for one in made["env"] if "value" in one} | {"HOME": str(folder)}
        start = [made["command"][0], *words]
        self.process = Process(
            [home("chroma") / "bin/python", "-c", PROGRAM, *start[1:]], folder / "log", env
        )

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url, headers = f"http://127.0.0.1:{self.port}{path}", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
            return json.load(answer)

    def ready(self) -> bool:
        return "nanosecond heartbeat" in self.ask(self.probe)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("chroma"))
    with running(made.process):
        wait(made.ready, 60, made.process)
        yield made


def test_what_is_nearest_is_found_and_stays_over_a_kill(site: Site) -> None:
    draw = random.Random(7)
    vectors = [[draw.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(ROWS)]
    where = f"{BASE}/{site.ask(BASE, {'name': 'handbook'})['id']}"
    ids = [str(number) for number in range(ROWS)]
    site.ask(f"{where}/add", {"ids": ids, "embeddings": vectors, "documents": ids})
    site.process.end(signal.SIGKILL)
    site.process.start()
    wait(site.ready, 60, site.process)
    queries = [[draw.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(20)]
    answer = site.ask(f"{where}/query", {"query_embeddings": queries, "n_results": TOP})["ids"]
    hits = sum(len(set(nearest(vectors, q)) & set(found)) for q, found in zip(queries, answer, strict=True))
    evidence.record(
        "lab",
        "data.chroma.recall",
        f"recall@{TOP} of Chroma against brute force, {ROWS} rows, after kill -9",
        hits / (TOP * len(queries)),
        goal=">= 0.95",
        proved_on="program",
        command=COMMAND,
    )
    assert hits / (TOP * len(queries)) >= 0.95


def nearest(vectors: list[list[float]], query: list[float]) -> list[str]:
    """By looking at all of them."""

    def far(row: int) -> float:
        return sum((a - b) ** 2 for a, b in zip(vectors[row], query, strict=True))

    return [str(row) for row in sorted(range(len(vectors)), key=far)[:TOP]]


def test_everything_is_on_the_volume(site: Site) -> None:
    home_of_it = Path(site.process.env["HOME"])
    written = {path.relative_to(home_of_it).parts[0] for path in home_of_it.rglob("*") if path.is_file()}
    assert written == {"data", "log"}
