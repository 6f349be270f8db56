"""Who may talk to the log store: collectors put in, Grafana and the gateway ask."""

from ai_platform import names
from ai_platform.log_parts import COLLECTOR, INTAKE, RETENTION
from ai_platform.log_settings import LOKI
from ai_platform.peers import OUTSIDE, Flow, Peer
from ai_platform.settings import Settings

GRAFANA, PROMETHEUS = Peer(names.MONITORING, "grafana"), Peer(names.MONITORING, "prometheus")
GATEWAY = Peer(names.GATEWAY, "gateway")


def flows(settings: Settings) -> list[Flow]:
    """All of them; nothing where nobody asked for logs."""
    wanted, ports = settings.logs, settings.ports
    if wanted is None:
        return []
    store, port = Peer(names.LOGS, wanted.store), (ports[wanted.store],)
    collectors = [Peer(names.HOSTS, app) for app in (COLLECTOR, INTAKE)[: 1 + bool(wanted.heard_at)]]
    found = [Flow(one, store, port, "lines of pods and hosts") for one in collectors]
    if wanted.heard_at:
        outside = (ports["log_intake"],)
        found.append(
            Flow(OUTSIDE, Peer(names.HOSTS, INTAKE), outside, "hosts outside Kubernetes, by certificate")
        )
    if wanted.store == LOKI:
        found.append(Flow(GRAFANA, store, port, "people search logs"))
    else:
        found.append(Flow(GATEWAY, store, port, "people search logs through the gateway"))
        found.append(Flow(store, store, (ports["opensearch_peers"],), "nodes of the store"))
        found.append(Flow(Peer(names.LOGS, RETENTION), store, port, "says what is deleted when"))
    if settings.watch:
        metrics = (ports["log_collector_metrics"],)
        found += [Flow(PROMETHEUS, one, metrics, "metrics") for one in collectors]
        if wanted.store == LOKI:
            found.append(Flow(PROMETHEUS, store, port, "metrics"))
    return found
