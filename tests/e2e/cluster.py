"""The twin of tests/e2e/inventories/kubernetes, its disc, and how tests talk to its cluster."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import evidence, paths, playbook
from bedplate.playbook import PlaybookResult
from bedplate.twin.lab import Size, Twin
from bedplate.twin.machine import Result
from tests import kubernetes_medium

INVENTORY = paths.ROOT / "tests/e2e/inventories/kubernetes"
PLAYBOOK = str(paths.ROOT / "tests/e2e/playbooks/kubernetes.yml")
MASTER, WORKER = "kube-ctl1", "kube-wrk1"
DISC = "LABEL=bedplate-disc /srv/disc ext4 ro,nofail 0 0"
MEMORY = ((MASTER, 4096), (WORKER, 2048))  # MiB
CPUS = ((MASTER, 2), (WORKER, 1))  # kubeadm wants two
PATIENCE = 900.0  # seconds; emulated processors on a busy machine


@dataclass(frozen=True)
class Cluster:
    """A running twin whose machines have the disc."""

    twin: Twin
    digests: dict[str, str]

    def converge(self, **options: Any) -> PlaybookResult:
        """One run of the playbook."""
        extra = {
            "container_runtime_sha256": self.digests["containerd"],
            "kubernetes_node_sha256": self.digests["kubernetes"],
            "kubernetes_control_plane_etcd_sha256": self.digests["etcd"],
        }
        return playbook.run(INVENTORY, PLAYBOOK, overlays=[self.twin.overlay], extra=extra, **options)

    def run(self, command: str, host: str = MASTER, *, check: bool = True) -> Result:
        """A shell command as root."""
        quoted = command.replace("'", "'\\''")
        return self.twin.machine(host).ssh(f"sudo sh -c '{quoted}'", limit=600, check=check)

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
    """The cluster while the context lasts. One that was up already is converged once more and stays up."""
    fresh = not Twin.load(INVENTORY).exists
    cluster = start()
    first = cluster.converge()
    assert first.rc == 0, first.failures or first.output
    yield Made(cluster, first, fresh)
    if fresh:
        cluster.twin.down()


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


def start() -> Cluster:
    """Make the disc, boot the machines, put the disc in."""
    folder = paths.state("kubernetes") / "disc"
    twin = Twin.load(INVENTORY)
    if not twin.exists:  # what is in a drive stays as it is
        kubernetes_medium.make(folder)
    twin.up(Size(memory_of=MEMORY, cpus_of=CPUS, medium=folder / "disc.img"))
    for machine in twin.machines():
        line = f"grep -q bedplate-disc /etc/fstab || echo {DISC} >>/etc/fstab"
        machine.ssh(
            f"sudo sh -c 'mkdir -p /srv/disc; {line}; mountpoint -q /srv/disc || mount /srv/disc'", check=True
        )
    return Cluster(twin, digests(folder))


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the release archives on the disc."""
    said: dict[str, str] = json.loads((folder / "digests.json").read_text())
    return said


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
                    "image": kubernetes_medium.PROBE,
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
