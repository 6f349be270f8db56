"""A module of ours as Ansible runs it: packed, sent to this machine, its answer read."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from bedplate import paths
from bedplate.inventory import ansible_env, ansible_program


@dataclass(frozen=True)
class Module:
    """Call it with the module's arguments; ``check`` is check mode."""

    name: str

    def __call__(self, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """What the module answered, ``changed`` and ``failed`` always among it."""
        command = [
            ansible_program("ansible"),
            "localhost",
            "-c",
            "local",
            "-i",
            "localhost,",
            "-m",
            self.name,
        ]
        command += ["-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(arguments)]
        settings = ansible_env() | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_FORCE_COLOR": "0"}
        done = subprocess.run(
            command + ["--check"] * check,
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=settings,
        )
        _, arrow, answer = done.stdout.partition("=> ")
        assert arrow, done.stderr or done.stdout
        result: dict[str, Any] = json.JSONDecoder().raw_decode(answer)[0]
        return {**result, "failed": done.returncode != 0}
