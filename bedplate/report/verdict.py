"""The verdict: what was asked of this environment, what passed, what failed, what nobody measured. Pure."""

from collections.abc import Iterable

from bedplate.report import units
from bedplate.report.facts import Host
from bedplate.report.model import Area, Check, Measure, Rehearsal, Run, State, StorageLayout

SITE = "site.yml"


def checks_of(
    hosts: tuple[Host, ...],
    runs: tuple[Run, ...],
    storage: tuple[StorageLayout, ...],
    rehearsal: Rehearsal | None,
    areas: tuple[Area, ...],
) -> tuple[Check, ...]:
    """Every question that this inventory raises, with its answer."""
    site = [run for run in runs if run.playbook.endswith(SITE)]
    checks = [_configured(site), _unchanged(site)]
    if any(layout.tiers for layout in storage):
        checks.append(_storage([m for lay in storage for t in lay.tiers for m in t.measures]))
    checks.append(_fits(rehearsal))
    if any(host.gpu_count for host in hosts):
        checks.append(_gpus(areas))
    checks.append(_claims(areas))
    return tuple(checks)


def headline_of(checks: tuple[Check, ...]) -> tuple[State, str]:
    """One state and one sentence over all checks."""
    failed = sum(1 for check in checks if check.state == "fail")
    opened = sum(1 for check in checks if check.state == "none")
    if failed:
        rest = f" {opened} were not measured." if opened > 1 else " One was not measured." if opened else ""
        verb = "is" if failed == 1 else "are"
        return "fail", f"Not accepted. {failed} of {len(checks)} answers {verb} no.{rest}"
    if opened == len(checks):
        return "none", "A plan. Nothing of it has been measured yet."
    if opened:
        noun = "question is" if opened == 1 else "questions are"
        return "info", f"What was measured passed. {opened} of {len(checks)} {noun} still open."
    return "pass", "Accepted. Everything that was asked was measured and passed."


def state_of_hosts(hosts: Iterable[Host], runs: tuple[Run, ...], measures: list[Measure]) -> dict[str, State]:
    """One state per host: its part in the last site.yml run and its storage; ``fail`` wins, then ``none``."""
    states: dict[str, State] = {host.name: "none" for host in hosts}
    last = next((run for run in runs if run.playbook.endswith(SITE)), None)
    for host in last.hosts if last else ():
        if host.host in states:
            states[host.host] = "fail" if host.failed or host.unreachable else "pass"
    for measure in measures:
        if measure.state == "fail":
            states[measure.host] = "fail"
    return states


def _configured(site: list[Run]) -> Check:
    label, anchor = "Does site.yml configure every host?", "runs"
    if not site:
        return Check("none", label, "site.yml has not been run.", anchor)
    run = site[0]
    if run.state == "pass":
        hosts = units.count(len(run.hosts), "host")
        words = f"{hosts} in {units.duration(run.seconds)} on {run.machine}, {run.time} UTC."
        return Check("pass", label, words, anchor)
    return Check(
        "fail",
        label,
        f"The last run failed on {run.failed} of {units.count(len(run.hosts), 'host')}.",
        anchor,
    )


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


def _storage(measures: list[Measure]) -> Check:
    label, anchor = "Do the storage tiers keep their promise?", "storage"
    if not measures:
        return Check("none", label, "No tier promises anything.", anchor)
    failed = [m for m in measures if m.state == "fail"]
    unmeasured = sum(1 for m in measures if m.state == "none")
    if failed:
        named = ", ".join(f"{m.host} {m.tier} {m.what}" for m in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""  # noqa: PLR2004 as many as are named
        return Check("fail", label, f"Not kept: {named}{more}.", anchor)
    if unmeasured:
        return Check(
            "none", label, f"{unmeasured:,} of {units.count(len(measures), 'promise')} not measured.", anchor
        )
    notes = sorted({m.note for m in measures if m.note})
    return Check(
        "pass",
        label,
        " ".join([f"{units.count(len(measures), 'promise')} measured and kept.", *notes]),
        anchor,
    )


def _fits(rehearsal: Rehearsal | None) -> Check:
    label, anchor = "Does the platform fit these hosts?", "rehearsal"
    if rehearsal is None:
        return Check("none", label, "It has not been rehearsed.", anchor)
    return Check(rehearsal.state, label, rehearsal.summary, anchor)


def _gpus(areas: tuple[Area, ...]) -> Check:
    label, anchor = "Do the GPUs perform?", "evidence"
    proofs = [p for area in areas if area.name == "gpu" for p in area.proofs if p.state in ("pass", "fail")]
    if not proofs:
        return Check("none", label, "No GPU was measured; a twin has none.", anchor)
    missed = sum(1 for proof in proofs if proof.state == "fail")
    return Check(
        "fail" if missed else "pass", label, f"{len(proofs) - missed} of {len(proofs)} goals met.", anchor
    )


def _claims(areas: tuple[Area, ...]) -> Check:
    label, anchor = "Are the goals of all other measurements met?", "evidence"
    judged = [p for area in areas if area.name != "gpu" for p in area.proofs if p.state in ("pass", "fail")]
    if not judged:
        return Check("none", label, "There is no record of one.", anchor)
    missed = [proof.id for proof in judged if proof.state == "fail"]
    if missed:
        return Check("fail", label, f"{len(missed)} of {len(judged)} missed: {', '.join(missed)}.", anchor)
    return Check("pass", label, f"{len(judged)} of {len(judged)} goals met.", anchor)
