"""`bedplate smoke`: every component that an inventory has is asked, a good answer is told from a bad one, and
what was made to ask is gone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bedplate.cli import app
from bedplate.commands import smoke as command
from bedplate.ports import free_port
from bedplate.smoke.probes import PROBES
from bedplate.smoke.reach import Cluster
from bedplate.smoke.run import Result, run
from bedplate.smoke.targets import SecretKey, Target, targets
from bedplate.smoke.web import Address, Broken
from tests.platform_samples import host, inventory, onnx, triton, vllm
from tests.smoke_site import Here, serve

DATA = {name: {} for name in ("postgresql", "valkey", "object_store", "mlflow")}
WHOLE = {
    "vllm": [vllm(), vllm(name="r1", hosts=2, gpus=8)],
    "triton": [triton(onnx())],
    "data": DATA,
    "milvus": {},
    "dify": {},
    "monitoring": {"tier": "warm"},
}
HTTP = ("chat", "triton", "milvus", "dify", "sandbox", "mlflow", "prometheus", "grafana", "page")


def found(**platform: Any) -> list[Target]:
    return targets(inventory({"gpu1": host("h100-sxm5-80gb", kind="roce"), "ctl1": host()}, **platform))


def named(**platform: Any) -> list[str]:
    return [target.component for target in found(**platform)]


def http() -> list[Target]:
    return [target for target in found(**WHOLE) if target.probe in HTTP]


def ask(mode: str, only: str = "") -> dict[str, Result]:
    """Every component that speaks HTTP, of a platform of which something is wrong."""
    with serve(mode) as server:
        wanted = [target for target in http() if not only or target.probe == only]
        places = {target.component: server.address for target in wanted}
        results = {result.component: result for result in run(wanted, Here(places))}
        assert not server.rows, "a collection was left behind"
        return results


# ---- what is asked


def test_components_that_the_stack_does_not_have_are_not_asked() -> None:
    assert named() == []
    assert named(vllm=[vllm()]) == ["model chat"]
    assert not {"dify", "milvus", "grafana"} & set(named(vllm=[vllm()], data=DATA))


def test_everything_that_it_has_is_asked() -> None:
    assert named(**WHOLE) == [
        "object store",
        "postgresql",
        "mlflow",
        "valkey",
        "model chat",
        "model r1",
        "triton search",
        "milvus",
        "dify",
        "dify pages",
        "dify plugins",
        "dify sandbox",
        "dify proxy",
        "prometheus",
        "alertmanager",
        "grafana",
    ]
    assert {target.probe for target in found(**WHOLE)} == set(PROBES)


def test_a_store_of_the_site_is_not_ours_to_ask() -> None:
    assert "object store" not in named(
        data=DATA, object_store={"endpoint": "https://s3.example.com", "bucket": "m"}
    )


def test_a_model_on_the_hosts_network_is_asked_where_it_is() -> None:
    spaces = {target.component: target.namespace for target in found(**WHOLE)}
    assert (spaces["model r1"], spaces["model chat"]) == ("serving-fabric", "serving")


# ---- good answers and bad ones


def test_a_platform_that_works_works() -> None:
    results = ask("")
    assert {r.verdict for r in results.values()} == {"works"}, results
    assert results["model chat"].seen == "4 tokens"
    assert results["milvus"].seen == "inserted 8, found the right one"
    assert results["prometheus"].seen == "1 of 2 targets are up"
    assert "embedding [1, 1024]" in results["triton search"].seen


@pytest.mark.parametrize(
    ("mode", "probe", "why"),
    [
        ("open", "chat", "answers without a key"),
        ("open", "sandbox", "runs code for anybody"),
        ("open", "mlflow", "answered with 200"),
        ("open", "grafana", "answered with 200"),
        ("silent", "chat", "answers nothing"),
        ("silent", "sandbox", "code is not run"),
        ("silent", "milvus", "instead of what was inserted"),
        ("silent", "prometheus", "watches nobody"),
        ("new", "dify", "no administrator yet"),
        *[("failing", probe, "answered with 500") for probe in HTTP],
        *[("garbage", probe, "no JSON") for probe in ("chat", "triton", "milvus", "dify", "sandbox")],
    ],
)
def test_a_bad_answer_is_told_from_a_good_one(mode: str, probe: str, why: str) -> None:
    results = ask(mode, probe)
    assert results
    for result in results.values():
        assert result.verdict == "broken"
        assert why in result.why
        assert result.remedy


def test_nothing_that_answers_is_broken_with_a_remedy() -> None:
    [target] = [target for target in found(**WHOLE) if target.component == "grafana"]
    gone = Here({"grafana": Address("127.0.0.1", free_port())})
    [result] = run([target], gone)
    assert (result.verdict, "no answer" in result.why, "kubectl" in result.remedy) == ("broken", True, True)


def test_a_wrong_key_names_the_key() -> None:
    with serve() as server:
        [target] = [target for target in http() if target.component == "model chat"]
        wrong = Here({"model chat": server.address}, {("vllm-api-key", "vllm-api-key"): "wrong"})
        [result] = run([target], wrong)
    assert "401" in result.why
    assert "key differs" in result.remedy


# ---- the way there


def kubectl(folder: Path, script: str) -> Cluster:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Cluster(str(program))


TARGET = Target("grafana", "grafana", "monitoring", "grafana", 3000)


def test_a_port_is_forwarded_as_long_as_it_is_asked(tmp_path: Path) -> None:
    script = f'printf "%s " "$@" > {tmp_path}/asked; trap "echo gone > {tmp_path}/gone; exit" TERM\n'
    script += 'echo "Forwarding from 127.0.0.1:4711 -> 3000"; while :; do sleep 0.05; done'
    with kubectl(tmp_path, script).address(TARGET) as address:
        assert address == Address("127.0.0.1", 4711)
    assert (tmp_path / "asked").read_text() == "-n monitoring port-forward svc/grafana :3000 "
    assert (tmp_path / "gone").read_text() == "gone\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Error from server (NotFound): services \"grafana\" not found' >&2; exit 1", "not found"),
        ("exit 1", "nothing is forwarded"),
    ],
)
def test_a_port_that_cannot_be_forwarded_says_why(tmp_path: Path, script: str, why: str) -> None:
    with pytest.raises(Broken, match=why), kubectl(tmp_path, script).address(TARGET):
        pass


def test_secrets_are_read_by_the_api_server(tmp_path: Path) -> None:
    reach = kubectl(tmp_path, """echo '{"data": {"key": "dmFsdWU="}}'""")
    assert reach.secret(SecretKey("dify", "some", "key")) == "value"
    with pytest.raises(Broken, match="lacks other"):
        reach.secret(SecretKey("dify", "some", "other"))
    with pytest.raises(Broken, match="cannot be read: forbidden"):
        kubectl(tmp_path, "echo forbidden >&2; exit 1").secret(SecretKey("dify", "some", "key"))


# ---- the command


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command for production's inventory, asked of one server."""

    def call(mode: str, *arguments: str) -> Any:
        with serve(mode) as server:
            monkeypatch.setattr(
                command, "load", lambda path: inventory(vllm=[vllm()], monitoring={"tier": "warm"})
            )
            places = {target.component: server.address for target in http()}
            monkeypatch.setattr(command, "cluster", lambda given: Here(places | dict(given)))
            return CliRunner().invoke(app, ["smoke", "-i", "inventories/production", *arguments])

    return call


def test_one_document_and_exit_0_where_everything_works(invoke: Callable[..., Any]) -> None:
    done = invoke("", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, {entry["verdict"] for entry in document}) == (0, {"works"})
    assert set(document[0]) == {"component", "verdict", "seconds", "seen", "why", "remedy"}


def test_exit_1_and_a_remedy_where_something_is_broken(invoke: Callable[..., Any]) -> None:
    done = invoke("silent")
    assert done.exit_code == 1
    assert "it answers nothing" in done.stdout
    assert "→" in done.stdout


def test_only_some(invoke: Callable[..., Any]) -> None:
    done = invoke("silent", "--only", "grafana", "--json")
    assert (done.exit_code, [entry["component"] for entry in json.loads(done.stdout)]) == (0, ["grafana"])


@pytest.mark.parametrize("arguments", [("--only", "grafena"), ("--address", "grafana=here")])
def test_what_cannot_be_asked_is_bad_input(invoke: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    assert type(invoke("", *arguments).exception).__name__ == "BadInput"
