"""Objects of what runs other people's code, and of what stands between it and the rest: plugin daemon,
sandbox, proxy."""

from ai_platform import dify_environment as words
from ai_platform import dify_parts as parts
from ai_platform import monitoring_parts, pods, scripts, squid
from ai_platform.dify_objects import TMP
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.settings import Settings
from bedplate.capacity.models import GIB

GRACE_SECONDS = words.EXECUTION_SECONDS + 30  # a call that is under way is finished
PROXY_CONFIG = "/etc/bedplate/squid"
SIGNER = "dify-plugin-signer"
# What the sandbox' own start needs: it unpacks node, then changes root, user and group before it runs code.
SANDBOX_RIGHTS = ("CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID", "SYS_CHROOT")


def plugins(settings: Settings, part: Part, generation: str) -> Manifest:
    """The plugin daemon. Several are a cluster through Valkey; packages lie in the object store, and each
    builds the plugins' own Python packages again where it starts."""
    dify = parts.dify(settings)
    mounts = [
        parts.mount("work", words.WORK, writable=True),
        parts.mount("tmp", TMP, writable=True),
        parts.mount(parts.CERTIFICATES, words.CERTIFICATES),
    ]
    volumes = [
        pods.scratch_volume("work", 16 * GIB),
        monitoring_parts.tmp(2 * GIB),
        parts.certificates("dify-plugin"),
    ]
    if dify.plugin_key:
        mounts.append(parts.mount("signers", words.SIGNERS))
        volumes.append(monitoring_parts.from_config("signers", signer(settings, part)))
    made = parts.container(
        part,
        settings,
        words.plugins(settings, dify),
        ports=[{"name": "http", "containerPort": settings.ports["dify_plugins"]}],
        volumeMounts=mounts,
        **parts.probes("http", "/health/check"),
    )
    made["resources"]["limits"]["ephemeral-storage"] = "20Gi"
    spec = parts.pod(part, settings, made, volumes) | {"terminationGracePeriodSeconds": GRACE_SECONDS}
    return monitoring_parts.deployment(part, spec, **{"bedplate.io/secret-generation": generation})


def signer(settings: Settings, part: Part) -> Manifest:
    """The public key of whoever signs the company's own plugins."""
    data = {"key.pem": parts.dify(settings).plugin_key}
    return scripts.config_map(SIGNER, part.namespace, data, part.labels)


def proxy(settings: Settings, part: Part, config: Manifest) -> Manifest:
    """Squid, which keeps nothing."""
    made = parts.container(
        part,
        settings,
        {},
        command=["squid", "-N", "-f", f"{PROXY_CONFIG}/squid.conf"],
        ports=[{"name": "http", "containerPort": settings.ports["ssrf_proxy"]}],
        volumeMounts=[
            parts.mount("config", PROXY_CONFIG),
            parts.mount("tmp", TMP, writable=True),
        ],
        **parts.probes("http", ""),
    )
    volumes = [monitoring_parts.from_config("config", config), monitoring_parts.tmp()]
    return monitoring_parts.deployment(part, parts.pod(part, settings, made, volumes))


def proxy_config(settings: Settings, part: Part) -> Manifest:
    """Its rules."""
    dify = parts.dify(settings)
    text = squid.config(settings.ports["ssrf_proxy"], dify.internet, dify.networks)
    return scripts.config_map(words.PROXY, part.namespace, {"squid.conf": text}, part.labels)


def sandbox(settings: Settings, part: Part, generation: str) -> Manifest:
    """Where users' code runs, in a namespace of its own. It starts as root because it changes root and user
    for every run; it keeps no right that it does not use for that."""
    dify = parts.dify(settings)
    made = parts.container(
        part,
        settings,
        words.sandbox(settings, dify),
        ports=[{"name": "http", "containerPort": settings.ports["code_sandbox"]}],
        **parts.probes("http", "/health"),
    )
    made["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": list(SANDBOX_RIGHTS)},
    }
    spec = parts.pod(part, settings, made)
    spec["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if dify.sandbox_runtime:
        spec["runtimeClassName"] = dify.sandbox_runtime
    return monitoring_parts.deployment(part, spec, **{"bedplate.io/secret-generation": generation})
