"""Which images an environment runs: those of its Kubernetes, and those that its platform program asks for.

The program itself is asked (against Pulumi's mocks, without a cluster), so nothing has to be listed twice.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from bedplate import paths
from bedplate.bundle.images import Wanted
from bedplate.inventory import Inventory

KUBERNETES = "registry.k8s.io"


def wanted(inventory: Inventory) -> list[Wanted]:
    """Every image of an environment. Raises BadInput where its platform cannot be read."""
    words = inventory.shared
    found = (
        [Wanted(reference, reference) for reference in cluster(words)]
        if inventory.members("kubernetes")
        else []
    )
    if words.get("platform_registry"):
        found += platform(words, set(_strings(_objects(inventory))))
    return found


def cluster(words: Mapping[str, Any]) -> list[str]:
    """What kubeadm asks for (`kubeadm config images list`), the pod sandbox and the policies' enforcer."""
    release = f"v{words['version_kubernetes']}"
    kubernetes = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    names = [f"{name}:{release}" for name in kubernetes]
    names += [f"etcd:{words['version_etcd']}-0", f"pause:{words['version_pause']}"]
    names += [f"coredns/coredns:v{words['version_coredns']}"]
    names += [f"networking/kube-network-policies:v{words['version_network_policies']}"]
    return [f"{KUBERNETES}/{name}" for name in names]


def platform(words: Mapping[str, Any], mentioned: set[str]) -> list[Wanted]:
    """Images of the catalogue that are mentioned, as the environment's registry names them."""
    found = []
    for name, entry in words["catalogue_images"].items():
        path = entry["source"].partition("/")[2]
        reference = f"{words['platform_registry']}/{path}:{entry['tag']}"
        digest = (words.get("platform_image_digests") or {}).get(name, "")
        if {reference, f"{reference}@{digest}"} & mentioned:
            found.append(Wanted(reference, f"{entry['source']}:{entry['tag']}", digest))
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _strings(part)


class _Recorder(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.objects.append(args.inputs)
        return args.name, args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], None]:
        raise AssertionError(f"the program calls {args.token}, which needs a cluster")


def _objects(inventory: Inventory) -> list[dict[str, Any]]:
    """What the program would send."""
    sys.path.insert(0, str(paths.PULUMI))
    from ai_platform.program import build  # noqa: PLC0415 - the program is no dependency of this package
    from ai_platform.reading import read  # noqa: PLC0415
    from ai_platform.secrets import Secrets  # noqa: PLC0415

    recorder = _Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, project="bedplate", stack=inventory.environment)
    values = {name: pulumi.Output.secret("") for name in inventory.shared["catalogue_secrets"]}

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        build(read(inventory), Secrets(inventory.environment, values))

    run()
    return recorder.objects
