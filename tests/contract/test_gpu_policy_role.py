"""The host's own program is the module's planner, whole, and it reads what the module is told."""

import re

import yaml

from bedplate import paths
from bedplate.check.roles import specs

ROLE = paths.ROLES / "gpu_policy"
PLANNER = paths.ROOT / "plugins" / "module_utils" / "gpu_policy"
NEEDS_NO_HOST_PROGRAM = {"hardware.py"}  # asked by the module where no driver answers


def test_every_file_of_the_planner_is_brought_to_the_host() -> None:
    files = yaml.safe_load((ROLE / "tasks" / "configure.yml").read_text())[0]["config_files"]["files"]
    brought = {file["path"].rpartition("/")[2] for file in files if "__gpu_policy_program" in file["path"]}
    assert brought == {file.name for file in PLANNER.glob("*.py")} - NEEDS_NO_HOST_PROGRAM


def test_what_is_brought_needs_nothing_else() -> None:
    files = [file for file in PLANNER.glob("*.py") if file.name not in NEEDS_NO_HOST_PROGRAM]
    imported = {
        name for file in files for name in re.findall(r"^from \.(\w*) import", file.read_text(), re.M)
    }
    assert imported - {""} <= {file.stem for file in files}


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
