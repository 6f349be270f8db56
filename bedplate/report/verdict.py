"""The verdict: what was asked of this environment, what passed, what failed, what nobody measured. Pure."""

from collections.abc import Collection, Iterable

from bedplate.errors import Finding
from bedplate.report import units
from bedplate.report.facts import Host
from bedplate.report.model import (
    Area,
    Check,
    GpuVerdict,
    Measure,
    Reach,
    Rehearsal,
    Run,
    State,
    StorageLayout,
)

SITE = "site.yml"


def checks_of(
    *,
    hosts: tuple[Host, ...],
    runs: tuple[Run, ...],
    reach: tuple[Reach, ...],
    storage: tuple[StorageLayout, ...],
    rehearsal: Rehearsal | None,
    areas: tuple[Area, ...],
    gpus: tuple[GpuVerdict, ...] = (),
) -> tuple[Check, ...]:
    """Every question that this inventory raises, with its answer."""
    site = [run for run in runs if run.playbook.endswith(SITE)]
    checks = [_configured(hosts, site), _unchanged(site)]
    if reach:
        checks.append(_networks(reach))
    if any(layout.tiers for layout in storage):
        checks.append(_storage([m for lay in storage for t in lay.tiers for m in t.measures]))
    checks.append(_fits(rehearsal))
    if any(host.gpu_count for host in hosts):
        checks.append(_gpus(areas, gpus, sum(1 for host in hosts if host.gpu_count)))
    checks.append(_claims(areas))
    return tuple(checks)


def inventory_check(findings: Collection[Finding] | None) -> Check:
    """Whether the inventory is right: what ``bedplate check`` says of it."""
    label = "Is the inventory right?"
    if findings is None:
        return Check("none", label, "It was not checked.")
    errors = sum(1 for finding in findings if finding.level == "error")
    warnings = units.count(len(findings) - errors, "warning")
    if errors:
        return Check("fail", label, f"{units.count(errors, 'error')}, {warnings}.", "findings")
    return Check("pass", label, f"No errors, {warnings}.", "findings" if findings else "")


def headline_of(checks: tuple[Check, ...]) -> tuple[State, str]:
    """One state and one sentence over all checks."""
    failed = sum(1 for check in checks if check.state == "fail")
    opened = sum(1 for check in checks if check.state == "none")
    if failed:
        rest = f" {opened} were not measured." if opened > 1 else " One was not measured." if opened else ""
        verb = "is" if failed == 1 else "are"
        return "fail", f"Not accepted. {failed} of {len(checks)} answers {verb} no.{rest}"
    if opened >= len(checks) - 1:  # all but the inventory itself, which is checked as it is read
        return "none", "A plan. Nothing of it has been measured yet."
    if opened:
        noun = "question is" if opened == 1 else "questions are"
        return "info", f"What was measured passed. {opened} of {len(checks)} {noun} still open."
    return "pass", "Accepted. Everything that was asked was measured and passed."


def state_of_hosts(hosts: Iterable[Host], runs: tuple[Run, ...], measures: list[Measure]) -> dict[str, State]:
    """One state per host: its last site.yml run and its storage; ``fail`` wins."""
    states: dict[str, State] = {host.name: "none" for host in hosts}
    for name, state in configured_hosts(runs).items():
        if name in states:
            states[name] = state
    for measure in measures:
        if measure.state == "fail":
            states[measure.host] = "fail"
    return states


def configured_hosts(runs: Iterable[Run]) -> dict[str, State]:
    """Each host's state after the last site.yml run that it took part in; ``runs`` come newest first."""
    states: dict[str, State] = {}
    for run in runs:
        for host in run.hosts if run.playbook.endswith(SITE) else ():
            states.setdefault(host.host, "fail" if host.failed or host.unreachable else "pass")
    return states


def _configured(hosts: tuple[Host, ...], site: list[Run]) -> Check:
    label, anchor = "Does site.yml configure every host?", "runs"
    if not site:
        return Check("none", label, "site.yml has not been run.", anchor)
    states = configured_hosts(site)
    failed = [host.name for host in hosts if states.get(host.name) == "fail"]
    missing = [host.name for host in hosts if host.name not in states]
    run = site[0]
    if failed or run.state == "fail":
        where = f"on {units.some(failed)}" if failed else "before it reached a host"
        return Check("fail", label, f"The last run failed {where}, {run.time} UTC.", anchor)
    if missing:
        return Check("none", label, f"It has not been run on {units.some(missing)}.", anchor)
    took = f"{units.count(len(run.hosts), 'host')} in {units.duration(run.seconds)}"
    return Check("pass", label, f"{took} on {run.machine}, {run.time} UTC.", anchor)


def _unchanged(site: list[Run]) -> Check:
    label, anchor = "Does a second run change nothing?", "runs"
    good = [run for run in site if run.state == "pass"]
    if good and not good[0].changed:
        words = f"0 changes, {good[0].tasks} tasks per host at most, {units.duration(good[0].seconds)}."
        return Check("pass", label, words, anchor)
    if good:
        return Check(
            "none",
            label,
            f"The last run made {units.count(good[0].changed, 'change')}; run it once more.",
            anchor,
        )
    return Check("none", label, "site.yml has not been run to its end.", anchor)


def _networks(reach: tuple[Reach, ...]) -> Check:
    label, anchor = "Do the hosts reach each other?", "networks"
    failed = [entry.host for entry in reach if entry.state == "fail"]
    missing = [entry.host for entry in reach if entry.state == "none"]
    if failed:
        return Check("fail", label, f"Not {units.some(failed)}.", anchor)
    if missing:
        return Check("none", label, f"Not measured on {units.some(missing)}.", anchor)
    asked, answered = sum(e.asked for e in reach), sum(e.answered for e in reach)
    words = f"{answered:,} of {asked:,} gateways and peers answer, all links are up."
    return Check("pass", label, words, anchor)


def _storage(measures: list[Measure]) -> Check:
    label, anchor = "Do the storage tiers keep their promise?", "storage"
    judged = [m for m in measures if m.state in ("pass", "fail", "none")]
    if not judged:
        return Check("none", label, "No tier promises anything.", anchor)
    failed = [m for m in judged if m.state == "fail"]
    unmeasured = sum(1 for m in judged if m.state == "none")
    if failed:
        named = units.some([f"{m.host} {m.tier} {m.what}" for m in failed])
        return Check("fail", label, f"Not kept: {named}.", anchor)
    if unmeasured:
        words = f"{unmeasured:,} of {units.count(len(judged), 'promise')} not measured."
        return Check("none", label, words, anchor)
    words = f"{units.count(len(judged), 'promise')} measured and kept"
    if any(m.relative for m in judged):
        words += ", judged as a ratio to the tiers' own raw members because the disks are emulated"
    return Check("pass", label, f"{words}.", anchor)


def _fits(rehearsal: Rehearsal | None) -> Check:
    label, anchor = "Does the platform fit these hosts?", "rehearsal"
    if rehearsal is None:
        return Check("none", label, "It has not been rehearsed.", anchor)
    return Check(rehearsal.state, label, rehearsal.summary, anchor)


def _gpus(areas: tuple[Area, ...], gpus: tuple[GpuVerdict, ...], hosts: int) -> Check:
    """Verdicts on the hosts' own GPUs count first; without them, records that were proved elsewhere."""
    label = "Do the GPUs perform?"
    refused = [verdict.host for verdict in gpus if verdict.state == "fail"]
    if refused:
        return Check("fail", label, f"Not accepted: {units.some(refused)}.", "acceptance")
    if gpus and len(gpus) < hosts:
        words = f"{len(gpus)} of {units.count(hosts, 'host')} with GPUs accepted, the others not measured."
        return Check("none", label, words, "acceptance")
    if gpus:
        return Check("pass", label, f"{units.count(len(gpus), 'host')} with GPUs accepted.", "acceptance")
    return _gpu_records(areas, label)


def _gpu_records(areas: tuple[Area, ...], label: str) -> Check:
    proofs = [p for area in areas if area.name == "gpu" for p in area.proofs if p.state in ("pass", "fail")]
    if not proofs:
        return Check("none", label, "No GPU was measured; a twin has none.", "evidence")
    missed = sum(1 for proof in proofs if proof.state == "fail")
    state: State = "fail" if missed else "pass"
    return Check(state, label, f"{len(proofs) - missed} of {len(proofs)} goals met.", "evidence")


def _claims(areas: tuple[Area, ...]) -> Check:
    label, anchor = "Are the goals of all other measurements met?", "evidence"
    judged = [p for area in areas if area.name != "gpu" for p in area.proofs if p.state in ("pass", "fail")]
    if not judged:
        return Check("none", label, "There is no record of one.", anchor)
    missed = [proof.id for proof in judged if proof.state == "fail"]
    if missed:
        return Check("fail", label, f"{len(missed)} of {len(judged)} missed: {units.some(missed)}.", anchor)
    return Check("pass", label, f"{len(judged)} of {len(judged)} goals met.", anchor)
