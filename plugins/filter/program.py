"""Filter `program_files`: a program of several Python files, as config_files puts it on a host in one round
trip.
"""

from pathlib import Path
from typing import Any


def program_files(source: str, target: str) -> list[dict[str, str]]:
    """Every Python file directly in folder ``source`` of the controller, for folder ``target`` of the host.

    Raises FileNotFoundError where there is none: a host's program is never nothing.
    """
    files = sorted(Path(source).glob("*.py"))
    if not files:
        raise FileNotFoundError(f"{source} has no Python files")
    return [{"path": f"{target}/{file.name}", "content": file.read_text()} for file in files]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"program_files": program_files}
