"""What a person sees on the terminal: one console, one way to show progress, one way to fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from bedplate.errors import BadInput, BedplateError

out = Console()  # results
err = Console(stderr=True)  # progress and errors: `--json` keeps standard output clean


@contextmanager
def progress(description: str, total: float | None = None) -> Iterator["Step"]:
    """Show one long step with the time it has taken; without a terminal, one line at start and end."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    if total is not None:
        columns[2:2] = [BarColumn(), MofNCompleteColumn()]
    if not err.is_terminal:
        err.print(f"… {description}", highlight=False)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        step = Step(bar, bar.add_task(description, total=total), description)
        yield step
        elapsed = bar.tasks[0].elapsed
    took = f" ({elapsed:.0f} s)" if elapsed else ""
    err.print(f"[green]✓[/] {step.description}{took}", highlight=False)


class Step:
    """A running step: ``advance()`` by what is done, ``say()`` what is being done now."""

    def __init__(self, bar: Progress, task: Any, description: str) -> None:
        self._bar, self._task, self.description = bar, task, description

    def advance(self, amount: float = 1) -> None:
        """Count ``amount`` more of the total as done."""
        self._bar.advance(self._task, amount)

    def say(self, text: str) -> None:
        """Show what is being worked on; plain lines where there is no terminal."""
        self._bar.update(self._task, description=f"{self.description}: {text}")


def print_json(data: Any) -> None:
    """Machine-readable output: exactly one JSON document on standard output."""
    out.file.write(json.dumps(data, indent=2, default=str) + "\n")


def print_error(error: BedplateError) -> None:
    """Show an error with its remedy, all findings of a bad input in file order."""
    if isinstance(error, BadInput):
        for finding in sorted(error.findings):
            colour = "red" if finding.level == "error" else "yellow"
            err.print(f"[{colour}]{finding.level}[/] [bold]{finding.file}[/]", highlight=False)
            err.print(
                f"  {finding.key} = {finding.value}\n  {finding.why}\n  → {finding.remedy}",
                markup=False,
                soft_wrap=True,
            )
        return
    err.print(f"[red]error[/] {error}", highlight=False)
    if error.remedy:
        err.print(f"  → {error.remedy}", markup=False, highlight=False)
