"""Objects of Grafana: all that it shows is provisioned, so it keeps nothing and may start anew anywhere."""

import yaml

from ai_platform import monitoring_parts as parts
from ai_platform import names, pods, scripts
from ai_platform.log_settings import LOKI
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.prometheus_objects import ASKED
from ai_platform.settings import Settings
from bedplate.capacity.models import GIB
from bedplate.logs.pipeline import TENANT, TENANT_HEADER
from bedplate.monitoring.dashboards.grafana import DATASOURCE

PASSWORD, KEY = "grafana-admin-password", "grafana-secret-key"
USER = "bedplate"  # not the name that everybody tries first
SECRETS, PROVISIONING, BOARDS = "/etc/grafana/secrets", "/etc/grafana/provisioning", "/etc/grafana/boards"
SETTINGS = {
    "GF_SECURITY_ADMIN_USER": USER,
    "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{SECRETS}/{PASSWORD}",
    "GF_SECURITY_SECRET_KEY__FILE": f"{SECRETS}/{KEY}",
    "GF_SECURITY_COOKIE_SECURE": "true",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    # Nothing is told to anybody outside, and nothing is fetched from there.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PATHS_PROVISIONING": PROVISIONING,
    "GF_LOG_CONSOLE_FORMAT": "json",
}


def configuration(settings: Settings, part: Part) -> list[Manifest]:
    """What is provisioned, and the dashboards."""
    address = f"http://{ASKED}.{names.MONITORING}.svc:{settings.ports['prometheus']}"
    source = {"name": "Prometheus", **DATASOURCE, "access": "proxy", "url": address, "isDefault": True}
    sources = [source | {"editable": False}, *_logs(settings)]
    folder = {"name": "bedplate", "type": "file", "disableDeletion": True, "options": {"path": BOARDS}}
    texts = {
        "datasources.yml": {"apiVersion": 1, "datasources": sources},
        "dashboards.yml": {"apiVersion": 1, "providers": [folder]},
    }
    data = {name: yaml.safe_dump(body, sort_keys=False) for name, body in texts.items()}
    boards = dict(parts.watch(settings).dashboards)
    return [
        scripts.config_map("grafana", part.namespace, data, part.labels),
        scripts.config_map("grafana-boards", part.namespace, boards, part.labels),
    ]


def _logs(settings: Settings) -> list[Manifest]:
    """Loki, which everybody may ask who may see dashboards. Its tenant is no secret: without one it answers
    nobody."""
    if settings.logs is None or settings.logs.store != LOKI:
        return []
    address = f"http://{LOKI}.{names.LOGS}.svc:{settings.ports[LOKI]}"
    source = {"name": "Logs", "type": "loki", "uid": "logs", "access": "proxy", "url": address}
    header = {"jsonData": {"httpHeaderName1": TENANT_HEADER}, "secureJsonData": {"httpHeaderValue1": TENANT}}
    return [source | header | {"editable": False}]


def deployment(
    settings: Settings, part: Part, config: Manifest, boards: Manifest, generation: str
) -> Manifest:
    """One Grafana: while it starts anew elsewhere alerts go on without it."""
    mounts = {
        "provisioning": PROVISIONING,
        "boards": BOARDS,
        "secrets": SECRETS,
        "data!": "/var/lib/grafana",
        "tmp!": "/tmp",  # noqa: S108 - the mount, not a file in it
    }
    made = parts.container(
        part, settings, [], {"http": settings.ports["grafana"]}, mounts, health="/api/health"
    )
    made["env"] = [{"name": name, "value": value} for name, value in SETTINGS.items()]
    items = [{"key": name, "path": f"{name.removesuffix('.yml')}/bedplate.yml"} for name in config["data"]]
    volumes: list[Manifest] = [
        {"name": "provisioning", "configMap": {"name": config["metadata"]["name"], "items": items}},
        parts.from_config("boards", boards),
        {
            "name": "secrets",
            "projected": {"sources": [{"secret": {"name": name}} for name in (PASSWORD, KEY)]},
        },
        pods.scratch_volume("data", GIB),
        parts.tmp(),
    ]
    spec = parts.pod(part, made, volumes) | {"priorityClassName": names.INTERACTIVE}
    return parts.deployment(part, spec, **{"bedplate.io/secret-generation": generation})
