#!/usr/bin/env python3
"""The hosts of a scenario: the twin of its own inventory (hosts.yml) where it has one, else its container."""

import json
import os
import subprocess
import sys
from pathlib import Path

scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
project = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])


def container() -> str:
    """One host, reached through podman."""
    name = f"bedplate-{scenario.name}"
    variables = {"ansible_connection": "containers.podman.podman"}
    return json.dumps({"all": {"hosts": [name]}, "_meta": {"hostvars": {name: variables}}})


def twin() -> str:
    """The scenario's inventory, and how to connect once its twin runs."""
    overlay = project / ".bedplate" / scenario.name / "twin/overlay/hosts.yml"
    sources = [scenario / "hosts.yml", *([overlay] if overlay.exists() else [])]
    command = [Path(sys.executable).with_name("ansible-inventory"), "--list"]
    command += [argument for source in sources for argument in ("-i", source)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


sys.stdout.write(twin() if (scenario / "hosts.yml").exists() else container())
