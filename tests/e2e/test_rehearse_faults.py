"""The rehearsal when things break: killed servers, Ctrl-C, pods that do not fit."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from platforms import eventually
from rehearsals import SMALL_PROGRAM, after_steps, copy_of_lab, proved, small_session

from bedplate import paths
from bedplate.errors import VERDICT_NO
from bedplate.rehearse import session as sessions
from bedplate.rehearse.processes import start_time, stop_recorded
from bedplate.rehearse.session import Session

pytestmark = pytest.mark.rehearsal
TEST = "tests/e2e/test_rehearse_faults.py"
SERVED = 5  # GPUs that the lab's models and repositories take


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with small_session() as session:
        session.start()
        session.register()
        session.program.init()
        session.program.set_secret("key", "correct-horse")
        yield session


@pytest.fixture
def before(session: Session) -> Iterator[set[tuple[str, str, str]]]:
    objects = session.api.everything()
    yield objects
    assert session.program.destroy().ok
    assert sorted(session.api.everything() - objects) == []


def configure(session: Session, deployments: list[tuple[str, int, int]]) -> None:
    """What the small program deploys: name, replicas, GPUs of each."""
    path = session.folder / "pulumi" / "project" / "Pulumi.lab.yaml"
    config = yaml.safe_load(path.read_text())
    config["config"]["rehearsal-program:deployments"] = [list(entry) for entry in deployments]
    path.write_text(yaml.safe_dump(config))


def converges(session: Session) -> None:
    """The next run repairs what the fault left, the one after has nothing to do."""
    repaired = session.program.up()
    assert repaired.ok, repaired.errors
    assert session.program.preview().ok
    assert session.program.state()["deployment"].get("pending_operations") in (None, [])
    wanted = {"chat", "embed"}
    assert {raw["metadata"]["name"] for raw in session.api.items("/apis/apps/v1/deployments")} == wanted


@pytest.mark.parametrize(("victim", "step"), [("kube-apiserver", 2), ("kube-apiserver", 4), ("etcd", 3)])
def test_a_killed_server_is_survived(
    session: Session, before: set[tuple[str, str, str]], victim: str, step: int
) -> None:
    killed: list[str] = []

    def kill() -> None:
        session.control_plane.processes.kill(victim)
        session.control_plane.processes.restart(victim)
        killed.append(victim)

    session.program.up(after_steps(step, kill))
    assert killed, "Pulumi was done before the fault"
    converges(session)


def test_an_interrupted_up_is_resumed(session: Session, before: set[tuple[str, str, str]]) -> None:
    begun: list[bool] = []
    cut = session.program.up(after_steps(3, lambda: begun.append(True)), lambda: "Ctrl-C" if begun else "")
    assert not cut.ok
    assert cut.seconds < 60
    converges(session)


def programs_of(folder: Path) -> set[str]:
    """Names of running programs that were told of ``folder``."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            program, _, rest = (process / "cmdline").read_bytes().partition(b"\0")
            if str(folder).encode() in rest:
                found.add(Path(program.decode()).name)
    return found


def listen_to_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.long)],
)
def test_nothing_is_left_of_a_command_that_was_ended(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    """Ctrl-C while Pulumi is at work, and what nobody can catch."""
    name = f"ended-{sent.name.lower()}"
    with copy_of_lab(tmp_path, name) as copy:
        folder = sessions.folder(name)
        with subprocess.Popen(
            [sys.executable, "-m", "bedplate", "rehearse", "-i", str(copy)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=paths.ROOT,
            preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509 - one call, no locks
        ) as command:
            assert command.stderr
            next(line for line in command.stderr if "pulumi up" in line)
            assert eventually(lambda: {"etcd", "kube-apiserver", "pulumi"} <= programs_of(folder))
            command.send_signal(sent)
            assert command.wait(90) == code
        assert eventually(lambda: not programs_of(folder), 90)


@pytest.mark.long
def test_an_inventory_that_is_one_gpu_too_small_ends_with_the_verdict_and_exit_code_1(tmp_path: Path) -> None:
    with copy_of_lab(tmp_path, "small") as copy:
        hardware = copy / "host_vars/lab-gpu1/hardware.yml"
        text = hardware.read_text()
        assert text.count("count: 8") == 1
        hardware.write_text(text.replace("count: 8", f"count: {SERVED - 1}"))
        words = [sys.executable, "-m", "bedplate", "rehearse", "-i", str(copy), "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=paths.ROOT)
    assert done.returncode == VERDICT_NO, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "does not fit"
    (reason,) = [entry["sentence"] for entry in told["waiting"] if not entry["may_wait"]]
    assert "no GPU is left" in reason or "1 GPU is free" in reason


def test_a_platform_that_is_one_gpu_too_large(session: Session, before: set[tuple[str, str, str]]) -> None:
    configure(session, [("chat", 2, 4), ("embed", 1, 1)])
    begin = time.monotonic()
    run = session.program.up(watch=session.watcher())
    seconds = time.monotonic() - begin
    told = session.verdict()
    configure(session, [("chat", 2, 2), ("embed", 1, 1)])
    assert not run.ok
    assert not told.fits
    assert seconds < 90, "the answer was clear long before"
    (waiting,) = told.waiting
    assert "80 GB" in waiting.sentence
    assert "GPU" in waiting.sentence
    proved(
        "lab",
        "one-gpu-short",
        "Seconds until one missing GPU is the verdict",
        round(seconds, 1),
        TEST,
        unit="s",
    )


def test_secrets_are_encrypted_in_etcd(session: Session, before: set[tuple[str, str, str]]) -> None:
    assert session.program.up().ok
    stored = b"".join(path.read_bytes() for path in (session.folder / "etcd").rglob("*") if path.is_file())
    assert b"k8s:enc:secretbox:v1:key1" in stored
    assert b"correct-horse" not in stored
    assert "correct-horse" not in session.control_plane.audit_log.read_text()
    assert "correct-horse" not in session.program.log.read_text()


def test_only_health_is_told_to_strangers(session: Session) -> None:
    import http.client
    import ssl

    tls = ssl.create_default_context(cafile=str(session.folder / "pki/kubernetes/kubernetes-ca.crt"))
    answers = {}
    for path in ("/readyz", "/api/v1/nodes", "/version", "/metrics"):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", session.control_plane.port, timeout=10, context=tls
        )
        connection.request("GET", path)
        answers[path] = connection.getresponse().status
        connection.close()
    assert answers == {"/readyz": 200, "/api/v1/nodes": 401, "/version": 401, "/metrics": 401}


def test_nothing_of_the_committed_program_is_changed() -> None:
    names = {path.name for path in SMALL_PROGRAM.iterdir() if path.name != "__pycache__"}
    assert names == {"Pulumi.yaml", "Pulumi.lab.yaml", "__main__.py"}
    assert "encryptionsalt" not in (SMALL_PROGRAM / "Pulumi.lab.yaml").read_text()


def test_a_lost_rehearsal_is_ended_by_the_next() -> None:
    with small_session() as lost:
        lost.start()
        pids = [process.pid for process in lost.control_plane.processes._running.values()]
        assert all(start_time(pid) for pid in pids)
        assert sorted(stop_recorded(lost.folder)) == sorted(lost.control_plane.processes._running)
        time.sleep(0.5)
        assert [start_time(pid) for pid in pids] == [None] * len(pids)
