"""The twin of tests/e2e/inventories/kubernetes, built from a bundle, and how tests talk to its cluster."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import offline

from bedplate import evidence, paths, playbook
from bedplate.playbook import PlaybookResult
from bedplate.twin.lab import Size, Twin
from bedplate.twin.machine import Result, VirtualMachine
from tests import kubernetes_programs

INVENTORY = offline.INVENTORY
BUNDLE = Path(tempfile.gettempdir()) / "bedplate-kubernetes"  # nginx's workers may enter it
PLAYBOOK = str(paths.ROOT / "tests/e2e/playbooks/kubernetes.yml")
MASTER, WORKER = "kube-ctl1", "kube-wrk1"
MEMORY = ((MASTER, 4096), (WORKER, 2048))  # MiB
CPUS = ((MASTER, 2), (WORKER, 1))  # kubeadm wants two
PATIENCE = 900.0  # seconds; emulated processors on a busy machine


@dataclass(frozen=True)
class Cluster:
    """A running twin; ``words`` are what its inventory would say at a site with its mirror."""

    twin: Twin
    words: dict[str, Any]

    def converge(self, **options: Any) -> PlaybookResult:
        """One run of the playbook."""
        return self.play(PLAYBOOK, **options)

    def play(self, name: str, **options: Any) -> PlaybookResult:
        """A playbook as an operator starts it; ``extra`` are words of its own."""
        extra = self.words | options.pop("extra", {})
        return playbook.run(INVENTORY, name, overlays=[self.twin.overlay], extra=extra, **options)

    def run(self, command: str, host: str = MASTER, *, check: bool = True) -> Result:
        """A shell command as root."""
        quoted = command.replace("'", "'\\''")
        return self.twin.machine(host).ssh(f"sudo sh -c '{quoted}'", limit=600, check=check)

    def python(self, script: str, *arguments: str, host: str = MASTER) -> str:
        """What a script prints on a host."""
        coded = base64.b64encode(script.encode()).decode()
        return self.run(f"echo {coded} | base64 -d | python3 - {' '.join(arguments)}", host).out

    def kubectl(self, arguments: str, *, check: bool = True) -> Result:
        """kubectl as the cluster's administrator."""
        return self.run(f"kubectl --kubeconfig=/etc/kubernetes/admin.conf {arguments}", check=check)

    def get(self, what: str) -> list[dict[str, Any]]:
        """Objects, such as ``pods --all-namespaces``."""
        items: list[dict[str, Any]] = json.loads(self.kubectl(f"get {what} --output=json").out)["items"]
        return items

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make objects; without kubectl's own check, which fetches megabytes of schemas first."""
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run(
            f"cat >/run/objects.json <<'END'\n{document}\nEND\nkubectl "
            "--kubeconfig=/etc/kubernetes/admin.conf apply --validate=false --filename=/run/objects.json"
        )

    def well(self) -> bool:
        """Both nodes are ready, and the API answers so."""
        said = self.kubectl("get nodes --output=json", check=False)
        return said.code == 0 and len(ready(json.loads(said.out)["items"])) == len(MEMORY)

    def fetch(self, pod: str, url: str) -> Result:
        """What a pod gets from ``url``; code 1 where nothing comes within five seconds."""
        return self.kubectl(f"exec {pod} -- /probe get {url}", check=False)


@dataclass(frozen=True)
class Made:
    """The cluster, its first run here, and whether that run began on machines that had nothing."""

    cluster: Cluster
    first: PlaybookResult
    fresh: bool


@contextmanager
def made() -> Iterator[Made]:
    """The cluster while the context lasts. One that was up already is converged once more and stays up, and
    so does a new one where ``BEDPLATE_KEEP`` is set."""
    twin = Twin.load(INVENTORY)
    fresh = not twin.exists
    with offline.mirror(BUNDLE, anew=fresh) as mirror:
        twin.up(Size(memory_of=MEMORY, cpus_of=CPUS, mirror=mirror.port))
        cluster = Cluster(twin, mirror.words(twin))
        first = cluster.converge()
        assert first.rc == 0, first.failures or first.output
        for machine in twin.machines():
            _bring_probe(machine)
        yield Made(cluster, first, fresh)
        if fresh and "BEDPLATE_KEEP" not in os.environ:
            twin.down()
            shutil.rmtree(BUNDLE)


def _bring_probe(machine: VirtualMachine) -> None:
    """Tests' own program is no part of what a site needs, and of no bundle."""
    command = [*machine.connection.ssh(machine.name), "sudo ctr --namespace=k8s.io images import -"]
    with offline.archive(BUNDLE, "probe").open("rb") as archive:
        subprocess.run(command, cwd=machine.folder, stdin=archive, capture_output=True, check=True)


def record(
    test: str, cluster: Cluster, name: str, claim: str, value: float, *, unit: str = "", goal: str = ""
) -> None:
    """One record of what a test file has shown on the cluster; its verdict follows from value and goal."""
    evidence.record(
        "lab",
        f"kubernetes.{name}",
        claim,
        value,
        unit=unit,
        goal=goal,
        proved_on="twin",
        command=f"pytest {test}",
        machine={"accelerator": cluster.twin.accelerator},
    )


def eventually(check: Callable[[], bool], seconds: float) -> float:
    """Seconds until ``check`` became true. Raises AssertionError when it did not in time."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if check():
            return time.monotonic() - begun
        time.sleep(3)
    raise AssertionError(f"not within {seconds:.0f} s")


def ready(items: list[dict[str, Any]]) -> list[str]:
    """Names of objects whose condition Ready is true."""
    return [
        item["metadata"]["name"]
        for item in items
        if any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", []))
    ]


def pod(name: str, *command: str, **labels: str) -> dict[str, Any]:
    """A pod of the probe, which Pod Security's restricted profile lets in."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name} | labels},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 2000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": kubernetes_programs.PROBE,
                    "imagePullPolicy": "Never",
                    "command": ["/probe", *command],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def on(node: str, body: dict[str, Any]) -> dict[str, Any]:
    """The pod on this very node."""
    body["spec"]["nodeName"] = node
    return body
