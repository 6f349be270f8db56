"""The programs of logs: how many, how large, where."""

from dataclasses import replace

from ai_platform import names
from ai_platform.log_settings import LOKI, Logs
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.settings import Settings
from bedplate.capacity.models import GIB

INSTANCE = "logs"
STORE_USERS = {"loki": 10001, "opensearch": 1000}
COLLECTOR, INTAKE, RETENTION = "log-collector", "log-intake", "opensearch-retention"


def logs(settings: Settings) -> Logs:
    """Where logs go; only asked where they go somewhere."""
    assert settings.logs is not None
    return settings.logs


def parts(settings: Settings) -> dict[str, Part]:
    """Every program by its app; nothing where nobody asked for logs."""
    wanted = settings.logs
    if wanted is None:
        return {}
    user = STORE_USERS[wanted.store]
    if wanted.store == LOKI:
        found = [Part("loki", "loki", 1, 500, GIB, 4 * GIB, names.LOGS, user, INSTANCE)]
    else:  # half of it is Java's heap, the rest the page cache's
        node = Part(
            "opensearch", "opensearch", wanted.nodes, 1000, 8 * GIB, 8 * GIB, names.LOGS, user, INSTANCE
        )
        sets = replace(node, app=RETENTION, pods=1, millicpu=100, memory=256 * MIB, limit=512 * MIB)
        found = [node, sets]
    # Root, because log files of pods and audit records belong to root; nothing else of it.
    found.append(_collector(COLLECTOR, settings.nodes))
    if wanted.heard_at:
        found.append(_collector(INTAKE, len(wanted.heard_at)))
    return {part.app: part for part in found}


def _collector(app: str, count: int) -> Part:
    return Part(app, "log-collector", count, 100, 256 * MIB, GIB, names.HOSTS, 0, INSTANCE)
