"""One rehearsal under way: the control plane with the inventory's nodes, and the program against it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bedplate import paths, stack_secrets
from bedplate.errors import BedplateError
from bedplate.inventory import Inventory
from bedplate.rehearse import nodes, objects, stages, verdict, volumes
from bedplate.rehearse.client import ApiError, Object
from bedplate.rehearse.control_plane import ControlPlane, Tuning
from bedplate.rehearse.processes import stop_recorded
from bedplate.rehearse.program import Program
from bedplate.rehearse.verdict import Snapshot, Verdict
from bedplate.tools import locate

CONTROLLERS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1"}
NAME = "rehearsal"
KINDS = ("control_plane", "gpu_nodes", "storage_nodes", "edge_nodes")
REGISTER_LIMIT = 600.0  # seconds; a thousand nodes take ten, their 4,000 volumes a minute
REGISTER_POLL = 0.3  # seconds, at least
STUCK = 12.0  # seconds that a pod may stay unplaced before the answer counts as given
WATCH_EVERY = 2.0
UP_LIMIT = 900.0  # seconds for one `pulumi up`, whatever happens, and for each host on top:
UP_LIMIT_PER_HOST = 1.0


def folder(environment: str, name: str = NAME) -> Path:
    """Where a rehearsal of an environment lies; one of another name does not touch one that was kept."""
    return paths.state(environment) / name


def end(environment: str) -> list[str]:
    """End a rehearsal that was kept or lost; the names of the programs that still ran."""
    return stop_recorded(folder(environment))


class Session:
    """A context manager: what it started ends with it, unless ``keep`` is set and nothing failed."""

    def __init__(
        self,
        inventory: Inventory,
        *,
        project: Path = paths.PULUMI,
        keep: bool = False,
        scale: float = stages.DEFAULT_SCALE,
        tuning: Tuning | None = None,
        name: str = NAME,
    ) -> None:
        self.inventory, self._keep, self._scale = inventory, keep, scale
        self.programs = locate.require("rehearsal")
        self.folder = folder(inventory.environment, name)
        self.control_plane = ControlPlane(self.folder, self.programs, keep=keep, tuning=tuning)
        self.api = self.control_plane.api
        self.program = Program(
            project,
            inventory.environment,
            self.folder / "pulumi",
            self.programs,
            {
                "KUBECONFIG": str(self.control_plane.kubeconfig),
                "BEDPLATE_INVENTORY": str(inventory.path.resolve()),
            },
        )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._keep or kind is not None:
            self.control_plane.stop()

    def start(self, on_part: Callable[[str], None] = lambda _: None) -> float:
        """Start the control plane; seconds until it serves."""
        begin = time.monotonic()
        self.control_plane.start(stages.stages(self._scale), on_part)
        return round(time.monotonic() - begin, 1)

    def register(self) -> int:
        """Create the inventory's nodes and local volumes, wait until all can be used; number of nodes."""
        wanted, local = nodes.nodes(self.inventory), volumes.volumes(self.inventory)
        self.api.create_all("/api/v1/nodes", wanted)
        self.api.create_all("/api/v1/persistentvolumes", local)
        # Pods of a thousand nodes would delay the controller that makes their volumes available by minutes.
        self._until("nodes are Ready", len(wanted), self._ready_nodes)
        self._until("local volumes are available", len(local), self._available_volumes)
        return len(wanted)

    def _ready_nodes(self) -> int:
        return sum(1 for raw in self.api.items("/api/v1/nodes") if objects.node(raw).ready)

    def _available_volumes(self) -> int:
        found = self.api.items("/api/v1/persistentvolumes")
        return sum(1 for raw in found if raw.get("status", {}).get("phase") == volumes.AVAILABLE)

    def _until(self, what: str, wanted: int, count: Callable[[], int]) -> None:
        limit = time.monotonic() + REGISTER_LIMIT
        while (there := count()) < wanted:
            if time.monotonic() > limit:
                raise BedplateError(f"{there} of {wanted} {what} after {REGISTER_LIMIT:.0f} s")
            time.sleep(max(REGISTER_POLL, wanted / 1000))  # the lists of a large site are large

    def prepare(self) -> None:
        """Make the stack and its secrets, as `bedplate secrets` does; all of them fresh."""
        self.program.init()
        catalogue = self.inventory.shared.get("catalogue_secrets", {})
        stack_secrets.ensure(
            lambda arguments, text: self.program.call(*arguments, text=text),
            self.inventory.environment,
            catalogue,
            rotate=[],
        )

    def watcher(self) -> Callable[[], str]:
        """For ``Program.up``: says why to stop as soon as it is clear that something will never be placed."""
        return _Watcher(self).look

    def snapshot(self) -> Snapshot:
        """What the API server holds now."""
        return Snapshot(
            nodes=self.api.items("/api/v1/nodes"),
            pods=self.api.items("/api/v1/pods"),
            volumes=self.api.items("/api/v1/persistentvolumes"),
            controllers=self.controllers(),
            events=self.failures(),
        )

    def controllers(self) -> list[Object]:
        """Deployments, StatefulSets and Jobs, with their kind."""
        return [
            {**raw, "kind": kind}
            for kind, group in CONTROLLERS.items()
            for raw in self.api.items(f"/apis/{group}/{kind.lower()}s")
        ]

    def failures(self) -> list[Object]:
        """Events that say why pods could not be created."""
        return self.api.items(f"/api/v1/events?fieldSelector=reason%3D{verdict.FAILED}")

    def verdict(self) -> Verdict:
        """The verdict on what is there now."""
        return verdict.judge(self.snapshot(), group_of(self.inventory))


def group_of(inventory: Inventory) -> Mapping[str, str]:
    """The group of each Kubernetes node: the smallest one, and of equal ones the kind of host that it is."""
    members = set(inventory.members(nodes.GROUP))
    groups = [(name, hosts) for name, hosts in inventory.groups.items() if members.issuperset(hosts)]
    worst_first = sorted(groups, key=lambda item: (-len(item[1]), item[0] in KINDS))
    return {host: name for name, hosts in worst_first for host in hosts}


class _Watcher:
    """Pods that the scheduler refused and pods that could not be created, with when each was seen first."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._begin = self._looked = time.monotonic()
        self._limit = UP_LIMIT + UP_LIMIT_PER_HOST * len(session.inventory.hosts)
        self._since: dict[str, float] = {}

    def look(self) -> str:
        now = time.monotonic()
        if now - self._begin > self._limit:
            return f"not done after {self._limit:.0f} s"
        if now - self._looked < WATCH_EVERY:
            return ""
        self._looked = now
        try:
            stuck = self._stuck()
        except ApiError:
            return ""  # the API server is away; Pulumi will say so itself
        self._since = {key: self._since.get(key, now) for key in stuck}
        for_good = [key for key, since in self._since.items() if now - since > STUCK]
        return f"will not start: {', '.join(sorted(for_good))}" if for_good else ""

    def _stuck(self) -> list[str]:
        # What a CronJob starts meanwhile is not this update's: it waits its turn.
        unplaced = self._session.api.items("/api/v1/pods?fieldSelector=spec.nodeName%3D")
        nominated = {raw["metadata"]["name"] for raw in unplaced if raw["status"].get("nominatedNodeName")}
        pods = [p for p in objects.pods(unplaced) if p.why and p.preempts and p.name not in nominated]
        controllers = self._session.controllers()
        refused = verdict.refused(controllers, self._session.failures())
        stuck = {pod.workload for pod in pods} | {entry.workload for entry in refused}
        return [str(workload) for workload in stuck - verdict.scheduled(controllers)]
