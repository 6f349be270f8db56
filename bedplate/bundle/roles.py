"""Which packages the roles install on the inventory's hosts, by the roles' own variables.

Ansible itself evaluates them: every playbook's plays run on the controller alone, with roles that have the
real ones' defaults and variables and nothing but one task, which says ``__ROLE_wanted`` or
``__ROLE_packages``.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.inventory import ansible_env, ansible_program

WORDS = ("wanted", "packages")  # __ROLE_WORD, the first that a role has


@dataclass(frozen=True, order=True)
class Wanted:
    """Packages of one role: names, or NAME=VERSION."""

    role: str
    names: tuple[str, ...]


def ask(inventory: Path, facts: Mapping[str, str], overlays: Iterable[Path] = ()) -> list[Wanted]:
    """What each role wants on any host that has ``facts``. Raises BedplateError with what Ansible says."""
    with tempfile.TemporaryDirectory(prefix="bedplate-roles-") as name:
        folder = Path(name)
        known = dict(_roles(folder / "roles"))
        plays = [
            play for file in sorted(paths.PLAYBOOKS.glob("*.yml")) for play in _plays(file, known, facts)
        ]
        (folder / "play.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
        sources = [word for path in (inventory, *overlays) for word in ("-i", str(path.resolve()))]
        done = subprocess.run(
            [ansible_program("ansible-playbook"), *sources, str(folder / "play.yml")],
            capture_output=True,
            text=True,
            check=False,
            cwd=paths.ROOT,
            env=ansible_env()
            | {"ANSIBLE_ROLES_PATH": str(folder / "roles"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise BedplateError(f"packages of roles: {done.stderr.strip()[-600:]}", code=BAD_INPUT) from None
    return collect(answer)


def _roles(folder: Path) -> Iterator[tuple[str, str]]:
    """Roles that install packages, with the variable that says which; each is made in ``folder``."""
    for role in sorted(paths.ROLES.iterdir()):
        if word := variable(role):
            (folder / role.name / "tasks").mkdir(parents=True)
            for part in ("defaults", "vars"):
                if (role / part).exists():
                    (folder / role.name / part).symlink_to((role / part).resolve())
            said = {"role": role.name, "packages": f"{{{{ {word} }}}}"}
            tasks = [{"name": role.name, "ansible.builtin.debug": {"msg": said}}]
            (folder / role.name / "tasks" / "main.yml").write_text(yaml.safe_dump(tasks))
            yield role.name, word


def variable(role: Path) -> str:
    """Name of the variable that lists a role's packages; empty where it installs none."""
    file = role / "vars" / "main.yml"
    names = yaml.safe_load(file.read_text()) or {} if file.exists() else {}
    words = [f"__{role.name}_{word}" for word in WORDS]
    return next((w for w in words if w in names), "")


def _plays(file: Path, known: Mapping[str, str], facts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The plays of a playbook, with roles that install packages and nothing else."""
    set_facts = {"ansible.builtin.set_fact": {**facts, "cacheable": True}, "name": "Facts"}
    for play in yaml.safe_load(file.read_text()):
        entries = [e if isinstance(e, dict) else {"role": e} for e in play.get("roles", ())]
        roles = [e for e in entries if e["role"] in known]
        if roles:
            kept = {key: play[key] for key in ("hosts", "vars") if key in play}
            yield {**kept, "gather_facts": False, "pre_tasks": [set_facts], "roles": roles}


def collect(answer: Mapping[str, Any]) -> list[Wanted]:
    """Pure: the answers of all hosts together. Raises BedplateError for a variable without value."""
    found: dict[str, set[str]] = {}
    for play in answer["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("failed"):
                    raise BedplateError(
                        f"packages of role {task['task']['name']} for {host}: {result.get('msg', '')}",
                        remedy="`bedplate check` says what the inventory lacks",
                        code=BAD_INPUT,
                    )
                said = result.get("msg")
                if isinstance(said, dict) and "role" in said:
                    found.setdefault(said["role"], set()).update(map(_name, said["packages"]))
    return [Wanted(role, tuple(sorted(names))) for role, names in sorted(found.items()) if names]


def _name(entry: str | Mapping[str, str]) -> str:
    if isinstance(entry, str):
        return entry
    return f"{entry['name']}={entry['version']}*" if entry.get("version") else entry["name"]
