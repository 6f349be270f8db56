"""One run of ``playbooks/site.yml``: judged, and written down for the report."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bedplate import paths, playbook
from bedplate.errors import BedplateError
from bedplate.playbook import PlaybookResult

PLAYBOOK = "site.yml"
_KEPT = ("rc", "stats", "tasks", "seconds", "changed_tasks")


def converge(
    inventory: Path, overlays: Sequence[Path] = (), *, accelerator: str = "", limit: str = ""
) -> PlaybookResult:
    """Run site.yml and append the run to ``artifacts/ENV/runs.jsonl``.

    ``accelerator`` says what the hosts are (``tcg`` or ``kvm`` for a twin, empty for real machines). Raises
    BedplateError with every host, task and message when a task failed.
    """
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    result = playbook.run(inventory, PLAYBOOK, overlays=overlays, limit=limit)
    line = {"time": begun, "playbook": PLAYBOOK, "accelerator": accelerator}
    line |= {key: value for key, value in asdict(result).items() if key in _KEPT}
    with (paths.artifacts(paths.environment_of(inventory)) / "runs.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    if result.rc != 0:
        raise BedplateError(explain(result), remedy="correct it and run the same command again: it goes on")
    return result


def explain(result: PlaybookResult) -> str:
    """Pure: which hosts failed at which task and why; the end of the output where no task said so."""
    lines = [f"{host}: {task}: {why}" for host, task, why in result.failures]
    return "site.yml failed\n" + ("\n".join(lines) or result.output)


def sentence(result: PlaybookResult) -> str:
    """Pure: one line per run for the terminal."""
    most = max(result.tasks.values(), default=0)
    return (
        f"site.yml: {len(result.stats)} hosts, changed={result.changed}, "
        f"at most {most} tasks on one host, {result.seconds:.0f} s"
    )
