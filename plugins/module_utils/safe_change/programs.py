"""Programs of the host, as a change that can be taken back runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Run = Callable[..., tuple[int, str, str]]


def runner(module: Any) -> Run:
    """How a module runs a program: code, output, errors; 127 when it is not there."""

    def run(command: Sequence[str], data: str | None = None) -> tuple[int, str, str]:
        try:
            code, out, err = module.run_command(command, data=data, handle_exceptions=False)
        except OSError as error:
            return 127, "", str(error)
        return code, out, err

    return run
