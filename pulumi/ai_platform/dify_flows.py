"""Who may talk to Dify's parts, and whom they may talk to. Data services are in the table of consumers."""

from ai_platform import dify_environment as words
from ai_platform import names, squid
from ai_platform.dify_settings import Dify
from ai_platform.peers import OUTSIDE, Flow, Peer
from ai_platform.settings import Settings

GATEWAY = Peer(names.GATEWAY, "gateway")
MILVUS = Peer(names.MILVUS, "milvus")
SANDBOX = Peer(names.SANDBOX, words.SANDBOX)


def _peer(app: str) -> Peer:
    return Peer(names.DIFY, app)


API, WORKER, WEB = _peer(words.API), _peer(words.WORKER), _peer(words.WEB)
PLUGINS, PROXY, SETUP = _peer(words.PLUGINS), _peer(words.PROXY), _peer(words.SETUP)


def flows(settings: Settings) -> list[Flow]:
    """All of them; nothing where there is no Dify."""
    dify = settings.dify
    if dify is None:
        return []
    ports = {name: (port,) for name, port in settings.ports.items()}
    found = [
        Flow(GATEWAY, API, ports["dify_api"], "people and programs reach Dify through the gateway"),
        Flow(GATEWAY, WEB, ports["dify_web"], "people reach Dify through the gateway"),
        Flow(GATEWAY, PLUGINS, ports["dify_plugins"], "endpoints of plugins, below /e/ only"),
        Flow(PLUGINS, API, ports["dify_api"], "plugins call back"),
        Flow(PLUGINS, PLUGINS, ports["dify_plugins"], "each calls the one that runs a plugin"),
        Flow(PLUGINS, GATEWAY, ports["model_gateway"], "models, as everybody reaches them"),
        Flow(SETUP, API, ports["dify_api"], "administrator, plugins and models are set up"),
        Flow(SETUP, PLUGINS, ports["dify_plugins"], "the set-up waits for it"),
        Flow(WEB, API, ports["dify_api"], "pages that are made on the server"),
    ]
    for source in (API, WORKER):
        found += [
            Flow(source, PLUGINS, ports["dify_plugins"], "models and tools are plugins"),
            Flow(source, SANDBOX, ports["code_sandbox"], "code of users runs there"),
            Flow(source, PROXY, ports["ssrf_proxy"], "requests of users leave only through it"),
            Flow(source, MILVUS, ports["milvus"], "vectors"),
        ]
    found.append(Flow(PLUGINS, PROXY, ports["ssrf_proxy"], "plugins leave only through it"))
    return [*found, *_outside(dify, settings)]


def _outside(dify: Dify, settings: Settings) -> list[Flow]:
    """The way out, only where the inventory names somebody out there."""
    found = []
    if dify.internet:
        internet = Peer(excluded=(*squid.PRIVATE, *dify.networks))
        proxy = (settings.ports["ssrf_proxy"],)
        found.append(Flow(SANDBOX, PROXY, proxy, "code of users leaves only through it"))
        found.append(Flow(PROXY, internet, squid.WEB, "the hosts that the inventory names"))
    if dify.index_host:
        found.append(Flow(PLUGINS, OUTSIDE, (dify.index_port,), "Python packages of plugins"))
    return found
