"""Namespaces of the platform and how far each is from Pod Security `restricted`, with the reason."""

from dataclasses import dataclass, replace

from ai_platform import names
from ai_platform.manifest import Manifest
from ai_platform.settings import Settings, VllmService

RESTRICTED = "restricted"
BASELINE = "baseline"
PRIVILEGED = "privileged"


@dataclass(frozen=True)
class Namespace:
    """One namespace. ``reason`` says why ``level`` is not restricted; tenants are where people's roles
    reach."""

    name: str
    level: str = RESTRICTED
    reason: str = ""
    tenant: bool = True
    resolves: bool = True  # names: its pods reach DNS


ALWAYS = (
    Namespace(
        names.GPU,
        PRIVILEGED,
        "device plugin, feature discovery and MIG manager use the host's driver and kubelet's sockets",
        tenant=False,
    ),
    Namespace(
        names.STORAGE,
        PRIVILEGED,
        "volume discovery reads and cleans the mount points of the storage tiers on the host",
        tenant=False,
    ),
    Namespace(names.SERVING),
    Namespace(names.BATCH),
    Namespace(names.GATEWAY),
    Namespace(names.MONITORING),
)
ON_FABRIC = Namespace(
    names.FABRIC,
    PRIVILEGED,
    "models that span hosts over RoCE use the hosts' network: GIDs belong to the hosts' interfaces",
)
WATCHED_HOSTS = Namespace(
    names.HOSTS,
    PRIVILEGED,
    "exporters and collectors of logs read the host's files, network and kubelet's socket; they write only "
    "what the log store did not take yet",
    tenant=False,
)

# What it holds opens every other namespace; no role of people reaches it.
BACKED_UP = Namespace(names.BACKUP, tenant=False)

# Databases and objects of everybody: reached over the network by those that the table of consumers names.
DATA = Namespace(names.DATA, tenant=False)
LOGS = Namespace(names.LOGS, tenant=False)
MLFLOW = Namespace(names.MLFLOW)
DIFY = Namespace(names.DIFY)
MILVUS = Namespace(names.MILVUS, tenant=False)  # reached by log-in, over the network
CHROMA = Namespace(names.CHROMA)
KNOWLEDGE = Namespace(names.KNOWLEDGE)
SANDBOX = Namespace(
    names.SANDBOX,
    BASELINE,
    "Dify's sandbox starts as root, because it changes root directory and user for every run of users' code; "
    "nothing else lives here",
)


def namespaces(settings: Settings) -> tuple[Namespace, ...]:
    """Those that this environment needs."""
    fabric = (ON_FABRIC,) if any(on_host_network(service) for service in settings.vllm) else ()
    hosts = (WATCHED_HOSTS,) if settings.watch or settings.logs else ()
    logs = (LOGS,) if settings.logs else ()
    backup = (BACKED_UP,) if settings.backups else ()
    data = (DATA,) if settings.data or settings.object_store else ()
    mlflow = (MLFLOW,) if settings.data and settings.data.mlflow else ()
    return (*ALWAYS, *fabric, *hosts, *backup, *data, *mlflow, *logs, *_vectors(settings), *_dify(settings))


def _vectors(settings: Settings) -> tuple[Namespace, ...]:
    wanted = ((settings.milvus, MILVUS), (settings.chroma, CHROMA), (settings.knowledge, KNOWLEDGE))
    return tuple(space for there, space in wanted if there)


def _dify(settings: Settings) -> tuple[Namespace, ...]:
    """DNS carries data out, too: code that may reach nobody does not reach it either."""
    if settings.dify is None:
        return ()
    return (DIFY, replace(SANDBOX, resolves=bool(settings.dify.internet)))


def render(namespace: Namespace) -> Manifest:
    """Enforced, audited and warned at one level; an exception carries its reason."""
    modes = {f"pod-security.kubernetes.io/{mode}": namespace.level for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": names.metadata(
            namespace.name,
            labels=names.labels(namespace.name) | modes,
            annotations={names.REASON: namespace.reason} if namespace.reason else None,
        ),
    }


def on_host_network(service: VllmService) -> bool:
    """RoCE between hosts needs the hosts' own interfaces."""
    return service.multi_host and service.nodes.fabric == "roce"


def namespace_of(service: VllmService) -> str:
    """Where a served model lives."""
    return names.FABRIC if on_host_network(service) else names.SERVING
