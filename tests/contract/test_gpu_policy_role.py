"""The host's own program is the module's planner, whole, and it reads what the module is told."""

import ast
import sys
from pathlib import Path

import yaml

from bedplate import paths
from bedplate.check.roles import specs
from plugins.filter.program import program_files

ROLE = paths.ROLES / "gpu_policy"
PLANNER = paths.ROOT / "plugins" / "module_utils" / "gpu_policy"


def test_the_planner_is_brought_to_the_host_whole() -> None:
    brought = {Path(file["path"]).name: file["content"] for file in program_files(str(PLANNER), "/usr/local")}
    assert brought == {file.name: file.read_text() for file in PLANNER.glob("*.py")}


def test_what_is_brought_needs_nothing_else() -> None:
    """Its own files, and what every Python has."""
    for file in PLANNER.glob("*.py"):
        imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        own = {node.module for node in imports if node.level == 1 and node.module}
        assert own <= {other.stem for other in PLANNER.glob("*.py")}
        foreign = {(node.module or "").partition(".")[0] for node in imports if node.level == 0}
        assert foreign <= sys.stdlib_module_names


def test_module_and_host_are_told_the_same() -> None:
    told = yaml.safe_load((ROLE / "tasks" / "apply.yml").read_text())[0]["gpu_policy"]
    kept = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__gpu_policy_settings"]
    assert set(told) - {"reset"} == set(kept)
    assert {name: text for name, text in kept.items() if name != "layouts"} == {
        name: text for name, text in told.items() if name not in ("layouts", "reset")
    }


def test_every_variable_reaches_the_module() -> None:
    told = yaml.safe_load((ROLE / "tasks" / "apply.yml").read_text())[0]["gpu_policy"]
    variables = set(specs()["gpu_policy"])
    assert {f"gpu_policy_{name}" for name in told} - {"gpu_policy_layouts"} == variables


def test_an_override_takes_what_is_of_one_gpu() -> None:
    """All but what is of the whole driver (persistence) or of the run (reset)."""
    override = specs()["gpu_policy"]["gpu_policy_overrides"]["items"]["properties"]
    whole = {name.removeprefix("gpu_policy_") for name in specs()["gpu_policy"]}
    assert set(override) - {"gpus"} == whole - {"persistence", "reset", "overrides"}
