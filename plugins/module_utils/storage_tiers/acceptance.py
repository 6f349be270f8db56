"""Does a tier keep its promise? Which fio jobs to run, what their output says, and the verdict. Pure.

Modes: ``absolute`` holds the measurement against the promise. ``relative`` is for machines whose disks are
not those of the inventory (the twin): the promise is replaced by a share of what the tier's own raw members
give in the same run, and every measure says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import layout

PROMISES = ("read_iops", "write_iops", "read_bandwidth", "write_bandwidth", "capacity")
FILE = ".bedplate-acceptance"
_JOBS = {
    "read_iops": "rw=randread\nbs=4k",
    "read_bandwidth": "rw=read\nbs=1M",
    "write_iops": "rw=randwrite\nbs=4k",
}


@dataclass(frozen=True)
class Load:
    """How hard and how long: seconds, bytes, and the queue of each of ``jobs`` processes."""

    runtime: int
    ramp: int
    size: int
    jobs: int
    depth: int
    engine: str = "io_uring"


@dataclass(frozen=True)
class Shares:
    """Least share of the raw members' figures that a tier must keep in relative mode."""

    # Software RAID and XFS on real disks keep nearly all of it; half is where something is wrong with the
    # layout.
    plain: float = 0.5
    # A processor without AES instructions, or an emulated one, encrypts at a small part of a disk's speed.
    encrypted: float = 0.05
    # Metadata of md, LUKS and XFS take much of a disk of half a gigabyte.
    capacity: float = 0.75

    @classmethod
    def of(cls, what: str, encrypted: bool) -> float:
        """The share that a promise asks for."""
        return cls.capacity if what == "capacity" else cls.encrypted if encrypted else cls.plain


@dataclass(frozen=True)
class Measure:
    """One figure with its verdict; ``goal`` is what it was held against, in the unit of ``value``."""

    what: str
    value: float | str
    goal: float | str
    verdict: str
    note: str = ""


def wanted(promise: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """What to measure: what is promised; reading large blocks where only a capacity is."""
    chosen = [what for what in _JOBS if what in promise]
    return tuple(chosen) or (("read_bandwidth",) if kind == "hdd" else ("read_iops",))


def tier_jobs(folder: str, what: Sequence[str], load: Load) -> str:
    """A fio job file. The first job fills the file, because flash answers reads of unwritten blocks from
    nothing.

    Never a device: only a file of the tier, which the caller removes.
    """
    parts = [
        f"[global]\nioengine={load.engine}\ndirect=1\ndirectory={folder}\nfilename={FILE}\n"
        f"size={load.size}\nfallocate=none\ngroup_reporting\n",
        "[write_bandwidth]\nrw=write\nbs=1M\niodepth=16\nend_fsync=1\n",
    ]
    parts += [f"[{name}]\nstonewall\n{_JOBS[name]}\n{_timing(load)}" for name in what]
    return "\n".join(parts)


def raw_jobs(devices: Sequence[str], what: Sequence[str], load: Load) -> str:
    """The same reads over all raw members at once; ``fio --readonly`` is what the caller adds."""
    span = f"filename={':'.join(devices)}\n"
    parts = [f"[global]\nioengine={load.engine}\ndirect=1\n{span}group_reporting\n"]
    reads = [name for name in what if name.startswith("read")]
    parts += [f"[{name}]\nstonewall\n{_JOBS[name]}\n{_timing(load)}" for name in reads]
    return "\n".join(parts)


def figures(output: str) -> dict[str, dict[str, float]]:
    """fio's JSON as {job: {iops, bandwidth in B/s, p99 in microseconds}}. ValueError for other text."""
    data = json.loads(output[output.index("{") :])
    found = {}
    for job in data["jobs"]:
        side = job["write" if "write" in job["jobname"] else "read"]
        p99 = float(side.get("clat_ns", {}).get("percentile", {}).get("99.000000", 0)) / 1000
        found[job["jobname"]] = {"iops": side["iops"], "bandwidth": side["bw_bytes"], "p99_us": p99}
    return found


def judge(
    promise: Mapping[str, Any], measured: Mapping[str, Mapping[str, float]], capacity: int
) -> list[dict[str, Any]]:
    """Absolute: every promise against its figure; figures without a promise are information."""
    measures = []
    for what in PROMISES:
        value = capacity if what == "capacity" else _figure(what, measured)
        if value is None or (what == "capacity" and what not in promise):
            continue
        note = _latency(what, measured)
        if what not in promise:
            measures.append(Measure(what, _unit(what, value), "", "info", note))
            continue
        verdict = "pass" if value >= _amount(promise[what]) else "fail"
        measures.append(Measure(what, _unit(what, value), promise[what], verdict, note))
    return [asdict(m) for m in measures]


def judge_relative(
    promise: Mapping[str, Any],
    measured: Mapping[str, Mapping[str, float]],
    raw: Mapping[str, Mapping[str, float]],
    capacity: tuple[int, int],
    encrypted: bool,
) -> list[dict[str, Any]]:
    """Relative: reads against a share of the raw members' reads in the same run; writes are information.

    ``capacity`` is (of the filesystem, of the members less parity and copies).
    """
    measures = []
    for what in PROMISES:
        value = capacity[0] if what == "capacity" else _figure(what, measured)
        if value is None or (what == "capacity" and what not in promise):
            continue
        base = capacity[1] if what == "capacity" else _figure(what, raw)
        if base is None:
            note = "raw members are never written to, so there is nothing to hold it against"
            measures.append(Measure(what, _unit(what, value), "", "info", note))
            continue
        least = Shares.of(what, encrypted)
        note = f"relative: {value / base:.2f} of its raw members in the same run, at least {least:g} asked"
        if what in promise:
            note += f"; the promise of {promise[what]} is for the inventory's own disks"
        verdict = "pass" if value >= least * base else "fail"
        goal = _unit(what, int(least * base))
        measures.append(Measure(what, _unit(what, value), goal, verdict if what in promise else "info", note))
    return [asdict(m) for m in measures]


def _timing(load: Load) -> str:
    queue = f"iodepth={load.depth}\nnumjobs={load.jobs}\n"
    return f"{queue}time_based\nruntime={load.runtime}\nramp_time={load.ramp}\n"


def _figure(what: str, measured: Mapping[str, Mapping[str, float]]) -> int | None:
    if what not in measured:
        return None
    return int(measured[what]["iops" if what.endswith("iops") else "bandwidth"])


def _latency(what: str, measured: Mapping[str, Mapping[str, float]]) -> str:
    p99 = measured.get(what, {}).get("p99_us", 0)
    return f"99th percentile {p99:.0f} µs" if p99 else ""


def _amount(promised: Any) -> float:
    return float(promised) if isinstance(promised, (int, float)) else float(layout.size(promised))


def _unit(what: str, value: int) -> int | str:
    """IOPS as a number, sizes and rates as people write them, with the precision that the verdict used."""
    return value if what.endswith("iops") else f"{value / 10**9:.3f}GB"
