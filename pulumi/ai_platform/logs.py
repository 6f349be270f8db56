"""Component: what pods and hosts say, kept as long as it must be and no longer."""

from dataclasses import dataclass

import pulumi

from ai_platform import consumers, log_objects, log_parts
from ai_platform.daemons import rollout_seconds
from ai_platform.log_parts import RETENTION
from ai_platform.log_settings import LOKI
from ai_platform.manifest import Manifest, create, create_all, patience
from ai_platform.monitoring_parts import OWNER, Part, account, service
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class LogsArgs:
    """The environment whose logs are kept; ``ready`` stands before any pod is made, ``buckets`` before Loki
    where it keeps its lines in one: it gives up on a bucket that is not there."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]
    buckets: list[pulumi.Resource]


class Logs(pulumi.ComponentResource):
    """A store and collectors; nothing where `platform_logs` is left out. Outputs: ``address`` (of the store,
    inside the cluster)."""

    address: str

    def __init__(self, name: str, args: LogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Logs", name, None, opts)
        self._settings, self._secrets = args.settings, args.secrets
        self._after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        self._buckets = pulumi.ResourceOptions(depends_on=args.buckets)
        self._parts = log_parts.parts(args.settings)
        self.address = ""
        if self._parts:
            self._loki() if log_parts.logs(args.settings).store == LOKI else self._opensearch()
            self.address = log_objects.store_address(args.settings).address
            for app in (log_parts.COLLECTOR, log_parts.INTAKE):
                if app in self._parts:
                    self._collector(self._parts[app])
        self.register_outputs({"address": self.address})

    def _loki(self) -> None:
        part, settings = self._parts[LOKI], self._settings
        config, access, generation = log_objects.loki_config(settings, part), [], ""
        if log_parts.logs(settings).bucket:
            one = consumers.consumer(log_objects.CONSUMER)
            access, generation = (
                consumers.access(one, settings, self._secrets),
                consumers.generation(one, self._secrets),
            )
        address = service(part, {"metrics": settings.ports["loki"]}, headless=True)
        made = self._before(part, [config, *access])
        if access:
            made = pulumi.ResourceOptions.merge(made, self._buckets)
        create(address, self._after)
        create(log_objects.loki_store(settings, part, config, generation), made)

    def _opensearch(self) -> None:
        part, settings = self._parts["opensearch"], self._settings
        config = log_objects.opensearch_config(settings, part)
        ports = {"http": settings.ports["opensearch"], "peers": settings.ports["opensearch_peers"]}
        made = self._before(part, [config])
        create(service(part, ports, headless=True), self._after)
        if part.pods > 1:
            create(disruption_budget(part.app, part.instance, part.namespace, OWNER), self._after)
        nodes = create(log_objects.opensearch_store(settings, part, config), made)
        keeper = self._parts[RETENTION]
        policies, job = log_objects.retention(settings, keeper)
        after = pulumi.ResourceOptions.merge(
            self._before(keeper, [policies]), pulumi.ResourceOptions(depends_on=[nodes])
        )
        create(job, after)

    def _collector(self, part: Part) -> None:
        config = log_objects.collector_config(self._settings, part)
        patient = pulumi.ResourceOptions(custom_timeouts=patience(rollout_seconds(self._settings)))
        after = pulumi.ResourceOptions.merge(self._before(part, [config]), patient)
        create(log_objects.collector(self._settings, part, config), after)

    def _before(self, part: Part, needed: list[Manifest]) -> pulumi.ResourceOptions:
        """Options of a workload that comes after its account and what it mounts."""
        made = create_all([account(part), *needed], self._after)
        return pulumi.ResourceOptions.merge(self._after, pulumi.ResourceOptions(depends_on=made))
