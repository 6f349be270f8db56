"""Filter `environment`: the environment's name from the inventory sources of the run."""

from pathlib import Path
from typing import Any

from bedplate.paths import environment_of


def environment(sources: list[str]) -> str:
    """Name of the environment: the folder of the first inventory source; later sources are overlays."""
    return environment_of(Path(sources[0]))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"environment": environment}
