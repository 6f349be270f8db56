"""What KWOK plays: the life of nodes and pods, as Stage objects.

A pod becomes Ready after the seconds that its annotation ``bedplate.io/start-seconds`` states (image and
model load), times a scale that shortens waiting; one of a Job ends after ``bedplate.io/run-seconds``.
Nothing else is invented: a pod that the scheduler does not place stays Pending.
"""

from typing import Any

START = "bedplate.io/start-seconds"
RUN = "bedplate.io/run-seconds"
DEFAULT_START_SECONDS = 2.0  # a small image that is on the node already
DEFAULT_RUN_SECONDS = 5.0
DEFAULT_SCALE = 0.01  # 10 minutes of loading take 6 seconds

_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_ALIVE = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
_DELETED = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}

_NODE = """\
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
phase: Running
"""

_RUNNING = """\
{{ $when := Now | Quote }}
conditions:
{{ range $type := list "PodReadyToStartContainers" "Initialized" "ContainersReady" "Ready" }}
- lastTransitionTime: {{ $when }}
  status: "True"
  type: {{ $type }}
{{ end }}
{{ range .spec.readinessGates }}
- lastTransitionTime: {{ $when }}
  status: "True"
  type: {{ .conditionType | Quote }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $when }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  {{ if eq .restartPolicy "Always" }}
  started: true
  state: {running: {startedAt: {{ $when }}}}
  {{ else }}
  state:
    terminated: {exitCode: 0, reason: Completed, startedAt: {{ $when }}, finishedAt: {{ $when }}}
  {{ end }}
{{ end }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ $own := not .spec.hostNetwork }}
{{ with PodIPsWith .spec.nodeName (not $own) .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
phase: Running
startTime: {{ $when }}
"""

_TERMINATED = """\
{{ $when := Now | Quote }}
conditions:
- lastTransitionTime: {{ $when }}
  status: "False"
  type: Ready
  reason: %(pod_reason)s
- lastTransitionTime: {{ $when }}
  status: "False"
  type: ContainersReady
  reason: %(pod_reason)s
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated: {exitCode: %(code)d, reason: %(reason)s, startedAt: {{ $when }}, finishedAt: {{ $when }}}
{{ end }}
phase: %(phase)s
"""
_SUCCEEDED = _TERMINATED % {
    "phase": "Succeeded",
    "pod_reason": "PodCompleted",
    "code": 0,
    "reason": "Completed",
}
_ENDED = _TERMINATED % {"phase": "Failed", "pod_reason": "PodFailed", "code": 143, "reason": "Error"}


def stages(scale: float = DEFAULT_SCALE) -> list[dict[str, Any]]:
    """Every stage; ``scale`` multiplies the seconds that pods take."""
    return [
        _stage("node-ready", "Node", [{"key": _READY, "operator": "NotIn", "values": ["True"]}], _NODE),
        _stage(
            "pod-ready",
            "Pod",
            [_ALIVE, _phase("Pending")],
            _RUNNING,
            _after(START, DEFAULT_START_SECONDS, scale),
        ),
        _stage("pod-ready-again", "Pod", [_ALIVE, _phase("Running"), _ready("False")], _RUNNING),
        _stage(
            "pod-complete",
            "Pod",
            [
                _ALIVE,
                _phase("Running"),
                {"key": ".metadata.ownerReferences.[].kind", "operator": "In", "values": ["Job"]},
            ],
            _SUCCEEDED,
            _after(RUN, DEFAULT_RUN_SECONDS, scale),
        ),
        # As kubelet does: containers end first, which the Job controller waits for, then the pod is gone.
        _stage("pod-end", "Pod", [_DELETED, _phase("Pending", "Running")], _ENDED),
        _stage("pod-delete", "Pod", [_DELETED, _phase("Failed", "Succeeded")]),
    ]


def _stage(
    name: str,
    kind: str,
    when: list[dict[str, Any]],
    status: str | None = None,
    delay: dict[str, Any] | None = None,
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": when},
        "next": {"statusTemplate": status} if status else {"delete": True},
    }
    if delay:
        spec["delay"] = delay
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _ready(status: str) -> dict[str, Any]:
    return {"key": _READY, "operator": "In", "values": [status]}


def _phase(*names: str) -> dict[str, Any]:
    return {"key": ".status.phase", "operator": "In", "values": list(names)}


def _after(annotation: str, default: float, scale: float) -> dict[str, Any]:
    """A delay from an annotation, in whole milliseconds (KWOK reads Go durations)."""
    seconds = f'(.metadata.annotations["{annotation}"] // "{default}" | tonumber)'
    return {
        "durationMilliseconds": int(default * scale * 1000),
        "durationFrom": {"jq": {"expression": f'{seconds} * {scale * 1000} | floor | tostring + "ms"'}},
    }
