"""Component: who sees trouble before users do."""

from dataclasses import dataclass

import pulumi

from ai_platform import exporter_objects, grafana_objects, monitoring_parts, prometheus_objects
from ai_platform.manifest import Manifest, create, create_all
from ai_platform.monitoring_parts import Part, account, rights, service
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets, secret
from ai_platform.settings import Settings
from bedplate.monitoring import scrape


@dataclass(frozen=True)
class MonitoringArgs:
    """The environment that is watched; ``ready`` stands before any pod is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Monitoring(pulumi.ComponentResource):
    """Prometheus twice, Alertmanager three times, Grafana, exporters; nothing where `platform_monitoring` is
    left out. Outputs: ``addresses`` (program to URL inside the cluster)."""

    addresses: dict[str, str]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Monitoring", name, None, opts)
        self._settings, self._secrets = args.settings, args.secrets
        self._after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        self._parts = monitoring_parts.parts(args.settings)
        self.addresses = {}
        if self._parts:
            self._alerts()
            self._grafana()
            self._exporters()
            self._databases()
        self.register_outputs({"addresses": self.addresses})

    def _alerts(self) -> None:
        settings, ports = self._settings, self._settings.ports
        part = self._parts[scrape.PROMETHEUS]
        config, *rules = prometheus_objects.configuration(settings, part)
        self._program(
            part,
            [config, *rules, *rights(part, prometheus_objects.READS)],
            prometheus_objects.prometheus(settings, part, config, rules),
            service(part, {"http": ports["prometheus"]}, headless=True),
        )
        # Graphs do not jump between two that have not seen quite the same.
        asked = service(part, {"http": ports["prometheus"]}, sticky=True)
        asked["metadata"] |= {"name": prometheus_objects.ASKED}
        create(asked, self._after)
        told = self._parts[scrape.ALERTMANAGER]
        routes = prometheus_objects.routes(settings, told)
        exposed = {"http": ports["alertmanager"], "peers": ports["alertmanager_peers"]}
        self._program(
            told,
            [routes],
            prometheus_objects.alertmanager(settings, told, routes),
            service(told, exposed, headless=True),
        )

    def _grafana(self) -> None:
        part = self._parts["grafana"]
        config, boards = grafana_objects.configuration(self._settings, part)
        wanted = [grafana_objects.PASSWORD, grafana_objects.KEY]
        generation = ".".join(self._secrets.generation(name) for name in wanted)
        self._program(
            part,
            [config, boards, *(self._secret(name, part) for name in wanted)],
            grafana_objects.deployment(self._settings, part, config, boards, generation),
            service(part, {"http": self._settings.ports["grafana"]}),
        )

    def _exporters(self) -> None:
        settings, ports = self._settings, self._settings.ports
        node, dcgm = self._parts["node-exporter"], self._parts[scrape.DCGM]
        blackbox, state = self._parts[scrape.BLACKBOX], self._parts[scrape.STATE]
        counters, modules = (
            exporter_objects.counters(settings, dcgm),
            exporter_objects.modules(settings, blackbox),
        )
        self._program(node, [], exporter_objects.node_exporter(settings, node))
        self._program(dcgm, [counters], exporter_objects.dcgm_exporter(settings, dcgm, counters))
        self._program(
            blackbox,
            [modules],
            exporter_objects.blackbox(settings, blackbox, modules),
            service(blackbox, {"http": ports["blackbox_exporter"]}),
        )
        self._program(
            state,
            rights(state, exporter_objects.STATE_READS),
            exporter_objects.state(settings, state),
            service(state, {"http": ports["kube_state_metrics"]}),
        )

    def _databases(self) -> None:
        for kind, password in exporter_objects.PASSWORDS.items():
            databases = [d for d in monitoring_parts.watch(self._settings).databases if d.kind == kind]
            if not databases:
                continue
            part, generation = self._parts[f"{kind}-exporter"], self._secrets.generation(password)
            before = create_all([account(part), self._secret(password, part)], self._after)
            after = pulumi.ResourceOptions.merge(self._after, pulumi.ResourceOptions(depends_on=before))
            for database in databases:
                create(exporter_objects.database(self._settings, part, database, generation), after)

    def _secret(self, name: str, part: Part) -> Manifest:
        return secret(name, part.namespace, self._secrets.value(name), part.labels)

    def _program(
        self, part: Part, before: list[Manifest], workload: Manifest, address: Manifest | None = None
    ) -> None:
        """What a part needs, its pods, its address, and how many of several may be away at once."""
        made = create_all([account(part), *before], self._after)
        after = pulumi.ResourceOptions.merge(self._after, pulumi.ResourceOptions(depends_on=made))
        if address is not None:
            create(address, self._after)
            port = address["spec"]["ports"][0]["port"]
            self.addresses[part.app] = f"http://{part.app}.{part.namespace}.svc:{port}"
        if workload["kind"] != "DaemonSet" and part.pods > 1:
            create(
                disruption_budget(
                    part.app, monitoring_parts.INSTANCE, part.namespace, monitoring_parts.OWNER
                ),
                self._after,
            )
        create(workload, after)
