"""Who may talk to the API gateway, and whom it talks to besides models (`flows`) and Valkey (`consumers`)."""

from urllib.parse import urlsplit

from ai_platform import names
from ai_platform.peers import OUTSIDE, Flow, Peer
from ai_platform.settings import Settings

GATEWAY = Peer(names.GATEWAY, "gateway")
PROMETHEUS = Peer(names.MONITORING, "prometheus")
HTTPS, HTTP = 443, 80


def flows(settings: Settings) -> list[Flow]:
    """All of them; nothing where there is no gateway."""
    api, ports = settings.api, settings.ports
    if api is None:
        return []
    found = []
    if settings.watch:
        found.append(Flow(PROMETHEUS, GATEWAY, (ports["model_gateway_metrics"],), "metrics"))
    if api.outside:
        why = "people and programs of the company, through the gateways of the hosts"
        found.append(Flow(OUTSIDE, GATEWAY, (ports["model_gateway_tls"],), why))
    if api.issuer:
        parts = urlsplit(api.issuer.keys)
        port = parts.port or (HTTPS if parts.scheme == "https" else HTTP)
        found.append(Flow(GATEWAY, OUTSIDE, (port,), "the identity provider's keys"))
    return found
