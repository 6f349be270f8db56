"""The rehearsal from its first step to its last, with progress for a person and evidence for the record."""

import sys
from pathlib import Path
from typing import Any

from bedplate import evidence, inventory, paths
from bedplate.console import Step, progress
from bedplate.inventory import Inventory
from bedplate.rehearse import stages
from bedplate.rehearse.program import Run
from bedplate.rehearse.result import FITS, Result
from bedplate.rehearse.session import Session, group_of

FIRST_UP_GOAL = 60  # seconds, lab


def rehearse(
    path: Path, *, project: Path = paths.PULUMI, keep: bool = False, scale: float = stages.DEFAULT_SCALE
) -> Result:
    """Rehearse one environment. Raises BadInput before anything is started when the platform cannot work."""
    with progress(f"read {path}"):
        known = inventory.load(path)
    if project == paths.PULUMI:
        refuse_bad_platform(known)
    with Session(known, project=project, keep=keep, scale=scale) as session:
        seconds: dict[str, float] = {}
        with progress("start the control plane") as step:
            seconds["control_plane"] = session.start(step.say)
        with progress("bring the inventory's hosts as nodes") as step:
            step.say(f"{session.register()} Ready")
        with progress("make the stack and its secrets"):
            session.prepare()
        with progress("pulumi up") as step:
            up = session.program.up(_teller(step), session.watcher())
            step.say(_summary(up))
        seconds["first_up"] = up.seconds
        unchanged = None
        if up.ok:
            with progress("pulumi preview --expect-no-changes") as step:
                preview = session.program.preview()
                unchanged, seconds["preview"] = preview.ok, preview.seconds
                step.say("nothing would change" if preview.ok else _summary(preview))
        memory = session.control_plane.processes.memory()
        result = Result(
            known.environment, scale, seconds, up, unchanged, session.verdict(), group_of(known), memory
        )
        _record(result)
        return result


def refuse_bad_platform(known: Inventory) -> None:
    """The program's own checks, before a control plane is started for nothing. Raises BadInput."""
    if str(paths.PULUMI) not in sys.path:
        sys.path.append(str(paths.PULUMI))
    from ai_platform.reading import read  # noqa: PLC0415 - the program is no dependency of this package

    read(known)


def _teller(step: Step) -> Any:
    """Shows which resource Pulumi is at."""
    done = 0

    def tell(event: dict[str, Any]) -> None:
        nonlocal done
        if outputs := event.get("resOutputsEvent"):
            done += 1
            kind = outputs["metadata"]["type"].rpartition(":")[2]
            step.say(f"{done} resources, {kind} {outputs['metadata']['urn'].rpartition('::')[2]}")

    return tell


def _summary(run: Run) -> str:
    counted = ", ".join(f"{count} {operation}" for operation, count in run.changes.items())
    return f"{counted or 'nothing'}{f'; {run.stopped}' if run.stopped else ''}"


def _record(result: Result) -> None:
    """Evidence that every rehearsal gives; the long proofs are the tests'."""
    command = f"bedplate rehearse -i inventories/{result.environment}"

    def note(name: str, claim: str, value: evidence.Value, unit: str = "", goal: str = "") -> None:
        evidence.record(
            result.environment,
            f"platform.rehearsal.{name}",
            claim,
            value,
            unit=unit,
            goal=goal,
            proved_on="rehearsal",
            command=command,
        )

    goal = f"< {FIRST_UP_GOAL}" if result.environment == "lab" else ""
    note(
        "control-plane", "Control plane of the inventory's nodes serves", result.seconds["control_plane"], "s"
    )
    note("verdict", "The platform fits the inventory", result.word == FITS, goal="== 1")
    note("pods", "Pods that the scheduler placed", sum(1 for pod in result.verdict.pods if pod.node), "pods")
    if result.up.ok:
        note("first-up", "First pulumi up on an empty cluster", result.seconds["first_up"], "s", goal)
        note("resources", "Resources of the stack", sum(result.up.changes.values()), "resources")
    if result.unchanged is not None:
        note("no-drift", "A second run would change nothing", result.unchanged, goal="== 1")
