"""Component: models served with vLLM."""

from dataclasses import dataclass

import pulumi

from ai_platform import names, pods
from ai_platform import vllm_objects as render
from ai_platform.autoscaling import VLLM_WAITING, autoscaler
from ai_platform.manifest import create, patience
from ai_platform.namespaces import namespace_of
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets, secret
from ai_platform.settings import Settings, VllmService


@dataclass(frozen=True)
class VllmArgs:
    """What is served, and what it waits for: ``ready`` stands before any pod is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Vllm(pulumi.ComponentResource):
    """All models of the environment that vLLM serves.

    Outputs: ``addresses`` (service name to URL inside the cluster), ``groups`` (resources of models that
    span hosts, which are placed before anything that takes part of a host)."""

    addresses: dict[str, str]
    groups: list[pulumi.Resource]

    def __init__(self, name: str, args: VllmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Vllm", name, None, opts)
        self._args = args
        self._generation = args.secrets.generation(render.KEY) if args.settings.vllm else ""
        port = args.settings.ports["vllm"]
        self._common = self._shared()
        self.groups = [
            made for service in args.settings.vllm if service.multi_host for made in self._groups(service)
        ]
        for service in args.settings.vllm:
            if not service.multi_host:
                self._deployment(service)
            create(render.service(service, port), self._opts())
            create(
                disruption_budget(render.APP, service.name, namespace_of(service), service.owner),
                self._opts(),
            )
        self.addresses = {
            service.name: f"http://vllm-{service.name}.{namespace_of(service)}.svc:{port}"
            for service in args.settings.vllm
        }
        self.register_outputs({"addresses": self.addresses})

    def _opts(self, *after: pulumi.Resource, **more: object) -> pulumi.ResourceOptions:
        own = pulumi.ResourceOptions(parent=self, depends_on=[*self._args.ready, *after])
        return pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(**more))  # type: ignore[arg-type]

    def _shared(self) -> list[pulumi.Resource]:
        """What every pod needs in each namespace that has one: identity, key, programs."""
        made: list[pulumi.Resource] = []
        for namespace in dict.fromkeys(namespace_of(service) for service in self._args.settings.vllm):
            labels = names.labels(render.APP)
            key = secret(render.KEY, namespace, self._args.secrets.value(render.KEY), labels)
            identity = pods.service_account(render.APP, namespace, labels)
            made += [create(m, self._opts()) for m in (identity, key, render.programs(namespace))]
        return made

    def _deployment(self, service: VllmService) -> None:
        settings = self._args.settings
        deployment = render.deployment(service, settings, self._generation)
        create(deployment, self._opts(*self._common, *self.groups, **_patience(service, settings)))
        if service.max_replicas > service.replicas:
            scaler = autoscaler(deployment["metadata"], VLLM_WAITING, service.replicas, service.max_replicas)
            create(scaler, self._opts())

    def _groups(self, service: VllmService) -> list[pulumi.Resource]:
        """One after another, so that a change leaves the other groups answering while one starts again."""
        settings, made = self._args.settings, list[pulumi.Resource]()
        for replica in range(service.replicas):
            create(render.headless(service, replica, settings.ports["vllm_group"]), self._opts())
            manifest = render.group(service, settings, replica, self._generation)
            together = {"replace_on_changes": ["spec.template"], "delete_before_replace": True}
            options = self._opts(*self._common, *made, **together, **_patience(service, settings))
            made.append(create(manifest, options))
        return made


def _patience(service: VllmService, settings: Settings) -> dict[str, object]:
    """Pulumi waits as long as the start-up probe does."""
    return {"custom_timeouts": patience(render.start(service, settings).budget + render.GRACE_SECONDS)}
