"""Runs converge.yml once more with other variables, as an operator would who edits the inventory."""

import os
import subprocess
import sys
from pathlib import Path

from bedplate.playbook import PlaybookResult, run

SHARED = Path(__file__).parent
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def converge(check: bool = False, **variables: object) -> PlaybookResult:
    """One run of the scenario's role."""
    playbook = str(SHARED / "converge.yml")
    inventory = EPHEMERAL / "inventory"
    return run(inventory, playbook, overlays=[SHARED / "inventory.py"], check=check, extra=variables)


def machine(host, description: str) -> None:
    """Other devices on the bus, in the JSON that stand_in_machine.py reads."""
    script = (SHARED / "files" / "stand_in_machine.py").read_text()
    command = ["podman", "exec", "-i", host.backend.name, "/usr/bin/python3", "-", description]
    subprocess.run(command, input=script, text=True, check=True, stdout=sys.stderr)
