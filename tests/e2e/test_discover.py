"""`bedplate discover` against the twin gives back what the twin was built from."""

import json
import subprocess
import sys

import pytest

from bedplate import evidence, paths
from bedplate.twin.spec import parse_speed
from bedplate.units import parse_bytes

pytestmark = pytest.mark.twin


def test_discover_gives_back_what_the_twin_was_built_from(lab_twin) -> None:
    """Disks by serial, class, use and the bytes that they were built with; NICs by name, MAC and speed."""
    state = paths.state("lab") / "twin"
    command = ["discover", "-i", "inventories/lab", "-i", str(state / "overlay"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "bedplate", *command],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    built = {
        machine["name"]: machine for machine in json.loads((state / "machines.json").read_text())["machines"]
    }
    assert set(found) == set(built)
    differing = 0
    for name, machine in built.items():
        disks = {
            (disk["serial"], disk["class"], disk.get("use") == "system", parse_bytes(disk["size"]))
            for disk in found[name]["hardware_disks"]
        }
        nics = {(nic["name"], nic["mac"], parse_speed(nic["speed"])) for nic in found[name]["hardware_nics"]}
        want_disks = {(d["serial"], d["kind"], d["system"], d["bytes"]) for d in machine["disks"]}
        want_nics = {(nic["name"], nic["mac"], nic["speed"]) for nic in machine["nics"]}
        differing += len(disks ^ want_disks) + len(nics ^ want_nics)
        assert disks == want_disks
        assert nics == want_nics
    evidence.record(
        "lab",
        "hosts.discover",
        "What discover reads on the twin is what the twin was built from (disks and NICs that differ)",
        differing,
        goal="== 0",
        proved_on="twin",
        command="pytest -q tests/e2e/test_discover.py",
    )
