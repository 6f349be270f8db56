"""Labels and taints of nodes: a pure planner. What others put on a node (kubeadm, device plugins, people)
stays; what we put there is remembered in an annotation, so that it goes when the inventory no longer says it.

Standard library only, Python 3.9.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS = "bedplate.io/inventory"  # annotation: labels and taints that are the inventory's
Taint = Mapping[str, str]


@dataclass(frozen=True)
class Patch:
    """A strategic merge patch for one node, and what it does in words."""

    node: str
    body: Mapping[str, Any]
    lines: tuple[str, ...]


def plan(
    wishes: Mapping[str, Mapping[str, Any]], observed: Sequence[Mapping[str, Any]]
) -> tuple[list[Patch], list[str]]:
    """Patches by node, and refusals. A wish is {labels: {name: value}, taints: [{key, value, effect}]};
    ``observed`` are the Node objects of the cluster. A node that is not in the cluster is refused.
    """
    nodes = {node["metadata"]["name"]: node for node in observed}
    refusals = [
        f"{name} is in the inventory, and not in the cluster; has it joined?"
        for name in wishes
        if name not in nodes
    ]
    if refusals:
        return [], refusals
    patches = [_patch(name, wish, nodes[name]) for name, wish in wishes.items()]
    return [patch for patch in patches if patch.lines], []


def _patch(name: str, wish: Mapping[str, Any], node: Mapping[str, Any]) -> Patch:
    metadata = node["metadata"]
    before = json.loads(metadata.get("annotations", {}).get(OURS, "{}"))
    labels = _labels(wish["labels"], before.get("labels", []), metadata.get("labels", {}))
    now = node.get("spec", {}).get("taints", [])
    taints = _taints(wish["taints"], before.get("taints", []), now)
    record = {"labels": sorted(wish["labels"]), "taints": sorted(_key(taint) for taint in wish["taints"])}
    lines = [
        f"{name}: " + (f"no label {key}" if value is None else f"label {key}={value}")
        for key, value in labels.items()
    ]
    body: dict[str, Any] = {"metadata": {"labels": labels, "annotations": {OURS: json.dumps(record)}}}
    if {_whole(taint) for taint in taints} != {_whole(taint) for taint in now}:
        body["spec"] = {"taints": taints or None}
        lines.append(f"{name}: taints {', '.join(map(_whole, taints)) or 'none'}")
    if record != before and not lines:
        lines.append(f"{name}: remember what is the inventory's")
    return Patch(name, body, tuple(lines))


def _labels(wanted: Mapping[str, str], ours: Sequence[str], now: Mapping[str, str]) -> dict[str, Any]:
    """What differs; None removes a label that was ours."""
    gone: dict[str, Any] = {key: None for key in ours if key in now and key not in wanted}
    return {key: value for key, value in wanted.items() if now.get(key) != value} | gone


def _taints(wanted: Sequence[Taint], ours: Sequence[str], now: Sequence[Taint]) -> list[Taint]:
    """All taints of the node as they should be."""
    mine = {_key(taint) for taint in wanted}
    kept = [taint for taint in now if _key(taint) not in mine and _key(taint) not in ours]
    return [*kept, *wanted]


def _key(taint: Taint) -> str:
    return f"{taint['key']}:{taint['effect']}"


def _whole(taint: Taint) -> str:
    return f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
