"""Documents into a real Milvus, through the real gateway and a small model: whole, in step, the same however
often killed."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_platform.milvus_config import KNOWLEDGE
from bedplate import evidence, paths
from bedplate.api.envoy import Upstream
from bedplate.api.identity import digest
from bedplate.api.lab import Lab
from bedplate.api.lab import running as gateway
from bedplate.ports import free_port
from tests.api_site import LIMITS, UPSTREAM_KEY
from tests.data_programs import Process, home, wait
from tests.integration.milvus_proofs import ask
from tests.integration.milvus_server import PROGRAMS, SECRETS, Milvus, python

HERE = Path(__file__).parent
KEY, MODEL, DIMENSIONS = "key-of-the-sync", "all-minilm-l6-v2", 384
KILLS = 10
POLICY = {
    "models": {
        MODEL: {
            "kind": "vllm",
            "context": 512,
            "backends": [{"name": "embedder", "weight": 100, "canary": False}],
        }
    },
    "roles": {"programs": {"models": [MODEL], "limits": LIMITS}},
    "consumers": {KNOWLEDGE: {"role": "programs"}},
    "groups": {},
}
TEXTS = {
    "holidays.txt": "Every employee has thirty days of paid leave. Leave is asked for two weeks ahead.",
    "network/vpn.md": "# Remote access\n\nThe VPN is reached with a certificate of the company.\n\n" * 12,
    "canteen.html": "<html><script>hidden()</script><p>The canteen opens at noon and serves soup.</p></html>",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a gateway that lets the sync use the model, and knows the model's own key."""
    folder, port = tmp_path_factory.mktemp("model"), free_port()
    command = [home("milvus") / "bin/python", HERE / "embedder.py", port, UPSTREAM_KEY]
    process = Process(list(map(str, command)), folder / "log").start()
    upstreams = (Upstream("embedder", "127.0.0.1", port, "MODEL_KEY"),)
    known = [{"id": "knowledge-1", "consumer": KNOWLEDGE, "sha256": digest(KEY)}]
    lab = Lab(folder / "api", POLICY, known, upstreams, environment={"MODEL_KEY": UPSTREAM_KEY})
    try:
        wait(lambda: connects(port), 60, process)
        with gateway(lab):
            yield lab.replicas[0].port
    finally:
        process.end()


def connects(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def folder(at: Path) -> Path:
    for name, text in TEXTS.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(text)
    (at / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing after it")
    return at


def environment(milvus: Milvus, port: int, source: Path, collection: str, key: str = KEY) -> dict[str, str]:
    orders = {
        "source": {"folder": str(source)},
        "embedding": {"url": f"http://127.0.0.1:{port}/v1", "model": MODEL, "dimensions": DIMENSIONS},
        "milvus": {"uri": milvus.address, "user": KNOWLEDGE, "database": KNOWLEDGE},
        "collection": collection,
        "chunk": 200,
        "overlap": 20,
    }
    env = {"ORDERS": json.dumps(orders), "EMBEDDING_KEY": key, "MILVUS_PASSWORD": SECRETS[KNOWLEDGE]}
    return env | {"PYTHONPATH": f"{PROGRAMS}:{paths.MODULE_UTILS}"}


def sync(*args: Any, key: str = KEY) -> dict[str, Any]:
    done = python(["-m", "knowledge"], environment(*args, key=key))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def rows(milvus: Milvus, collection: str) -> list[dict[str, Any]]:
    answer = ask(milvus, KNOWLEDGE, "rows", collection)
    assert "rows" in answer, answer
    return list(answer["rows"])


def test_documents_are_in_step_and_a_second_run_does_nothing(
    milvus: Milvus, model: int, tmp_path: Path
) -> None:
    source = folder(tmp_path / "documents")
    first = sync(milvus, model, source, "steps")
    assert first["written"] == 3 and list(first["unreadable"]) == ["broken.pdf"]
    again = sync(milvus, model, source, "steps")
    assert (again["written"], again["deleted"], again["kept"]) == (0, 0, 3)
    (source / "holidays.txt").write_text("Every employee has forty days of paid leave.")
    (source / "canteen.html").unlink()
    last = sync(milvus, model, source, "steps")
    assert (last["written"], last["deleted"], last["kept"]) == (1, 1, 1)
    there = rows(milvus, "steps")
    assert {one["document"] for one in there} == {"holidays.txt", "network/vpn.md"}
    assert [one["text"] for one in there if one["document"] == "holidays.txt"] == [
        "Every employee has forty days of paid leave."
    ]


def test_what_has_become_unreadable_is_reported_and_keeps_what_was_read(
    milvus: Milvus, model: int, tmp_path: Path
) -> None:
    source = folder(tmp_path / "documents")
    sync(milvus, model, source, "unreadable")
    (source / "holidays.txt").write_bytes(b"\xff\xfe\xfa")
    found = sync(milvus, model, source, "unreadable")
    assert set(found["unreadable"]) == {"broken.pdf", "holidays.txt"}
    assert "holidays.txt" in {one["document"] for one in rows(milvus, "unreadable")}


def test_a_wrong_key_and_a_folder_that_is_away_change_nothing(
    milvus: Milvus, model: int, tmp_path: Path
) -> None:
    source = folder(tmp_path / "documents")
    sync(milvus, model, source, "away")
    before = rows(milvus, "away")
    (source / "new.txt").write_text("Something that needs a vector.")
    for place, key in ((source, "wrong"), (tmp_path / "nowhere", KEY)):
        done = python(["-m", "knowledge"], environment(milvus, model, place, "away", key))
        assert done.returncode == 1 and "not done" in done.stderr, done.stderr
    assert rows(milvus, "away") == before


def test_killed_at_ten_points_it_ends_equal_to_a_clean_run(
    milvus: Milvus, model: int, tmp_path: Path
) -> None:
    old, new = folder(tmp_path / "old"), folder(tmp_path / "new")
    (new / "holidays.txt").write_text("Every employee has forty days of paid leave.")
    (new / "canteen.html").unlink()
    (new / "more.md").write_text("# Printers\n\nToner is in the cellar.\n\n" * 20)
    began = time.monotonic()
    sync(milvus, model, new, "clean")
    took = time.monotonic() - began
    sync(milvus, model, old, "killed")
    killed = sum(kill_after(milvus, model, new, took * (n + 0.5) / KILLS) for n in range(KILLS))
    sync(milvus, model, new, "killed")
    clean, found = rows(milvus, "clean"), rows(milvus, "killed")
    assert killed > 0
    assert found == clean
    evidence.record(
        "lab",
        "data.knowledge_killed",
        "A knowledge-base sync that is killed and run again ends equal to a clean run",
        sum(a != b for a, b in zip(clean, found, strict=True)),
        unit="rows that differ",
        goal="== 0",
        proved_on="program",
        command="pytest tests/integration/test_knowledge_sync.py",
        machine={"kills": killed, "rows": len(clean)},
    )


def kill_after(milvus: Milvus, port: int, source: Path, seconds: float) -> bool:
    """True when it was still at work."""
    env = {"PATH": os.environ["PATH"]} | environment(milvus, port, source, "killed")
    command = [str(home("milvus") / "bin/python"), "-m", "knowledge"]
    program = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    at_work = program.poll() is None
    program.kill()
    program.wait()
    return at_work


def test_another_model_is_refused_for_the_same_collection(milvus: Milvus, model: int, tmp_path: Path) -> None:
    source = folder(tmp_path / "documents")
    sync(milvus, model, source, "models")
    env = environment(milvus, model, source, "models")
    env["ORDERS"] = env["ORDERS"].replace(MODEL, "another")
    done = python(["-m", "knowledge"], env)
    assert done.returncode == 1 and "give the new one another name" in done.stderr
