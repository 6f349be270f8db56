"""MLflow by the real program, with its databases in our PostgreSQL and its files in our object store: what is
logged is there, a model is registered, and who was given nothing sees nothing."""

import base64
import json
import os
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from data_postgres import PASSWORDS, Cluster, cluster, environment
from data_store import KEYS, Weed, client, result, setup

from ai_platform import consumers
from ai_platform import mlflow_objects as render
from ai_platform.reading import read
from bedplate import evidence, paths
from bedplate.ports import free_port
from tests.data_programs import Process, home, running, substitute, wait
from tests.data_samples import settings, stored

COMMAND = "pytest tests/integration/test_data_mlflow.py"
ADMIN = "word-of-the-administrator"
LOG = """
import mlflow, os, sys
mlflow.set_experiment("trial")
with mlflow.start_run() as run:
    mlflow.log_param("rank", 8)
    mlflow.log_metric("loss", 0.25)
    open("weights.bin", "wb").write(b"weights" * 1000)
    mlflow.log_artifact("weights.bin", "model")
client = mlflow.MlflowClient()
client.create_registered_model("ranker")
client.create_model_version("ranker", f"runs:/{run.info.run_id}/model", run.info.run_id)
print(run.info.run_id)
"""


@dataclass(frozen=True)
class Site:
    """MLflow and what it stands on."""

    url: str
    process: Process
    weed: Weed
    database: Cluster
    folder: Path

    def ask(
        self, method: str, path: str, body: Any = None, *, user: str = render.USER, word: str = ADMIN
    ) -> Any:
        """Status and answer of MLflow's API, as somebody."""
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        if user:
            login = base64.b64encode(f"{user}:{word}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text[:1] in b"{[" else text
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def start(self) -> None:
        """Begin, and be there."""
        self.process.start()
        wait(lambda: self.ask("GET", "/health")[0] == 200, 400, self.process)

    def log_a_run(self, name: str = "ranker") -> str:
        """What a person's program does; the run's id. It has no key of the object store."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "MLFLOW_TRACKING_URI": self.url}
        env |= {"MLFLOW_TRACKING_USERNAME": render.USER, "MLFLOW_TRACKING_PASSWORD": ADMIN}
        python = home("mlflow") / "bin/python"
        done = subprocess.run(
            [python, "-c", LOG.replace("ranker", name)],
            env=env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:] + self.process.said()[-2000:]
        return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One of everything."""
    with tempfile.TemporaryDirectory(prefix="mlflow-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        small = read(stored(object_store={"tier": "warm", "volume": "20GiB"}))
        with cluster(small, folder / "pg") as database:
            (folder / "weed").mkdir()
            weed = Weed(small, folder / "weed", '[leveldb2]\nenabled = true\ndir = "./filer"\n', "")
            with running(*weed.all):
                result(setup(weed.endpoint()))
                process, url = server(folder, weed, database)
                with running(process):
                    found = Site(url, process, weed, database, folder)
                    wait(lambda: found.ask("GET", "/health")[0] == 200, 400, process)
                    yield found


def server(folder: Path, weed: Weed, database: Cluster) -> tuple[Process, str]:
    """As the pod starts it."""
    port = free_port()
    own = environment(database, "mlflow")
    authority = f"{render.AUTHORITY}/{consumers.AUTHORITY}"
    places = {authority: str(database.certificate), "--port=5000": f"--port={port}", "0.0.0.0": "127.0.0.1"}
    places |= {"$(PGHOST)": own["PGHOST"], "$(PGPORT)": own["PGPORT"]}
    places |= {"--allowed-hosts=": f"--allowed-hosts=127.0.0.1:{port},"}
    words = substitute(render.arguments(settings()), places)
    uri = render.auth_uri(PASSWORDS["mlflow"], settings())
    uri = uri.replace("postgresql.data.svc:5432", f"localhost:{own['PGPORT']}").replace(
        authority, places[authority]
    )
    login = folder / "login.ini"
    login.write_text(render.permissions(uri, ADMIN))
    env = {name: own[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD")} | {
        "PATH": f"{home('mlflow') / 'bin'}:{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": "mlflow",
        "AWS_SECRET_ACCESS_KEY": KEYS["mlflow"],
        "MLFLOW_S3_ENDPOINT_URL": weed.endpoint(),
        "MLFLOW_AUTH_CONFIG_PATH": str(login),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "forms",
        "HOME": str(folder),
        "AWS_DEFAULT_REGION": "us-east-1",
        **render.PLAIN,
    }
    return Process(
        [home("mlflow") / "bin/python", "-m", "mlflow", *words], folder / "log", env, cwd=folder
    ), f"http://127.0.0.1:{port}"


def proved(id: str, claim: str, value: float, goal: str = "") -> None:
    evidence.record("lab", f"data.{id}", claim, value, goal=goal, proved_on="program", command=COMMAND)


def test_what_is_logged_is_in_the_database_and_in_the_bucket(site: Site) -> None:
    run = site.log_a_run()
    _, answer = site.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run}")
    assert answer["run"]["data"]["metrics"][0]["value"] == 0.25
    assert (
        site.database.ask(f"SELECT value FROM metrics WHERE run_uuid = '{run}'", "mlflow", "mlflow") == "0.25"
    )
    listed = client(site.weed.endpoint(), "mlflow").ask("GET", "/mlflow", query="list-type=2")[1].decode()
    assert f"{run}/artifacts/model/weights.bin" in listed
    _, models = site.ask("GET", "/api/2.0/mlflow/registered-models/get?name=ranker")
    assert models["registered_model"]["latest_versions"][0]["version"] == "1"


def test_who_was_given_nothing_sees_nothing(site: Site) -> None:
    made = site.ask(
        "POST", "/api/2.0/mlflow/users/create", {"username": "guest", "password": "guests-own-word"}
    )
    assert made[0] == 200, made
    _, found = site.ask("GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=trial")
    number = found["experiment"]["experiment_id"]
    questions = (
        ("GET", f"/api/2.0/mlflow/experiments/get?experiment_id={number}", None),
        ("GET", "/api/2.0/mlflow/registered-models/get?name=ranker", None),
        ("DELETE", "/api/2.0/mlflow/registered-models/delete", {"name": "ranker"}),
        ("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": number}),
    )
    people = (("guest", "guests-own-word"), (render.USER, "wrong"), ("admin", "password1234"), ("", ""))
    answers = [
        site.ask(*question, user=user, word=word)[0] for question in questions for user, word in people
    ]
    assert set(answers) <= {401, 403}, answers
    proved("mlflow_refused", "Requests of people without rights that MLflow refuses", len(answers), "== 16")


def test_what_was_logged_outlives_kill(site: Site) -> None:
    run = site.log_a_run(name="killed")
    site.process.end(signal.SIGKILL)
    site.start()
    status, answer = site.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run}")
    assert (status, answer["run"]["data"]["metrics"][0]["value"]) == (200, 0.25)
    kept = client(site.weed.endpoint(), "mlflow").ask("GET", "/mlflow", query="list-type=2")[1].decode()
    assert f"{run}/artifacts/model/weights.bin" in kept


def test_a_rotated_password_of_the_administrator_is_the_only_one(site: Site) -> None:
    """As `pulumi up` does it: another Secret, and pods begin anew with what runs before them."""
    login, before = site.folder / "login.ini", paths.PULUMI / "ai_platform/files/mlflow_login.py"
    old, opened = login.read_text(), 0
    question = "/api/2.0/mlflow/users/get?username=bedplate"
    for word, other in (("another-word-of-the-administrator", ADMIN), (ADMIN, "another-word")):
        login.write_text(old.replace(ADMIN, word))
        command = [home("mlflow") / "bin/python", before]
        done = subprocess.run(command, env=site.process.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert site.ask("GET", question, word=word)[0] == 200
        opened += site.ask("GET", question, word=other)[0] != 401
    claim = "Rotations of 2 after which another password of MLflow's administrator still opens it"
    proved("faults.mlflow.rotated", claim, opened, "== 0")
    assert not opened


def test_other_consumers_do_not_reach_its_data(site: Site) -> None:
    for role in ("dify", "filer"):
        assert "permission denied" in site.database.psql("SELECT 1", role, "mlflow").stderr
        assert "permission denied" in site.database.psql("SELECT 1", role, "mlflow_auth").stderr
    for who in ("dify", "milvus", "models"):
        assert client(site.weed.endpoint(), who).ask("GET", "/mlflow", query="list-type=2")[0] == 403


def test_a_name_that_is_not_its_own_is_refused(site: Site) -> None:
    """A page somewhere that makes a browser ask for us gets nothing (DNS rebinding)."""
    headers = {"Host": "evil.example.com"}
    request = urllib.request.Request(f"{site.url}/api/2.0/mlflow/experiments/search", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 403
