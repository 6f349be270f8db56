"""Playbook runs and evidence records as the page shows them. Pure."""

from typing import Any

from bedplate import evidence
from bedplate.report import units
from bedplate.report.facts import dicts
from bedplate.report.model import Area, HostRun, Proof, Run, State

_MACHINES = {
    "tcg": "virtual machines, emulated CPU",
    "kvm": "virtual machines, KVM",
    "container": "containers",
    "": "the inventory's own machines",
}
_PROVED_ON = {
    "twin": "virtual twin",
    "rehearsal": "real control plane, played kubelets",
    "program": "real program on one machine",
    "gpu": "real GPUs",
    "unit": "pure function, no machine",
}


def run_of(record: dict[str, Any]) -> Run:
    """One line of ``runs.jsonl`` as a Run; absent figures count as zero."""
    stats: dict[str, Any] = record.get("stats") or {}
    tasks: dict[str, int] = record.get("tasks") or {}
    hosts = tuple(
        HostRun(
            host=host,
            tasks=tasks.get(host, 0),
            changed=figures.get("changed", 0),
            failed=figures.get("failures", figures.get("failed", 0)),
            unreachable=bool(figures.get("unreachable", 0)),
        )
        for host, figures in sorted(stats.items())
    )
    accelerator = record.get("accelerator") or ""
    return Run(
        time=units.moment(record.get("time", "")),
        playbook=str(record.get("playbook", "")),
        seconds=float(record.get("seconds") or 0),
        state="pass" if record.get("rc") == 0 else "fail",
        machine=_MACHINES.get(accelerator, str(accelerator)),
        hosts=hosts,
        changed_tasks=tuple((str(host), str(task)) for host, task in record.get("changed_tasks") or ()),
    )


def runs_of(records: tuple[dict[str, Any], ...]) -> tuple[Run, ...]:
    """All runs, newest first."""
    return tuple(run_of(record) for record in reversed(dicts(list(records))))


def areas_of(records: tuple[evidence.Evidence, ...]) -> tuple[Area, ...]:
    """Every area in its fixed order with its proofs, the empty ones too: they were not measured."""
    return tuple(
        Area(area, tuple(_proof(r) for r in records if r.id.split(".", maxsplit=1)[0] == area))
        for area in evidence.AREAS
    )


def machine_words(machine: dict[str, str | int]) -> str:
    """What a record was measured on: ``2 cores, x86_64, emulated (tcg)``."""
    words = [f"{machine['cores']} cores"] if "cores" in machine else []
    words += [str(machine["arch"])] if "arch" in machine else []
    accelerator = str(machine.get("accelerator") or "")
    if accelerator:
        words.append({"tcg": "emulated CPU (tcg)", "kvm": "KVM"}.get(accelerator, accelerator))
    rest = set(machine) - {"cores", "arch", "accelerator"}
    return ", ".join(words + [f"{key} {machine[key]}" for key in sorted(rest)])


def _proof(record: evidence.Evidence) -> Proof:
    states: dict[str, State] = {"pass": "pass", "fail": "fail"}
    return Proof(
        id=record.id,
        claim=record.claim,
        state=states.get(record.verdict, "info"),
        value=units.number(record.value),
        unit=record.unit,
        goal=units.goal(record.goal),
        proved_on=_PROVED_ON.get(record.proved_on, record.proved_on),
        machine=machine_words(record.machine),
        command=record.command,
        time=units.moment(record.time),
    )
