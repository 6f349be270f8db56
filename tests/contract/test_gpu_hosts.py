"""playbooks/gpu_hosts.yml: whom it concerns."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bedplate import paths
from bedplate.inventory import ansible_env
from bedplate.twin import connection


def hosts(*sources: Path) -> int:
    """Hosts that the playbook would run on, as ansible-playbook itself lists them."""
    command = [Path(sys.executable).with_name("ansible-playbook"), "playbooks/gpu_hosts.yml", "--list-hosts"]
    command += [argument for source in sources for argument in ("-i", str(source))]
    done = subprocess.run(
        command, cwd=paths.ROOT, env=ansible_env(), capture_output=True, text=True, check=True
    )
    assert "no_gpus" not in done.stderr  # a warning in every run would be read by nobody
    return sum(int(count) for count in re.findall(r"hosts \((\d+)\)", done.stdout))


@pytest.mark.parametrize(("environment", "count"), [("lab", 1), ("production", 8)])
def test_it_runs_on_every_gpu_node(environment: str, count: int) -> None:
    assert hosts(paths.INVENTORIES / environment) == count


def test_it_runs_on_no_machine_of_a_twin(tmp_path: Path) -> None:
    overlay = tmp_path / "hosts.yml"
    overlay.write_text(json.dumps(connection.groups(["lab-gpu1", "lab-ctl1"])))
    assert hosts(paths.INVENTORIES / "lab", overlay) == 0
