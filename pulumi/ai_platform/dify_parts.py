"""Dify's programs: how many, how large, where, and what their pods have in common."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from ai_platform import consumers, names, pods, scripts
from ai_platform import dify_environment as words
from ai_platform.dify_environment import Ref
from ai_platform.dify_settings import Dify
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.settings import Settings
from bedplate.capacity.models import GIB

INSTANCE = "dify"
USER, PROXY_USER, ROOT = 1001, 13, 0  # of the images; the plugin daemon's has none, so it takes Dify's
PYTHON = "python3"
STARTUP = 60  # probes of ten seconds: Dify imports for a minute, and as long again beside others
CERTIFICATES = "certificates"


def dify(settings: Settings) -> Dify:
    """What the environment says about Dify; only asked where it has one."""
    assert settings.dify is not None
    return settings.dify


def parts(settings: Settings) -> dict[str, Part]:
    """Every program by its app; nothing where there is no Dify."""
    if settings.dify is None:
        return {}
    many, workers = settings.dify.replicas, settings.dify.workers
    api = Part(words.API, "dify-api", many, 500, 2 * GIB, 4 * GIB, names.DIFY, USER, INSTANCE)
    found = [
        api,
        replace(api, app=words.WORKER, pods=workers),
        # Two would start everything twice.
        replace(api, app=words.BEAT, pods=1, millicpu=50, memory=512 * MIB, limit=GIB),
        replace(api, app=words.WEB, image="dify-web", millicpu=100, memory=512 * MIB, limit=GIB),
        replace(api, app=words.PLUGINS, image="dify-plugin-daemon", memory=GIB),
        _small(api, words.PROXY, "ssrf-proxy", 64 * MIB, user=PROXY_USER),
        replace(
            api,
            app=words.SANDBOX,
            image="code-sandbox",
            memory=GIB,
            limit=2 * GIB,
            namespace=names.SANDBOX,
            user=ROOT,
        ),
        replace(api, app=words.MIGRATE, pods=1, millicpu=100, memory=GIB, limit=2 * GIB),
        _small(replace(api, pods=1), words.SETUP, "dify-api", 128 * MIB),
    ]
    return {part.app: part for part in found}


def _small(like: Part, app: str, image: str, memory: int, user: int = USER) -> Part:
    return replace(like, app=app, image=image, millicpu=50, memory=memory, limit=4 * memory, user=user)


def environment(variables: words.Environment) -> list[Manifest]:
    """Variables as a container has them. Those that are put together of others come after them."""
    plain = [_variable(n, v) for n, v in variables.items() if not (isinstance(v, str) and "$(" in v)]
    return plain + [_variable(n, v) for n, v in variables.items() if isinstance(v, str) and "$(" in v]


def _variable(name: str, value: words.Value) -> Manifest:
    if isinstance(value, Ref):
        reference = {"name": value.secret, "key": value.key}
        return {"name": name, "valueFrom": {"secretKeyRef": reference}}
    return {"name": name, "value": value}


def needs(app: str, settings: Settings) -> tuple[str, ...]:
    """HOST:PORT of what a program cannot start without, in the order of start."""
    store = urlsplit(consumers.store(settings).endpoint)
    port = store.port or {"http": 80}.get(store.scheme, 443)
    kept = (
        consumers.endpoint(consumers.DATABASE, settings),
        consumers.endpoint(consumers.BROKER, settings),
        f"{store.hostname}:{port}",
    )
    served = urlsplit(words.service(words.API, settings, "dify_api")).netloc
    daemon = urlsplit(words.service(words.PLUGINS, settings, "dify_plugins")).netloc
    return {
        words.MIGRATE: kept,
        words.API: kept,
        words.WORKER: kept,
        words.BEAT: kept[:2],
        words.PLUGINS: kept,
        words.SETUP: (served, daemon),
    }.get(app, ())


def container(part: Part, settings: Settings, variables: words.Environment, **more: object) -> Manifest:
    """The part's container; ``more`` are ports, probes and what else only it has."""
    made: Manifest = {
        "name": part.app,
        "image": settings.images.reference(part.image),
        "imagePullPolicy": "IfNotPresent",
        "env": environment(variables),
        "resources": part.resources,
        "securityContext": pods.container_security(),
    }
    return made | more


def mount(name: str, path: str, *, writable: bool = False) -> Manifest:
    """Where a container finds a volume."""
    return {"name": name, "mountPath": path} | ({} if writable else {"readOnly": True})


def probes(port: str, path: str) -> Manifest:
    """Readiness first, then liveness three times as patient: a busy server is not a dead one."""
    action = pods.http(path, port) if path else {"tcpSocket": {"port": port}}
    return {
        "startupProbe": action | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": STARTUP},
        "readinessProbe": action | {"periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": action | {"periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 6},
    }


def asked(command: Sequence[str], seconds: int, timeout: int) -> Manifest:
    """Probes of a program without an address: a command that it answers, or that looks at what it wrote."""
    action: Manifest = {"exec": {"command": list(command)}, "timeoutSeconds": timeout}
    return {
        "startupProbe": action | {"periodSeconds": 15, "failureThreshold": STARTUP},
        "livenessProbe": action | {"periodSeconds": seconds, "failureThreshold": 5},
        "readinessProbe": action | {"periodSeconds": seconds},
    }


def programs(namespace: str) -> Manifest:
    """What runs beside and before Dify's own programs."""
    return scripts.config_map("dify-programs", namespace, scripts.read("wait.py"), names.labels(INSTANCE))


def pod(part: Part, settings: Settings, made: Manifest, volumes: Sequence[Manifest] = ()) -> Manifest:
    """The part's pod: placed as the inventory says, after what it needs can be reached."""
    nodes = settings.node_groups[dify(settings).nodes]
    waiting = needs(part.app, settings)
    spec: Manifest = {
        "serviceAccountName": part.app,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": names.INTERACTIVE,
        "securityContext": pods.pod_security(part.user, part.user, files=part.user),
        "affinity": {"nodeAffinity": pods.on_group(nodes)},
        "topologySpreadConstraints": pods.apart(part.app, INSTANCE),
        "containers": [made],
        "volumes": list(volumes),
    }
    if nodes.gpus_per_host:
        spec["tolerations"] = pods.gpu_toleration()
    if waiting:
        spec["initContainers"] = [_wait(part, settings, waiting)]
        spec["volumes"].append({"name": "programs", "configMap": {"name": _programs_name()}})
    return spec


def _programs_name() -> str:
    found: str = programs(names.DIFY)["metadata"]["name"]
    return found


def _wait(part: Part, settings: Settings, addresses: Sequence[str]) -> Manifest:
    return {
        "name": "wait",
        "image": settings.images.reference(part.image),
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, f"{pods.SCRIPTS_PATH}/wait.py", *addresses],
        "resources": pods.small("10m", "32Mi", "128Mi"),
        "securityContext": pods.container_security(),
        "volumeMounts": [mount("programs", pods.SCRIPTS_PATH)],
    }


def certificates(consumer: str) -> Manifest:
    """Who vouches for PostgreSQL, of a consumer's Secret; nothing else of it becomes a file."""
    name = consumers.secret_name(consumers.DATABASE, consumers.consumer(consumer))
    items = [{"key": consumers.AUTHORITY, "path": consumers.AUTHORITY}]
    return {"name": CERTIFICATES, "secret": {"secretName": name, "items": items}}
