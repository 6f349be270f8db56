"""What has to be known of a new environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bedplate.check.problem import dotted, shown
from bedplate.check.schema import validator, violations
from bedplate.errors import BadInput, Finding

SCHEMA = Path(__file__).with_name("answers.yml")
NAME = yaml.safe_load(SCHEMA.read_text())["properties"]["environment"]["pattern"]


@dataclass(frozen=True)
class Net:
    """One network; ``vlan`` 0 means untagged."""

    subnet: str
    vlan: int = 0
    gateway: str = ""


@dataclass(frozen=True)
class Disks:
    """Data disks of one class in each machine of a kind."""

    count: int
    size: str


@dataclass(frozen=True)
class Machines:
    """All machines of one group. ``disks`` maps class to what is in each machine."""

    count: int
    cpus: int
    memory: str
    speed: str = "25Gbit"
    gpu: str = ""
    gpus: int = 0
    disks: Mapping[str, Disks] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """Everything that a new inventory is made from. Groups without machines are left out."""

    environment: str
    domain: str
    time_servers: tuple[str, ...]
    management: Net
    cluster: Net
    business: Net
    machines: Mapping[str, Machines]
    origin: str = "answers"  # file that they come from, for messages

    @property
    def combined(self) -> bool:
        """The control plane is the gateway too."""
        return "gateways" not in self.machines

    @property
    def hosts(self) -> int:
        """Number of machines."""
        return sum(kind.count for kind in self.machines.values())


def read(file: Path) -> Answers:
    """Answers from a YAML file. Raises BadInput with everything that is wrong in it."""
    try:
        data = yaml.safe_load(file.read_text())
    except FileNotFoundError as error:
        why, remedy = "there is no such file", "docs/examples/answers.yml shows what goes in"
        raise BadInput(Finding(str(file), "--answers", str(file), why, remedy)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        why = f"not valid YAML: {getattr(error, 'problem', error)}"
        raise BadInput(Finding(place, "(file)", file.name, why, "correct this line")) from error
    return parse(data, str(file))


def parse(data: Any, origin: str) -> Answers:
    """Pure: answers as read from YAML. Raises BadInput naming ``origin``."""
    check = validator(yaml.safe_load(SCHEMA.read_text()))
    problems = list(violations("answers", data, check))
    if problems:
        raise BadInput(
            [
                Finding(origin, dotted(p.key[1:]) or "(file)", shown(p.value), p.why, p.remedy)
                for p in problems
            ]
        )
    networks = {name: Net(**data[name]) for name in ("management", "cluster", "business")}
    machines = {group: _machines(kind) for group, kind in data["machines"].items()}
    return Answers(
        environment=data["environment"],
        domain=data["domain"],
        time_servers=tuple(data["time_servers"]),
        machines={group: kind for group, kind in machines.items() if kind.count},
        origin=origin,
        **networks,
    )


def _machines(data: Mapping[str, Any]) -> Machines:
    disks = {name: Disks(**part) for name, part in data.get("disks", {}).items()}
    return Machines(**{**data, "disks": disks})
