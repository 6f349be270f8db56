"""`bedplate init`: answers become an inventory that passes the check; nothing that exists is overwritten."""

import json
import shutil
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

from bedplate import paths
from bedplate.check.run import check
from bedplate.check.source import memory, read
from bedplate.cli import app
from bedplate.errors import BadInput
from bedplate.inventory import Inventory
from bedplate.scaffold import answers as given_answers
from bedplate.scaffold.answers import Answers, Disks, Machines, Net
from bedplate.scaffold.generate import Files, files, sample
from bedplate.scaffold.write import render, write

EXAMPLE = paths.ROOT / "docs" / "examples" / "answers.yml"
GPUS = yaml.safe_load((paths.COMMON / "gpus.yml").read_text())["catalogue_gpus"]


@cache
def load(text: str) -> dict:
    """YAML with dates as text, as an inventory listing has them; the same text is the same object."""
    return json.loads(json.dumps(yaml.load(text, yaml.CSafeLoader), default=str))


COMMON = reduce(dict.__or__, (load(file.read_text()) for file in sorted(paths.COMMON.glob("*.yml"))))


def in_memory(made: Files, environment: str) -> Inventory:
    """What Ansible would make of the files: _common, then all, then groups, then hosts."""
    groups = {g: _expand(body) for g, body in made["hosts.yml"].data["all"]["children"].items()}
    groups["kubernetes"] = [
        h for g in ("control_plane", "gpu_nodes", "storage_nodes") for h in groups.get(g, [])
    ]
    names = dict.fromkeys(host for members in groups.values() for host in members)
    hosts = {}
    for host in names:
        mine = ["all", *(group for group in groups if host in groups[group])]
        wanted = [f"group_vars/{group}/" for group in mine] + [f"host_vars/{host}/"]
        parts = [load(render(file)) for w in wanted for path, file in made.items() if path.startswith(w)]
        hosts[host] = reduce(dict.__or__, parts, COMMON)
    folder = paths.INVENTORIES / environment
    return Inventory(environment, folder, hosts, {group: tuple(members) for group, members in groups.items()})


def _expand(body: dict | None) -> list[str]:
    found = []
    for name in (body or {}).get("hosts", {}):
        stem, _, span = name.partition("[1:")
        found += [f"{stem}{n}" for n in range(1, int(span[:-1]) + 1)] if span else [name]
    return found


disks = some.builds(Disks, some.integers(1, 24), some.sampled_from(["960GB", "3.84TB", "15.36TB", "20TB"]))
machines = some.builds(
    Machines,
    count=some.integers(1, 6),
    cpus=some.integers(1, 512),
    memory=some.sampled_from(["64GiB", "1.5TiB", "2TiB"]),
    speed=some.sampled_from(["10Gbit", "25Gbit", "400Gbit"]),
)


@some.composite
def environments(draw) -> Answers:
    """Answers that somebody could give."""
    model = draw(some.sampled_from([name for name in GPUS if name != "v100-sxm2-32gb"]))
    count = draw(some.sampled_from(GPUS[model]["boards"] or [1, 2, 4, 8, 10]))
    stores = some.dictionaries(some.sampled_from(["nvme", "ssd", "hdd"]), disks, max_size=3)
    kinds = {
        "control_plane": replace(draw(machines), count=draw(some.sampled_from([1, 3, 5]))),
        "gpu_nodes": replace(draw(machines), gpu=model, gpus=count, disks=draw(stores)),
    }
    if draw(some.booleans()):
        kinds["gateways"] = draw(machines)
    if draw(some.booleans()):
        kinds["storage_nodes"] = replace(draw(machines), disks=draw(stores))
    return Answers(
        environment=draw(some.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)),
        domain="ai.example.com",
        time_servers=("10.10.0.1",),
        management=Net("10.10.0.0/24", gateway="10.10.0.1"),
        cluster=Net("10.20.0.0/22", draw(some.integers(2, 2000))),
        business=Net("10.30.0.0/24", draw(some.integers(2001, 4094))),
        machines=kinds,
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(environments())
def test_whatever_is_answered_passes_the_check(wanted):
    outcome = check(memory(in_memory(files(wanted), wanted.environment)))
    assert outcome.errors == ()
    assert outcome.counts["hosts"] == wanted.hosts


def test_the_example_passes_the_check_through_ansible(tmp_path):
    """In memory and through real files the same inventory is read, and it has no errors."""
    wanted = given_answers.read(EXAMPLE)
    write(files(wanted), tmp_path / wanted.environment)
    source = read(tmp_path / wanted.environment)
    assert check(source).errors == ()
    assert in_memory(files(wanted), wanted.environment).hosts == source.inventory.hosts


def test_large_inventories_are_made_of_the_same_parts(tmp_path):
    write(files(sample(60)), tmp_path / "big")
    outcome = check(read(tmp_path / "big"))
    assert outcome.errors == ()
    assert outcome.counts["hosts"] == 60


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A project with nothing but _common, so that the command writes there."""
    shutil.copytree(paths.COMMON, tmp_path / "inventories" / "_common")
    monkeypatch.setattr(paths, "INVENTORIES", tmp_path / "inventories")
    monkeypatch.setattr(paths, "COMMON", tmp_path / "inventories" / "_common")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


def run(*words: str, typed: str = ""):
    return CliRunner().invoke(app, ["init", *words], input=typed)


def test_command_with_answers_tells_what_comes_next(house):
    result = run("--answers", str(EXAMPLE))
    assert result.exit_code == 0, result.output
    assert "bedplate up -i inventories/berlin" in result.stdout
    assert (house / "inventories" / "berlin" / "group_vars" / "all" / "common").resolve() == paths.COMMON


def test_every_question_has_an_answer_to_start_from(house):
    """Enter, again and again, is an inventory that passes."""
    result = run("--json", "mine", typed="\n" * 30)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout[result.stdout.index("{") :])
    assert document["check"]["verdict"] == "pass"
    assert document["check"]["counts"]["gpus"] == 8


def test_answers_that_cannot_be_are_asked_again(house):
    typed = "\n10.10.0.0/33\n10.10.0.0/24\n" + "\n" * 30
    result = run("mine", typed=typed)
    assert result.exit_code == 0, result.output
    assert "write it like 10.10.0.0/24" in result.output


@pytest.mark.parametrize("name", ["Bad Name", "../x", "_common", "-x", "x" * 21, "mine/"])
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(house, name):
    before = sorted(house.rglob("*"))
    result = run("--answers", str(EXAMPLE), "--", name)
    assert isinstance(result.exception, BadInput)
    assert sorted(house.rglob("*")) == before


def test_a_name_that_cannot_be_is_asked_again_at_once(house):
    (house / "inventories" / "old").mkdir()
    result = run(typed="Mine\nold\nmine\n" + "\n" * 30)
    assert result.exit_code == 0, result.output
    assert "an environment cannot have this name" in result.output
    assert "already" in result.output
    assert (house / "inventories" / "mine" / "hosts.yml").exists()


def test_questions_that_nobody_answers_write_nothing(house):
    result = run("mine", typed="\n\n")
    assert isinstance(result.exception, BadInput)
    assert "--answers FILE" in str(result.exception)
    assert not (house / "inventories" / "mine").exists()


def test_an_empty_file_of_answers_is_said_to_be_one(tmp_path):
    (tmp_path / "answers.yml").write_text("")
    with pytest.raises(BadInput, match=r"\(file\) = None: this must be a dictionary"):
        given_answers.read(tmp_path / "answers.yml")


def test_so_many_questions_and_no_more(house):
    """`bedplate init` and docs/first-rack.md say twenty; every one has an answer to start from."""
    assert run("few", typed="\n" * 19).exit_code != 0
    assert run("enough", typed="\n" * 20).exit_code == 0


def test_nothing_is_overwritten(house):
    assert run("--answers", str(EXAMPLE)).exit_code == 0
    file = house / "inventories" / "berlin" / "hosts.yml"
    file.write_text("mine: {}\n")
    result = run("--answers", str(EXAMPLE))
    assert isinstance(result.exception, BadInput)
    assert "already" in str(result.exception)
    assert file.read_text() == "mine: {}\n"


@pytest.mark.parametrize(
    ("spoil", "key", "remedy"),
    [
        (lambda d: d.pop("domain"), "domain", "add domain"),
        (lambda d: d.update(enviroment="x"), "enviroment", "write environment"),
        (lambda d: d.update(environment="Berlin 1"), "environment", "berlin"),
        (lambda d: d["machines"]["gpu_nodes"].update(gpus="8"), "machines.gpu_nodes.gpus", "whole number"),
        (lambda d: d["cluster"].pop("vlan"), "cluster.vlan", "add vlan"),
        (
            lambda d: d["machines"]["gpu_nodes"]["disks"].update(tape={}),
            "machines.gpu_nodes.disks.tape",
            "nvme",
        ),
    ],
)
def test_wrong_answers_are_named(tmp_path, spoil, key, remedy):
    data = yaml.safe_load(EXAMPLE.read_text())
    spoil(data)
    file = tmp_path / "answers.yml"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(BadInput) as raised:
        given_answers.read(file)
    (finding,) = raised.value.findings
    assert (finding.file, finding.key) == (str(file), key)
    assert remedy in finding.remedy


@pytest.mark.parametrize("subnet", ["10.20.0.0/29", "10.20.0.0/33", "cluster"])
def test_a_subnet_that_is_too_small_or_none_is_named_before_anything_is_written(subnet):
    wanted = replace(given_answers.read(EXAMPLE), cluster=Net(subnet, 20))
    with pytest.raises(BadInput) as raised:
        files(wanted)
    assert [finding.key for finding in raised.value.findings] == ["cluster.subnet"]


def test_no_answers_no_file():
    with pytest.raises(BadInput, match="no such file"):
        given_answers.read(Path("/nowhere/answers.yml"))
