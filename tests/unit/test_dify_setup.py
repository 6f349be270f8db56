"""The job that sets Dify up, against a stand-in of its API that refuses what Dify refuses; and the program
that waits before Dify's programs start."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_platform import dify_setup_objects, scripts
from ai_platform.reading import read
from bedplate import paths
from tests.dify_api import INIT, KEY, PASSWORD, STORE, Server, serve
from tests.unit.test_platform_dify import OPEN, sample

PERSON = {"email": "ai@example.com", "name": "Bedplate"}
SECRETS = {
    "DIFY_INIT_PASSWORD": INIT,
    "DIFY_ADMIN_PASSWORD": PASSWORD,
    "MODELS_KEY": KEY,
    "AWS_ACCESS_KEY_ID": STORE.access_key,
    "AWS_SECRET_ACCESS_KEY": STORE.secret_key,
}
PACKAGE = b"signed langgenius/openai_api_compatible:0.1 content"


@pytest.fixture
def dify() -> Iterator[Server]:
    with serve() as server:
        server.state.packages["models.difypkg"] = PACKAGE
        yield server


def config(server: Server, **more: Any) -> dict[str, Any]:
    """What the job is given for an opened sample, with this server's addresses."""
    plain = dify_setup_objects.config(read(sample(**OPEN)))
    return plain | {
        "address": server.address,
        "store": plain["store"] | {"endpoint": server.address},
        "seconds": 6,
        "pause": 0.05,
        **more,
    }


def run(folder: Path, text: dict[str, Any], **changed: str) -> tuple[int, str]:
    """The job as it runs in its pod: its exit code and what it said."""
    file = folder / "config.json"
    file.write_text(json.dumps(text))
    found = {"PYTHONPATH": str(paths.MODULE_UTILS / "model_store"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, scripts.FILES / "dify_setup.py", file],
        env=found | SECRETS | changed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    assert not [value for value in SECRETS.values() if value in done.stdout]
    return done.returncode, done.stdout


def test_a_new_dify_gets_its_administrator_plugins_models_and_default(dify: Server, tmp_path: Path) -> None:
    assert run(tmp_path, config(dify))[0] == 0
    state = dify.state
    assert {k: state.administrator[k] for k in PERSON} == {"email": "ai@example.com", "name": "Bedplate"}
    assert state.permission == {"install_permission": "admins", "debug_permission": "noone"}
    assert [p["plugin_unique_identifier"].split("@")[0] for p in state.plugins] == [
        "langgenius/openai_api_compatible:0.1"
    ]
    assert set(state.models) == {("chat", "llm"), ("spare", "llm")}
    [chat] = state.models[("chat", "llm")]
    assert chat["credentials"]["api_key"] == KEY
    assert state.defaults["llm"]["model"] == "chat"


def test_a_second_run_changes_nothing(dify: Server, tmp_path: Path) -> None:
    run(tmp_path, config(dify))
    before = (dict(dify.state.models), list(dify.state.plugins), dict(dify.state.defaults))
    del dify.state.calls[:]
    code, said = run(tmp_path, config(dify))
    assert (code, before) == (0, (dify.state.models, dify.state.plugins, dify.state.defaults))
    assert [line.rpartition(": ")[2] for line in said.splitlines()] == [*["is there"] * 4, "is chosen"]
    changing = {"POST /console/api/setup", "POST /console/api/workspaces/current/plugin/install/pkg"}
    assert not changing & set(dify.state.calls)


def test_another_key_changes_credentials_in_place(dify: Server, tmp_path: Path) -> None:
    run(tmp_path, config(dify))
    code, said = run(tmp_path, config(dify), MODELS_KEY="another-key")
    assert (code, said.count("is changed")) == (0, 2)
    [chat] = dify.state.models[("chat", "llm")]
    assert chat["credentials"]["api_key"] == "another-key"


def test_what_people_chose_stays(dify: Server, tmp_path: Path) -> None:
    run(tmp_path, config(dify))
    dify.state.defaults["llm"] = {"model": "spare"}
    run(tmp_path, config(dify))
    assert dify.state.defaults["llm"] == {"model": "spare"}


def test_another_version_of_a_plugin_takes_its_place(dify: Server, tmp_path: Path) -> None:
    run(tmp_path, config(dify))
    dify.state.packages["models.difypkg"] = PACKAGE.replace(b"0.1", b"0.2")
    assert run(tmp_path, config(dify))[0] == 0
    assert [p["plugin_unique_identifier"].split("@")[0][-3:] for p in dify.state.plugins] == ["0.2"]


def test_a_model_that_still_loads_is_tried_again_and_holds_up_nobody(dify: Server, tmp_path: Path) -> None:
    dify.state.loading, dify.state.failing = 3, 4
    code, said = run(tmp_path, config(dify))
    assert code == 0
    assert "model chat: not yet" in said
    assert set(dify.state.models) == {("chat", "llm"), ("spare", "llm")}


def test_time_that_is_up_says_what_is_missing(dify: Server, tmp_path: Path) -> None:
    dify.state.loading = 10_000
    code, said = run(tmp_path, config(dify, seconds=1))
    assert code == 2
    assert "not done: model chat, model spare" in said


@pytest.mark.parametrize(
    ("secret", "calls"), [("DIFY_INIT_PASSWORD", "/init"), ("DIFY_ADMIN_PASSWORD", "/login")]
)
def test_a_wrong_password_is_tried_once_and_named(
    dify: Server, tmp_path: Path, secret: str, calls: str
) -> None:
    if secret == "DIFY_ADMIN_PASSWORD":
        run(tmp_path, config(dify))
    del dify.state.calls[:]
    code, said = run(tmp_path, config(dify), **{secret: "a-wrong-one-1"})
    assert code == 1
    assert secret.lower().replace("_", "-") in said
    assert dify.state.calls.count(f"POST /console/api{calls}") == 1


def test_an_unsigned_plugin_is_not_installed(dify: Server, tmp_path: Path) -> None:
    dify.state.packages["models.difypkg"] = b"unsigned anything:1"
    code, said = run(tmp_path, config(dify, seconds=1))
    assert (code, dify.state.plugins) == (2, [])
    assert "bad signature" in said


def test_nothing_that_answers_is_waited_for(tmp_path: Path) -> None:
    with serve() as gone:
        text = config(gone, seconds=1)
    code, said = run(tmp_path, text)
    assert (code, "administrator: not yet" in said) == (2, True)


# ---- late dependencies


def test_a_program_starts_within_seconds_of_what_it_waits_for() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        port = late.getsockname()[1]
        opened: list[float] = []

        def open_late() -> None:
            time.sleep(3)
            opened.append(time.monotonic())
            late.listen()

        threading.Thread(target=open_late, daemon=True).start()
        done = subprocess.run(
            [sys.executable, scripts.FILES / "wait.py", f"127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0
        assert opened, "it did not wait"
        assert time.monotonic() - opened[0] < 5
        assert f"127.0.0.1:{port} answers after" in done.stdout
