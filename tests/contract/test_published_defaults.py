"""Nothing that upstream ships as a default stands in what is sent, nor in an inventory; the list, and how it
is searched for, are held against every row of itself."""

from pathlib import Path

import pytest

from bedplate import evidence, paths
from tests.platform_samples import common
from tests.published import Default, defaults, in_file, in_object
from tests.rendered import ENVIRONMENTS, environment

KNOWN = paths.COMMON / "published_secrets.yml"  # the list that the cluster refuses
PROGRAMS = (paths.PULUMI, paths.PLAYBOOKS, paths.ROLES)


def files(*folders: Path) -> list[Path]:
    found = [f for folder in folders for f in folder.rglob("*") if f.is_file()]
    return [f for f in found if f.resolve() != KNOWN and "__pycache__" not in f.parts]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_object_but_the_policy_holds_a_published_default(env: str) -> None:
    objects = [o for o in environment(env) if o["kind"] != "ValidatingAdmissionPolicy"]
    found = [finding for o in objects for finding in in_object(o)]
    evidence.record(
        env,
        "data.published-defaults",
        "defaults that upstream publishes in the objects of an environment",
        len(found),
        unit="findings",
        goal="== 0",
        proved_on="program",
        command="pytest tests/contract/test_published_defaults.py",
    )
    assert len(objects) > 50
    assert not found


def test_no_inventory_and_no_program_holds_one() -> None:
    assert len(files(paths.INVENTORIES)) > 30
    assert len(files(*PROGRAMS)) > 100
    assert not [finding for file in files(paths.INVENTORIES) for finding in in_file(file)]
    assert not [finding for file in files(*PROGRAMS) for finding in in_file(file, program=True)]


# ---- the search itself: every row is found wherever it could stand


def places(row: Default) -> list[dict[str, object]]:
    """Objects that hold a default: as a variable, in a configuration file, as a Secret."""
    name = row.key or "SOME_PASSWORD"
    kind = {"metadata": {"name": "mutant"}}
    variable = {"name": "main", "env": [{"name": name, "value": row.value}]}
    pod = {"spec": {"template": {"spec": {"containers": [variable]}}}}
    text = f"# configuration\nfirst: 1\n{name}: {row.value}\nlast: 2\n"
    return [
        {"kind": "Deployment", **kind, **pod},
        {"kind": "ConfigMap", **kind, "data": {"file.yml": text}},
        {"kind": "ConfigMap", **kind, "data": {"file.json": f'{{"{name}": "{row.value}", "a": 1}}'}},
        {"kind": "Secret", **kind, "stringData": {name: row.value}},
    ]


@pytest.mark.parametrize("row", defaults(), ids=lambda row: f"{row.key} {row.value}"[:40].strip())
def test_a_mutant_with_a_default_is_found(row: Default, tmp_path: Path) -> None:
    for mutant in places(row):
        assert [f for f in in_object(mutant) if row.source in f], mutant
    file = tmp_path / "platform.yml"
    file.write_text(f"---\nplatform_some:\n  {row.key or 'password'}: {row.value}\n")
    assert [f for f in in_file(file) if row.source in f]


def test_an_address_with_a_published_password_is_found() -> None:
    url = "redis://:difyai123456@valkey.data.svc:6379/1"
    pod = {"spec": {"containers": [{"name": "x", "env": [{"name": "BROKER", "value": url}]}]}}
    assert in_object({"kind": "Pod", "metadata": {"name": "mutant"}, **pod})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image", "registry.example.com/langgenius/dify-sandbox:0.2.15"),
        ("user", "postgres"),
        ("WEB_API_CORS_ALLOW_ORIGINS", "https://dify.example.com"),
        ("text", "the admin role reads secrets; password rotation is a command"),
        ("bucket", "data-bucket"),
    ],
)
def test_an_honest_value_is_no_finding(name: str, value: str) -> None:
    assert not in_object({"kind": "Pod", "metadata": {"name": "honest"}, "spec": {name: value}})


def test_the_cluster_refuses_every_secret_of_the_list_too() -> None:
    refused = set(common()["catalogue_published_secrets"])
    places_of_data = {"a-bucket", "milvus-bucket", "by-dev", "difyai12345"}
    secrets = {row.value for row in defaults() if row.match != "setting"} - places_of_data
    assert secrets <= refused
