"""The parts of the check: bounds, words, how rules are run, argument specs as types."""

from datetime import date

import jsonschema
import pytest
import yaml

from bedplate.check import compatibility, rules, versions
from bedplate.check.problem import Problem, dotted
from bedplate.check.roles import schema_of
from bedplate.check.schema import FOLDER, load_all, validator, violations
from bedplate.check.words import choose, nearest
from tests.inventory_samples import on, outcome


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("580.178.04", ">=580", True),
        ("580.178.04", "<=580", True),
        ("580.178.04", ">580", False),
        ("580.178.04", "580.178.04", True),
        ("580.178.04", ">=580.65.06", True),
        ("570.26", ">=570.26", True),
        ("570.26", ">=570.124", False),
        ("2.3.1", "<2.3", False),
        ("2.2.9", "<2.3", True),
        ("1.36.4", "1.36", True),
        ("1.3", "1.36", False),
        ("2.0.9", ">=2.2.0|>=2.1.5,<2.2|>=1.7.28,<2.0", False),
        ("2.1.5", ">=2.2.0|>=2.1.5,<2.2|>=1.7.28,<2.0", True),
        ("1.7.30", ">=2.2.0|>=2.1.5,<2.2|>=1.7.28,<2.0", True),
        ("9", ">=9.17", False),
        ("10.0", ">=9.17", True),
    ],
)
def test_bounds(version, bounds, fits):
    assert versions.matches(version, bounds) is fits


@pytest.mark.parametrize("bound", ["newer", ">=", "=>2", ">=2.x"])
def test_a_bound_that_is_none_is_an_error(bound):
    with pytest.raises(ValueError, match="not a bound"):
        versions.matches("1.0", bound)


def test_nearest_version_goes_by_number():
    assert versions.nearest("12.3", ["13.0", "12.4", "11.8"]) == "12.4"
    assert versions.nearest("581.1", [">=525", "580", "615"]) == "580"


def test_nearest_name():
    assert nearest("storage_teirs", ["storage_tiers", "base_users"], strict=True) == "storage_tiers"
    assert nearest("my_own_variable", ["storage_tiers", "base_users"], strict=True) == ""
    assert choose("nvm", ["nvme", "ssd", "hdd"]) == "write nvme"
    assert choose("tape", ["nvme", "ssd", "hdd"]) == "write one of hdd, nvme, ssd"


def test_keys_are_written_as_people_write_them():
    assert dotted(("hardware_disks", 3, "size")) == "hardware_disks[3].size"


def test_a_rule_runs_once_for_hosts_that_share_its_values():
    runs = []

    def rule(site_thing, other=1):
        runs.append(site_thing)
        yield Problem(("site_thing",), "why", "remedy")

    shared = {"a": 1}
    hosts = {f"h{n}": {"site_thing": shared} for n in range(50)} | {
        "own": {"site_thing": {"a": 2}},
        "none": {},
    }
    view = rules.View(hosts, {}, {("h7", "site_thing")})
    found = list(rules._per_host(rule, view))
    assert len(runs) == 2
    assert {problem.host for problem in found} == set(hosts) - {"h7", "none"}


OPTION = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": {"type": "str", "required": True},
        "size": {"type": "str", "choices": ["2MiB", "1GiB"]},
        "count": {"type": "int"},
        "ratio": {"type": "float"},
        "on": {"type": "bool"},
        "where": {"type": "path"},
        "tags": {"type": "list", "elements": "str"},
        "free": {"type": "dict"},
        "any": {"type": "raw"},
    },
}


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (
            [
                {
                    "name": "a",
                    "size": "2MiB",
                    "count": 1,
                    "ratio": 0.5,
                    "on": True,
                    "where": "/",
                    "tags": ["x"],
                }
            ],
            [],
        ),
        ([{"name": "a", "free": {"whatever": 1}, "any": [1, "two"]}], []),
        ([{}], ["v[0].name"]),
        ([{"name": 5}], ["v[0].name"]),
        ([{"name": "a", "size": "4MiB"}], ["v[0].size"]),
        ([{"name": "a", "count": "1"}], ["v[0].count"]),
        ([{"name": "a", "count": True}], ["v[0].count"]),
        ([{"name": "a", "on": "yes"}], ["v[0].on"]),
        ([{"name": "a", "tags": "x"}], ["v[0].tags"]),
        ([{"name": "a", "tags": [1]}], ["v[0].tags[0]"]),
        ([{"name": "a", "cuont": 1}], ["v[0].cuont"]),
        ([{"nmae": "a"}], ["v[0].nmae"]),
        ({"name": "a"}, ["v"]),
        ([{"name": "{{ template }}", "count": "{{ 1 + 1 }}"}], []),
    ],
)
def test_argument_specs_are_types(value, keys):
    found = list(violations("v", value, validator(schema_of(OPTION))))
    assert [dotted(problem.key) for problem in found] == keys


def test_every_schema_file_is_a_schema_and_says_what_it_is():
    for file in FOLDER.glob("*.yml"):
        jsonschema.Draft202012Validator.check_schema(yaml.safe_load(file.read_text()))
    for schema in load_all():
        jsonschema.Draft202012Validator.check_schema(schema.body)
        assert "$ref" not in str(schema.body)
    assert {schema.name for schema in load_all()} >= {"hardware", "site", "common", "platform"}
    assert all(schema.body.get("title") for schema in load_all())


def test_end_of_life_is_a_warning_from_its_day_on(monkeypatch):
    def warned(day):
        monkeypatch.setattr(compatibility, "today", lambda: day)
        return [w.key for w in outcome("production").warnings if "gets no fixes" in w.why]

    assert "version_nvidia_driver" not in warned(date(2028, 6, 30))
    assert "version_nvidia_driver" in warned(date(2028, 7, 1))


def test_reduced_cuda_mode_is_a_warning_not_an_error():
    edits = [on("all", f"version_nvidia_{what}", to="580.178.04") for what in ("driver", "fabric_manager")]
    result = outcome("production", *edits, on("all", "version_cuda", to=["13.2"]))
    assert result.errors == ()
    assert any("came with driver 595.45.04" in warning.why for warning in result.warnings)


def test_hosts_without_gpus_may_have_any_gpu_software():
    edits = [on(f"prod-ctl{n}", "version_nvidia_fabric_manager", to="535.1.1") for n in (1, 2, 3)]
    assert outcome("production", *edits).errors == ()


def test_a_wrong_type_hides_no_other_error_and_makes_none():
    """site_networks is unusable: the rules that need it stay quiet, all others speak."""
    result = outcome(
        "production",
        on("all", "site_networks", to="10.0.0.0/8"),
        on("prod-gpu1", "hardware_cpus", to=0),
        on("prod-gpu2", "hardware_rack", "unit", to=4),
    )
    assert sorted(error.key for error in result.errors) == ["hardware_cpus", "hardware_rack", "site_networks"]
