"""Component: model repositories served with Triton."""

from dataclasses import dataclass

import pulumi

from ai_platform import names, pods
from ai_platform import triton_objects as render
from ai_platform.autoscaling import TRITON_PENDING, autoscaler
from ai_platform.manifest import create, create_all, patience
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets, secret
from ai_platform.settings import Settings, TritonService


@dataclass(frozen=True)
class TritonArgs:
    """What is served; ``ready`` stands before any pod is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Triton(pulumi.ComponentResource):
    """Every Triton of the environment. Outputs: ``addresses`` (service name to URL inside the cluster)."""

    addresses: dict[str, str]

    def __init__(self, name: str, args: TritonArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Triton", name, None, opts)
        self._args = args
        services = args.settings.triton
        self._common = self._shared() if services else []
        for service in services:
            self._service(service)
        port = args.settings.ports["triton_http"]
        self.addresses = {s.name: f"http://triton-{s.name}.{names.SERVING}.svc:{port}" for s in services}
        self.register_outputs({"addresses": self.addresses})

    def _shared(self) -> list[pulumi.Resource]:
        labels = names.labels(render.APP)
        key = secret(render.KEY, names.SERVING, self._args.secrets.value(render.KEY), labels)
        identity = pods.service_account(render.APP, names.SERVING, labels)
        return [*create_all([identity, key], self._opts([]))]

    def _service(self, service: TritonService) -> None:
        settings = self._args.settings
        own = self._opts(self._common)
        before = [
            create(render.repository_files(service, settings), own),
            *create_all(render.builds(service, settings), own),
        ]
        generation = self._args.secrets.generation(render.KEY)
        deployment = render.deployment(service, settings, generation)
        create(deployment, self._opts([*self._common, *before], render.start(service, settings).budget))
        create(render.service(service, settings), own)
        create(disruption_budget(render.APP, service.name, names.SERVING, service.owner), own)
        if service.max_replicas > service.replicas:
            metadata = deployment["metadata"]
            create(autoscaler(metadata, TRITON_PENDING, service.replicas, service.max_replicas), own)

    def _opts(self, after: list[pulumi.Resource], budget: int = 0) -> pulumi.ResourceOptions:
        """``budget``: seconds that Pulumi waits, as long as the start-up probe does."""
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[*self._args.ready, *after],
            custom_timeouts=patience(budget + render.GRACE_SECONDS) if budget else None,
        )
