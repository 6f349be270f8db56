"""Runs the acceptance of an environment's GPUs, and writes down what came of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import evidence, paths, playbook
from bedplate.acceptance import figures, verdict
from bedplate.acceptance.complaint import Complaint
from bedplate.acceptance.verdict import Verdict
from bedplate.acceptance.wanted import Wanted, wanted
from bedplate.check.source import read
from bedplate.errors import BedplateError
from bedplate.inventory import Inventory, Vars
from bedplate.playbook import PlaybookResult

PLAYBOOK = "gpu_acceptance.yml"
POLICY = "gpu_policy_"
ASKED = "Ask the run that goes on"  # the role's task that says what a run does
RESULT, VERDICT = "gpu_acceptance.json", "gpu_verdict.json"
QUICK_GOALS = {1: "< 20"}  # seconds of the quick level by number of GPUs
QUICK_GOAL = "< 30"


@dataclass(frozen=True)
class Outcome:
    """Verdicts of all hosts that were asked, in inventory order; ``seconds`` is what the playbook took."""

    environment: str
    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def accepted(self) -> bool:
        """All of them."""
        return bool(self.verdicts) and all(v.accepted for v in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "environment": self.environment,
            "accepted": self.accepted,
            "seconds": round(self.seconds, 1),
            "hosts": [v.as_dict() for v in self.verdicts],
        }


def accept(inventory: Path, *, limit: str = "", variables: Vars | None = None) -> Outcome:
    """Run the playbook with the role's ``variables`` and judge every host that took part.

    Raises BedplateError when no host of the inventory has GPUs, or when no host could be asked.
    """
    source = read(inventory).inventory
    if not any(_has_gpus(values) for values in source.hosts.values()):
        raise BedplateError(f"no host of {inventory} has hardware_gpus", remedy="there is nothing to accept")
    extra = {"gpu_acceptance_failure": "warn", **(variables or {})}
    done = playbook.run(inventory, PLAYBOOK, limit=limit, extra=extra)
    asked = [name for name in source.hosts if name in done.stats]
    if not asked:
        raise BedplateError(
            f"{PLAYBOOK} reached no host\n{done.output}", remedy="see what Ansible says above"
        )
    verdicts = tuple(_verdict(source, name, done) for name in asked)
    for one in verdicts:
        folder = paths.artifacts(source.environment) / "hosts" / one.host
        folder.mkdir(parents=True, exist_ok=True)
        (folder / VERDICT).write_text(json.dumps(one.as_dict(), indent=1) + "\n")
    return Outcome(source.environment, verdicts, done.seconds)


def status(inventory: Path, *, limit: str = "") -> dict[str, dict[str, Any]]:
    """What the run on every host does right now (level, step, seconds, until); empty where none goes on."""
    told: dict[str, dict[str, Any]] = {}

    def hear(event: playbook.Event) -> None:
        data = event.get("event_data", {})
        if event["event"] == "runner_on_ok" and data.get("task") == ASKED:
            told[data["host"]] = json.loads(data["res"].get("stdout") or "{}")

    playbook.run(inventory, PLAYBOOK, limit=limit, extra={"gpu_acceptance_action": "status"}, on_event=hear)
    return told


def expectations(values: Vars) -> Wanted:
    """What the inventory expects of the host with these variables."""
    return wanted(
        values["hardware_gpus"],
        values["catalogue_gpus"],
        values["catalogue_gpu_acceptance"],
        str(values.get("version_nvidia_driver", "")),
        {name.removeprefix(POLICY): value for name, value in values.items() if name.startswith(POLICY)},
        toolkits=values.get("version_cuda", ()),
        nccl=values.get("version_nccl", ""),
    )


def _has_gpus(values: Vars) -> bool:
    return bool((values.get("hardware_gpus") or {}).get("count"))


def _verdict(source: Inventory, name: str, done: PlaybookResult) -> Verdict:
    values = source.hosts[name]
    if not _has_gpus(values):
        raise BedplateError(
            f"{name} is in gpu_nodes and has no hardware_gpus", remedy="write them, or move the host"
        )
    expected = expectations(values)
    failed = [f"{task}: {why}" for host, task, why in done.failures if host == name]
    if failed:
        complaint = Complaint(
            "measure.failed", "host", "measuring", failed[0], "ends", "mend it and run the same command again"
        )
        return Verdict(name, "none", expected.model, expected.count, (complaint,), (), 0.0, complete=False)
    document = json.loads((paths.artifacts(source.environment) / "hosts" / name / RESULT).read_text())
    return verdict.judge(name, document, expected)


def record(outcome: Outcome, command: str, seconds: float) -> None:
    """Evidence of every host that was measured: ids begin with ``gpu.xN``, N its number of GPUs.

    A host without NVIDIA's kernel module proves nothing about GPUs, whatever answered there.
    """
    for one in outcome.verdicts:
        gpus = len({figure.where for figure in one.figures if figure.name == "memory_copy"})
        if not gpus or not one.real:
            continue
        about = _About(outcome.environment, f"gpu.x{gpus}", one, command)
        for figure in _worst(one.figures):
            _record_figure(about, figure)
        _record_baseline(about)
        _record_verdict(about, gpus, seconds)


@dataclass(frozen=True)
class _About:
    environment: str
    prefix: str
    verdict: Verdict
    command: str

    def record(self, name: str, claim: str, value: float, unit: str, goal: str) -> None:
        evidence.record(
            self.environment,
            f"{self.prefix}.{name.replace(' ', '_')}",
            claim,
            value,
            unit=unit,
            goal=goal,
            proved_on="gpu",
            command=self.command,
            machine={
                "accelerator": f"{self.verdict.count} x {self.verdict.model}",
                "host": self.verdict.host,
            },
        )


def _worst(found: tuple[figures.Figure, ...]) -> list[figures.Figure]:
    """Of every figure the slowest GPU or pair; of every collective the largest message."""
    chosen: dict[str, figures.Figure] = {}
    for figure in found:
        known = chosen.get(figure.name)
        if known is None or (figure.size, -figure.value) > (known.size, -known.value):
            chosen[figure.name] = figure
    return list(chosen.values())


def _record_figure(about: _About, figure: figures.Figure) -> None:
    size = f" of {figure.size // 2**20} MiB" if figure.size else ""
    published = f", {figure.published:g} published" if figure.published else ""
    plain = f"; plain PyTorch in the same run {figure.baseline:.1f}" if figure.baseline else ""
    claim = f"{figure.words}{size} on the slowest of {about.verdict.model}{published}{plain}"
    goal = f">= {figure.gate:g}" if figure.gate is not None else ""
    about.record(figure.name, claim, round(figure.value, 1), figure.unit, goal)


def _record_baseline(about: _About) -> None:
    ratios = [f.ratio for f in about.verdict.figures if figures.judged_by_baseline(f) and f.ratio]
    if ratios:
        worst = max(abs(ratio - 1) for ratio in ratios) * 100
        claim = f"The figure of {len(ratios)} that differs most from its plain baseline in the same run"
        about.record(f"{about.verdict.level}.baseline", claim, round(worst, 2), "%", "<= 3")


def _record_verdict(about: _About, gpus: int, seconds: float) -> None:
    one = about.verdict
    goal = QUICK_GOALS.get(gpus, QUICK_GOAL) if one.level == "quick" else ""
    claim = f"Level {one.level} on {gpus} GPUs takes, from the command to the verdict"
    about.record(f"{one.level}.seconds", claim, round(seconds, 1), "s", goal)
    claim = f"Level {one.level} finds nothing wrong with the host"
    about.record(f"{one.level}.failures", claim, len(one.failures), "failures", "== 0")
