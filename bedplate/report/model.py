"""The view model: everything that stands on the page, as frozen records without any HTML.

A state is ``pass``, ``fail``, ``none`` (not measured) or ``info`` (measured, no goal).
"""

from dataclasses import dataclass
from typing import Literal

from bedplate.errors import Finding
from bedplate.report.facts import Host, Network, Tier

State = Literal["pass", "fail", "none", "info"]


@dataclass(frozen=True)
class Check:
    """One line of the verdict: what was asked, what came out, where on the page it is shown."""

    state: State
    label: str
    detail: str
    anchor: str = ""


@dataclass(frozen=True)
class Rack:
    """One rack with its hosts, top first; ``units`` is its height. The name is empty for hosts in no rack."""

    name: str
    units: int
    hosts: tuple[Host, ...]


@dataclass(frozen=True)
class Measure:
    """One figure of a tier on one host. ``asked`` is what it was or will be held against (the promise, or a
    share of the raw members where ``relative``), ``ratio`` is measured/asked (0: nothing to compare).
    """

    host: str
    tier: str
    what: str
    asked: str
    measured: str
    ratio: float
    state: State
    note: str = ""
    relative: bool = False


@dataclass(frozen=True)
class TierView:
    """A tier of one layout with every host's measures."""

    tier: Tier
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class StorageLayout:
    """Hosts that have the same disks in the same tiers; ``sample`` stands for all in the picture."""

    hosts: tuple[Host, ...]
    sample: Host
    tiers: tuple[TierView, ...]


@dataclass(frozen=True)
class NetworkLayout:
    """Hosts whose NICs carry the same networks in the same way."""

    hosts: tuple[Host, ...]
    sample: Host


@dataclass(frozen=True)
class Reach:
    """Gateways and peers that a host asked, how many answered, and what a person should know of it."""

    host: str
    state: State
    asked: int
    answered: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Occupant:
    """A workload on a host's GPUs: ``index`` is its colour, the same everywhere on the page."""

    workload: str
    gpus: int
    index: int


@dataclass(frozen=True)
class GpuHost:
    """A host's GPUs (or MIG devices): after a rehearsal who got them, and how many nobody got."""

    host: Host
    occupants: tuple[Occupant, ...]
    free: int


@dataclass(frozen=True)
class GpuFault:
    """One thing that GPU acceptance found: ``state`` is fail, or info for what is only said."""

    state: State
    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class GpuFigure:
    """One figure over all GPUs (or pairs) of a host: the slowest and the fastest of them. ``differs`` is the
    share by which its plain baseline is off at most; a gate or published figure that nobody knows is 0."""

    name: str
    unit: str
    state: State
    slowest: float
    fastest: float
    gate: float
    published: float
    differs: float


@dataclass(frozen=True)
class Collective:
    """Bus bandwidth of one collective, GB/s, by size of the message in bytes: (size, measured, baseline)."""

    name: str
    points: tuple[tuple[int, float, float], ...]
    gate: float
    published: float


@dataclass(frozen=True)
class GpuVerdict:
    """What acceptance says of one host's GPUs. ``ways`` is how every two are linked, ``bandwidths`` GB/s from
    row to column (None on the diagonal and where nobody measured)."""

    host: str
    state: State
    level: str
    summary: str
    faults: tuple[GpuFault, ...]
    figures: tuple[GpuFigure, ...]
    collectives: tuple[Collective, ...]
    ways: tuple[tuple[str, ...], ...]
    bandwidths: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class HostRun:
    """What one playbook run did on one host."""

    host: str
    tasks: int
    changed: int
    failed: int
    unreachable: bool


@dataclass(frozen=True)
class Run:
    """One playbook run. ``machine`` says in words on what it ran; ``changed_tasks`` are (host, task)."""

    time: str
    playbook: str
    seconds: float
    state: State
    machine: str
    hosts: tuple[HostRun, ...]
    changed_tasks: tuple[tuple[str, str], ...] = ()

    @property
    def changed(self) -> int:
        """Changes over all hosts."""
        return sum(host.changed for host in self.hosts)

    @property
    def failed(self) -> int:
        """Hosts on which it failed or that could not be reached."""
        return sum(1 for host in self.hosts if host.failed or host.unreachable)

    @property
    def tasks(self) -> int:
        """Most tasks on one host: what the run costs."""
        return max((host.tasks for host in self.hosts), default=0)


@dataclass(frozen=True)
class Placed:
    """A workload that has its place; ``ready`` is what its start would take on real machines."""

    name: str
    namespace: str
    pods: int
    gpus: int
    nodes: str
    ready: str


@dataclass(frozen=True)
class Waiting:
    """A workload that did not get its place, and why in an engineer's words."""

    workload: str
    why: str
    may_wait: bool


@dataclass(frozen=True)
class Headroom:
    """What a group of nodes has left; ``whole`` hosts have all their GPUs free, memory in bytes."""

    group: str
    nodes: int
    gpus: int
    free: int
    whole: int
    cpus: float
    memory: int


@dataclass(frozen=True)
class Failover:
    """What one lost host would do: pods that move, that others push away, that wait."""

    host: str
    state: State
    moves: str
    pushed: str
    waits: str


@dataclass(frozen=True)
class Rehearsal:
    """The last rehearsal: what was placed where, what waits, what is left. ``scale`` is what starting times
    were multiplied by."""

    state: State
    summary: str
    time: str
    scale: float
    legend: tuple[Occupant, ...]
    placed: tuple[Placed, ...]
    waiting: tuple[Waiting, ...]
    headroom: tuple[Headroom, ...]
    failovers: tuple[Failover, ...]
    timings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Proof:
    """One evidence record as the table shows it."""

    id: str
    claim: str
    state: State
    value: str
    unit: str
    goal: str
    proved_on: str
    machine: str
    command: str
    time: str


@dataclass(frozen=True)
class Area:
    """Evidence of one area; empty when nothing of it was proved yet."""

    name: str
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Page:
    """The whole report of one environment."""

    environment: str
    domain: str
    written: str
    state: State
    headline: str
    checks: tuple[Check, ...]
    hosts: tuple[Host, ...]
    racks: tuple[Rack, ...]
    networks: tuple[Network, ...]
    storage: tuple[StorageLayout, ...]
    links: tuple[NetworkLayout, ...]
    reach: tuple[Reach, ...]
    gpus: tuple[GpuHost, ...]
    gpu_verdicts: tuple[GpuVerdict, ...]
    runs: tuple[Run, ...]
    rehearsal: Rehearsal | None
    areas: tuple[Area, ...]
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]
    unreadable: tuple[str, ...]
