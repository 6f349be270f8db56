"""Component: GPUs, and the RDMA cards between them, as Kubernetes resources."""

from dataclasses import dataclass

import pulumi

from ai_platform import daemons, gpu_objects, nfd_objects, rdma_objects
from ai_platform.manifest import create, create_all, patience
from ai_platform.settings import Settings


@dataclass(frozen=True)
class GpuArgs:
    """What stands before DaemonSets are made is ``ready``."""

    settings: Settings
    ready: list[pulumi.Resource]


class Gpu(pulumi.ComponentResource):
    """Runtime class, device plugins, feature discovery, MIG. Nodes whose GPUs are counted by somebody else
    (the rehearsal) run the same DaemonSets and keep their counts.

    Outputs: ``ready`` (what a pod with GPUs depends on)."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: GpuArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Gpu", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        runtime = create(gpu_objects.runtime_class(), mine)
        definition = create(nfd_objects.definition(), mine)
        after = pulumi.ResourceOptions(
            parent=self,
            depends_on=[*args.ready, runtime, definition],
            custom_timeouts=patience(daemons.rollout_seconds(args.settings)),
        )
        objects = [
            gpu_objects.device_plugin(args.settings),
            gpu_objects.feature_discovery(args.settings),
            *nfd_objects.objects(args.settings),
            *gpu_objects.mig(args.settings),
            *rdma_objects.objects(args.settings),
        ]
        create_all(objects, after)
        self.ready = [runtime]
        self.register_outputs({})
