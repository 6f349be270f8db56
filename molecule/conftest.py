"""Connects the tests of a scenario to its machines: a container through podman, a twin through Ansible."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import testinfra

SHARED = Path(__file__).parent / "shared"


def _runs():
    file = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "changes.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture(scope="session")
def runs():
    """Every run of converge until the tests began, oldest first."""
    return _runs()


def pytest_terminal_summary(terminalreporter):
    """Say what a second run costs: each task is a round trip to every machine."""
    real = [run for run in _runs() if not run["check"]]
    if len(real) > 1:
        tasks = Counter(host for host, _ in real[1]["executed"])
        told = ", ".join(f"{number} on {host}" for host, number in sorted(tasks.items()))
        terminalreporter.write_line(f"tasks of the second run, facts included: {told}")


def _machines():
    listing = json.loads(subprocess.check_output([SHARED / "inventory.py"], text=True))
    return listing["_meta"]["hostvars"]


def _connect(name, variables):
    if variables.get("ansible_connection") == "containers.podman.podman":
        return testinfra.get_host(f"podman://{name}")
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={SHARED / 'inventory.py'}&sudo=true")


@pytest.fixture(scope="session")
def hosts():
    """Every machine of the scenario by name."""
    return {name: _connect(name, variables) for name, variables in _machines().items()}


@pytest.fixture(scope="session")
def host(hosts):
    """The scenario's only machine, or the first of several."""
    return next(iter(hosts.values()))


@pytest.fixture(scope="session")
def scenario():
    """Folder of the scenario under test."""
    return Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])


@pytest.fixture(scope="session")
def carry(host):
    """Brings a file or folder of this machine into a folder of the scenario's container."""

    def into(path, folder):
        result = host.backend.run_local(
            f"tar -C {path.parent} -c {path.name} | podman exec -i {host.backend.name} tar -C {folder} -x"
        )
        assert result.rc == 0, result.stderr

    return into
