"""What the end-to-end tests of the platform share: production's platform on a real control plane,
people with their own certificates, objects that pass every guardrail until one thing about them is
changed."""

import copy
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import evidence, inventory, paths
from bedplate.rehearse.client import Api
from bedplate.rehearse.program import Run
from bedplate.rehearse.session import Session

ENVIRONMENT = "production"
SCALE = 0.002  # of the time that pods take; a model that loads in 20 minutes is Ready after 2.4 s
Object = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    """The platform after its first up. ``people`` maps a role to the API as a member of its group sees it."""

    session: Session
    up: Run
    people: dict[str, Api]
    registry: str

    @property
    def api(self) -> Api:
        """The API as nobody's role: the cluster's own administrator."""
        return self.session.api


def start(session: Session) -> Platform:
    """Bring production up and let three people in."""
    session.start()
    session.register()
    session.prepare()
    up = session.program.up(watch=session.watcher())
    shared = session.inventory.shared
    people = {
        role: session.control_plane.api_as(f"{role}-person", groups[:1])
        for role, groups in shared["platform_access"].items()
    }
    people["stranger"] = session.control_plane.api_as("stranger", ["somebody-else"])
    return Platform(session, up, people, shared["platform_registry"])


def session(work: Path) -> Session:
    """A session of its own folder, so that nothing else is disturbed, on a copy of the inventory in ``work``
    that tests may change."""
    copied = shutil.copytree(paths.INVENTORIES / ENVIRONMENT, work / ENVIRONMENT)
    return Session(inventory.load(copied), name="platform-test", scale=SCALE)


def pod(registry: str, namespace: str = "batch", **spec: Any) -> Object:
    """A pod that every guardrail lets in."""
    container = {
        "name": "main",
        "image": f"{registry}/vllm/vllm-openai:v0.28.0",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "tried",
            "namespace": namespace,
            "labels": {"bedplate.io/owner": "research"},
        },
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 2000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        | spec,
    }


def changed(body: Object, change: Callable[[Object], Any]) -> Object:
    """A copy with one thing about it changed."""
    tried = copy.deepcopy(body)
    change(tried)
    return tried


def eventually(check: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether ``check`` becomes true in time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if check():
            return True
        time.sleep(0.3)
    return False


def proved(name: str, claim: str, value: evidence.Value, test: str, **more: Any) -> None:
    """One record of what a test has shown."""
    evidence.record(
        ENVIRONMENT,
        f"platform.{name}",
        claim,
        value,
        proved_on="rehearsal",
        command=f"pytest -m rehearsal tests/e2e/{test}",
        **more,
    )
