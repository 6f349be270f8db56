"""A role says each thing once, and what it says agrees: defaults, spec, tasks, reference, scenarios."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bedplate import paths
from bedplate.check.problem import dotted
from bedplate.check.roles import common_names, schema_of
from bedplate.check.schema import load_all, validator, violations

ROLES = sorted(path.parent.parent for path in paths.ROLES.glob("*/tasks/main.yml"))
SCENARIOS = paths.ROOT / "molecule"
REFERENCE = paths.ROOT / "docs" / "inventory-reference.md"
WORD = r"(?<![\w.'\"/-])({prefix}[a-z0-9_]+)\b(?!\s*\()"


def load(file: Path) -> Any:
    """A YAML file of a role; nothing when there is none."""
    return (yaml.safe_load(file.read_text()) if file.exists() else None) or {}


@cache
def defaults(role: Path) -> dict[str, Any]:
    return load(role / "defaults" / "main.yml")


@cache
def options(role: Path) -> dict[str, Any]:
    return load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})


@cache
def sources(role: Path) -> str:
    """Everything that a role runs or renders."""
    parts = ("tasks", "handlers", "templates", "vars", "defaults")
    files = [f for part in parts for f in sorted((role / part).rglob("*")) if f.is_file()]
    lines = [line for file in files for line in file.read_text().splitlines()]
    return "\n".join(line.split(" #")[0] for line in lines if not line.lstrip().startswith("#"))


def nested(option: dict[str, Any]) -> list[dict[str, Any]]:
    """An option and all options within it."""
    inner = [found for part in option.get("options", {}).values() for found in nested(part)]
    return [option, *inner]


def tasks(role: Path) -> list[dict[str, Any]]:
    """Every task and handler of a role, blocks opened."""

    def opened(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        inner = [opened(item[key]) for item in items for key in ("block", "rescue", "always") if key in item]
        return [*items, *(task for group in inner for task in group)]

    files = [*sorted((role / "tasks").glob("*.yml")), *sorted((role / "handlers").glob("*.yml"))]
    return [task for file in files for task in opened(load(file) or [])]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
class TestRole:
    """One role."""

    def test_defaults_and_argument_spec_name_the_same_variables(self, role: Path) -> None:
        """A spec may ask for shared words besides; those have their defaults elsewhere, or none."""
        shared = {name for schema in load_all() for name in schema.variables} | common_names()
        assert set(defaults(role)) == set(options(role)) - shared

    def test_public_variables_begin_with_the_role(self, role: Path) -> None:
        wrong = [
            name for name in defaults(role) if name != role.name and not name.startswith(f"{role.name}_")
        ]
        assert wrong == []

    def test_spec_describes_every_option_and_sets_no_default(self, role: Path) -> None:
        """Ansible never applies a spec's default; a second one would only lie."""
        found = [part for option in options(role).values() for part in nested(option)]
        assert all(part.get("description") for part in found)
        assert not any("default" in part for part in found)

    def test_defaults_have_the_types_that_the_spec_promises(self, role: Path) -> None:
        wrong = [
            f"{dotted(problem.key)}: {problem.why}"
            for name, value in defaults(role).items()
            for problem in violations(name, value, validator(schema_of(options(role)[name])))
        ]
        assert wrong == []

    def test_every_variable_that_is_read_is_defined(self, role: Path) -> None:
        """Public ones in defaults, private ones in vars, register, set_fact or task vars."""
        prefix = f"(?:__)?{role.name}_"
        read = set(re.findall(WORD.format(prefix=prefix), sources(role)))
        private = {name for file in (role / "vars").glob("*.yml") for name in load(file)}
        for task in tasks(role):
            private |= set(task.get("vars", {})) | {task.get("register")}
            private |= set(task.get("ansible.builtin.set_fact", {}))
            private |= {task.get("loop_control", {}).get(key) for key in ("loop_var", "index_var")}
        modules = {path.stem for path in (paths.ROOT / "plugins" / "modules").glob("*.py")}
        facts = {f"{module}" for module in modules}
        assert read - set(defaults(role)) - private - facts == set()

    def test_what_it_registers_is_private(self, role: Path) -> None:
        names = {task["register"] for task in tasks(role) if "register" in task}
        names |= {name for task in tasks(role) for name in task.get("ansible.builtin.set_fact", {})}
        assert {
            name for name in names if not name.startswith(f"__{role.name}") and name != "cacheable"
        } == set()

    def test_shared_words_that_it_reads_exist(self, role: Path) -> None:
        """site_ and hardware_ words stand in a schema; ports, paths and versions in _common."""
        known = {name for schema in load_all() for name in schema.variables} | common_names()
        words = {
            w
            for p in ("site_", "hardware_", "port_", "path_", "version_")
            for w in re.findall(WORD.format(prefix=p), sources(role))
        }
        assert words - known == set()

    def test_tasks_are_a_table_of_contents(self, role: Path) -> None:
        entries = load(role / "tasks" / "main.yml")
        kinds = {key for entry in entries for key in entry if "." in key or key in ("block", "import_tasks")}
        assert kinds <= {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}
        assert all(re.match(r"[A-Z]", entry["name"]) for entry in entries)

    def test_reference_has_every_variable(self, role: Path) -> None:
        text = REFERENCE.read_text()
        assert [name for name in defaults(role) if f"`{name}`" not in text] == []

    def test_readme_lists_what_is_there(self, role: Path) -> None:
        """A role needs no README; one that lists variables lists all of them and no others."""
        readme = role / "README.md"
        listed = (
            set(re.findall(rf"^\| `({role.name}\w*)`", readme.read_text(), re.M))
            if readme.exists()
            else set()
        )
        assert listed in (set(), set(defaults(role)))

    @pytest.mark.parametrize("kind", ["", "-alternative"])
    def test_scenario_exists_and_asserts_something(self, role: Path, kind: str) -> None:
        """One with no variables set, one with everything set."""
        scenario = SCENARIOS / f"{role.name}{kind}"
        assert (scenario / "molecule.yml").exists()
        checks = "\n".join(file.read_text() for file in (scenario / "tests").rglob("test_*.py"))
        assert len(re.findall(r"^\s*assert (?!True\b)", checks, re.M)) >= 1


def test_every_scenario_belongs_to_a_role() -> None:
    scenarios = {path.parent.name for path in SCENARIOS.glob("*/molecule.yml")}
    names = {role.name for role in ROLES}
    assert {name for name in scenarios if name not in names and name.split("-")[0] not in names} == set()
