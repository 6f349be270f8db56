"""What a rehearsal writes down: ``artifacts/ENV/rehearsal.json``, read by the report. Pure but for ``write``.

Keys of the document:
  environment, time (UTC, ISO 8601)
  verdict     ``fits``, ``does not fit`` (pods wait or were refused), ``failed`` (the program had errors)
  why         sentences: what waits or was refused, and why; errors of the program
  scale       what the seconds that pods take to start were multiplied by
  seconds     control_plane, nodes, first_up, and where they were run: preview, second_up, refresh, destroy
  changes     resources by operation of the first up
  unchanged   the preview's answer: would a second run change nothing (true, false; null: not asked)
  memory      resident bytes of each program of the control plane
  nodes       [{name, group, zone, gpus}]
  placements  [{namespace, kind, workload, pod, node, gpus, ready, priority, start_seconds}];
              ``start_seconds`` is what image and model load would really take
  waiting     [{namespace, kind, workload, pods, sentence, scheduler, may_wait}]
  refused     [{namespace, kind, workload, pods, message}]
  headroom    [{group, nodes, gpus, gpus_free, whole, largest, cpus_free, memory_free}]
  losses      [{node, alike, moved, pushed, waiting}]: pods (by workload) that would move, be pushed away,
              wait when that node is lost; ``alike`` names the nodes of which the same is true
  picture     [{nodes, zone, cells, others}]: rows of the picture; an empty cell is a free GPU
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.rehearse import picture
from bedplate.rehearse.objects import Pod, Workload
from bedplate.rehearse.program import Run
from bedplate.rehearse.verdict import Verdict

FITS, DOES_NOT_FIT, FAILED = "fits", "does not fit", "failed"


@dataclass(frozen=True)
class Result:
    """One finished rehearsal."""

    environment: str
    scale: float
    seconds: Mapping[str, float]
    up: Run
    unchanged: bool | None
    verdict: Verdict
    groups: Mapping[str, str]
    memory: Mapping[str, int]

    @property
    def word(self) -> str:
        """The verdict in a word."""
        if not self.verdict.fits:
            return DOES_NOT_FIT
        return FITS if self.up.ok and self.unchanged is not False else FAILED

    @property
    def why(self) -> list[str]:
        """The reasons, worst first."""
        refused = [f"{r.workload}: {r.pods} pods were refused: {r.message}" for r in self.verdict.refused]
        waiting = sorted(self.verdict.waiting, key=lambda w: w.may_wait)
        lines = refused + [f"{w.sentence} (it may wait)" if w.may_wait else w.sentence for w in waiting]
        if not self.up.ok and self.verdict.fits:
            lines += [self.up.stopped] if self.up.stopped else list(self.up.errors)
        if self.unchanged is False:
            lines.append("a second run would change something that nobody asked for")
        return lines


def document(result: Result) -> dict[str, Any]:
    """The result as the JSON document described above."""
    verdict = result.verdict
    nodes = verdict.cluster.nodes.values()
    return {
        "environment": result.environment,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": result.word,
        "why": result.why,
        "scale": result.scale,
        "seconds": dict(result.seconds),
        "changes": dict(result.up.changes),
        "unchanged": result.unchanged,
        "memory": dict(result.memory),
        "nodes": [
            {
                "name": node.name,
                "group": result.groups.get(node.name, ""),
                "zone": node.labels.get("topology.kubernetes.io/zone", ""),
                "gpus": node.gpus,
            }
            for node in nodes
        ],
        "placements": [_placement(pod) for pod in verdict.pods if pod.node],
        "waiting": [
            _names(w.workload) | {k: getattr(w, k) for k in ("pods", "sentence", "scheduler", "may_wait")}
            for w in verdict.waiting
        ],
        "refused": [_names(r.workload) | {"pods": r.pods, "message": r.message} for r in verdict.refused],
        "headroom": [asdict(entry) for entry in verdict.headroom],
        "losses": [
            {
                "node": loss.node,
                "alike": list(loss.alike),
                "moved": _counted(loss.moved),
                "pushed": _counted(loss.pushed),
                "waiting": _counted(loss.waiting),
            }
            for loss in verdict.losses
        ],
        "picture": picture.data(picture.rows(verdict)),
    }


def write(result: Result) -> Path:
    """Write the document to the environment's artifacts."""
    path = paths.artifacts(result.environment) / "rehearsal.json"
    path.write_text(json.dumps(document(result), indent=1) + "\n")
    return path


def _placement(pod: Pod) -> dict[str, Any]:
    plain = {k: getattr(pod, k) for k in ("node", "gpus", "ready", "priority", "start_seconds")}
    return _names(pod.workload) | {"pod": pod.name} | plain


def _names(workload: Workload) -> dict[str, Any]:
    return {"namespace": workload.namespace, "kind": workload.kind, "workload": workload.name}


def _counted(pods: Iterable[Pod]) -> dict[str, int]:
    return dict(Counter(pod.workload.name for pod in pods))
