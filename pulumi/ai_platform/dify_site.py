"""Dify as people reach it, behind the gateways of the hosts and the API gateway: which of its programs
answers what. As the proxy of its own composition and that of its chart have it (1.17)."""

from ai_platform import dify_environment as words
from ai_platform import names
from ai_platform.dify_settings import Dify
from ai_platform.settings import Settings
from bedplate.api.sites import Place, Program, Site

OF_API = ("/console/api", "/api", "/v1", "/files", "/mcp", "/triggers", "/openapi")
SOCKETS = "/socket.io"
HOOKS, HOOK_ADDRESS = "/e", "Dify-Hook-Url"  # endpoints of plugins, which are told how they were called
PORTS = {words.API: "dify_api", words.WEB: "dify_web", words.PLUGINS: "dify_plugins"}


def site(settings: Settings, dify: Dify) -> Site:
    """Its programs and places; what no other answers is a page."""
    return Site(
        dify.host,
        tuple(
            Program(app, f"{app}.{names.DIFY}.svc.cluster.local", settings.ports[port])
            for app, port in PORTS.items()
        ),
        (
            *(Place(path, words.API) for path in OF_API),
            Place(SOCKETS, words.API, websocket=True),
            Place(HOOKS, words.PLUGINS, address=HOOK_ADDRESS),
            Place("/", words.WEB),
        ),
    )
