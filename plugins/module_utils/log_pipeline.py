"""What a collector of logs does with a line: a pure planner of the OpenTelemetry collector's configuration.

Every collector does the same: read on where it stopped, name where a line is from, hash keys and cut prompts,
keep on disk what the store does not take. Only what it reads differs: files of pods, files and the journal of
a host, or lines of other collectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

APPLICATION, AUDIT = "application", "audit"
STREAMS = (APPLICATION, AUDIT)
STREAM = "stream"  # the resource attribute that retention goes by
REMOVED = "[removed]"
LOKI, OPENSEARCH, COLLECTOR = "loki", "opensearch", "collector"
STORES = (LOKI, OPENSEARCH, COLLECTOR)
TENANT = "bedplate"
# A line is written down before where it was read is; without it what is in memory is lost with the process.
FEATURES = ("stanza.synchronousLogEmitter",)
LINE_BYTES = 1048576  # of one line; kubelet's parts of a line are put together before anything is judged
QUEUE_LINES = 2000000  # on disk, while the store is away
BATCH_LINES, BATCH_SECONDS = 4096, "1s"
TIME_LAYOUT = "%Y-%m-%dT%H:%M:%S.%LZ"
TENANT_HEADER = "X-Scope-OrgID"
OWN_PODS = (
    "/var/log/pods/*_log-collector-*/*/*.log"  # what it says of a line that fails would come back as a line
)
OWN_UNIT = 'body._SYSTEMD_UNIT == "log-collector.service"'
# Where it is read: later, what units said together would all be named after one of them.
UNIT_NAME = {
    "type": "copy",
    "from": "body._SYSTEMD_UNIT",
    "to": 'resource["service.name"]',
    "if": "body._SYSTEMD_UNIT != nil",
}
# How the API gateway's records of use begin (bedplate/api/usage.py), in the collector's language.
IS_RECORD = """type(body) == "string" and body startsWith '{"source":"api"'"""
Config = dict[str, Any]


@dataclass(frozen=True)
class Redaction:
    """What no line may carry: ``secrets`` are ``{pattern, keep}`` with one group, ``prompts`` are words. In
    the namespaces ``places`` a line leaves only where it begins like one of ``beginnings`` (patterns)."""

    secrets: Sequence[Mapping[str, str]]
    prompts: Sequence[str]
    places: Sequence[str] = ()
    beginnings: Sequence[str] = ()


@dataclass(frozen=True)
class Store:
    """Where lines go. ``tls`` has the paths ``ca``, ``certificate`` and ``key``; none: plain HTTP."""

    kind: str
    address: str
    tls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Files:
    """Files of lines as they are, and the stream that they belong to."""

    name: str
    paths: Sequence[str]
    stream: str = APPLICATION


@dataclass(frozen=True)
class Collector:
    """One collector. ``health`` and ``metrics`` are HOST:PORT; ``folder`` keeps positions and the queue;
    ``records`` are those files of pods whose lines may be audit records: nobody else's are taken for one;
    ``intake`` is HOST:PORT at which other collectors are heard, with ``intake_tls`` as in Store."""

    host: str
    environment: str
    folder: str
    health: str
    metrics: str
    pods: Sequence[str] = ()
    records: Sequence[str] = ()
    files: Sequence[Files] = ()
    journal: bool = False
    intake: str = ""
    intake_tls: Mapping[str, str] = field(default_factory=dict)


def config(collector: Collector, store: Store, redaction: Redaction) -> Config:
    """The whole configuration. Raises ValueError for a store or a stream that there is not, a pattern without
    exactly one group, and a collector that reads nothing."""
    receivers = _receivers(collector)
    if not receivers:
        raise ValueError("a collector that reads nothing")
    name, exporter = _exporter(store)
    address, _, port = collector.metrics.rpartition(":")
    reader = {"pull": {"exporter": {"prometheus": {"host": address, "port": int(port)}}}}
    storage = {"directory": collector.folder, "create_directory": True, "fsync": True}
    storage["compaction"] = {"on_start": True, "on_rebound": True, "directory": collector.folder}
    return _escaped(  # type: ignore[no-any-return]
        {
            "extensions": {"file_storage": storage, "health_check": {"endpoint": collector.health}},
            "receivers": receivers,
            "processors": {"transform": _transform(collector, redaction)},
            "exporters": {name: exporter},
            "service": {
                "extensions": ["file_storage", "health_check"],
                "pipelines": {
                    "logs": {
                        "receivers": sorted(receivers),
                        "processors": ["transform"],
                        "exporters": [name],
                    }
                },
                "telemetry": {
                    "logs": {"encoding": "json", "level": "warn"},
                    "metrics": {"level": "normal", "readers": [reader]},
                },
            },
        }
    )


def statements(redaction: Redaction) -> list[str]:
    """What is done to every line before it leaves: keys first, for what is cut cannot be hashed."""
    found = []
    for secret in redaction.secrets:
        if re.compile(secret["pattern"]).groups != 1:
            raise ValueError("pattern {!r} wants exactly one group".format(secret["pattern"]))
        form = quoted(secret.get("keep", "") + "sha256:%s")
        found.append(
            "replace_pattern(log.body, {}, {}, SHA256, {})".format(
                quoted(secret["pattern"]), quoted("$1"), form
            )
        )
    if redaction.prompts:
        found.append(
            "replace_pattern(log.body, {}, {})".format(
                quoted(cut(redaction.prompts)), quoted("${1}" + REMOVED)
            )
        )
    if redaction.places:
        found.append(
            'set(log.body, {}) where IsMatch(resource.attributes["k8s.namespace.name"], {}) '
            "and not IsMatch(log.body, {})".format(
                quoted(REMOVED),
                quoted("^(?:{})$".format("|".join(map(re.escape, redaction.places)))),
                quoted(begins(redaction.beginnings)),
            )
        )
    return found


def begins(patterns: Sequence[str]) -> str:
    """The pattern of a line that begins as programs' lines do; any other may go on with what people wrote."""
    return "^(?:{})".format("|".join(patterns))


def cut(words: Sequence[str]) -> str:
    """The pattern of everything from one of ``words`` on, whatever quotes and escapes stand around it."""
    return r"(?is)(\b(?:{})\b[\"'\\]*\s*[:=]).*".format("|".join(re.escape(word) for word in words))


def quoted(text: str) -> str:
    """A string of the collector's own language (OTTL)."""
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _transform(collector: Collector, redaction: Redaction) -> Config:
    """Where a line is from, what may not be in it, and nothing that nobody asks for. A line that cannot be
    judged is not passed on as it is: the error mode keeps it back."""
    named = [
        f'set(resource.attributes["environment"], {quoted(collector.environment)})',
        f'set(resource.attributes["host"], {quoted(collector.host)}) '
        'where resource.attributes["host"] == nil',
        'set(resource.attributes["service.name"], resource.attributes["k8s.container.name"]) where '
        'resource.attributes["service.name"] == nil and resource.attributes["k8s.container.name"] != nil',
        'keep_keys(resource.attributes, ["environment", "host", "stream", "service.name", '
        '"k8s.namespace.name", "k8s.pod.name", "k8s.container.name"])',
    ]
    text = [
        # The journal's records are maps.
        'set(log.body, log.body["MESSAGE"]) where IsMap(log.body) and log.body["MESSAGE"] != nil',
        "set(log.body, String(log.body)) where not IsString(log.body)",
        'keep_keys(log.attributes, ["log.iostream"])',
    ]
    return {
        "error_mode": "propagate",
        "log_statements": [
            {"context": "log", "statements": [*text, *statements(redaction)]},
            {"context": "resource", "statements": named},
        ],
    }


def _receivers(collector: Collector) -> Config:
    found: Config = {}
    if collector.pods:
        parse = {"type": "container", "format": "containerd", "max_log_size": LINE_BYTES}
        others = {"exclude": [OWN_PODS, *collector.records]}
        found["file_log/pods"] = _file_log(collector.pods, APPLICATION, [parse]) | others
        if collector.records:
            operators = [parse, _audit_stream(), _own_time(IS_RECORD)]
            found["file_log/records"] = _file_log(collector.records, APPLICATION, operators)
    for files in collector.files:
        if files.stream not in STREAMS:
            raise ValueError(f"{files.name}: there is no stream {files.stream!r}")
        operators = [_own_time()] if files.stream == AUDIT else []
        found["file_log/" + files.name] = _file_log(files.paths, files.stream, operators)
    if collector.journal:
        found["journald"] = {
            "resource": {STREAM: APPLICATION},
            "storage": "file_storage",
            "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
            # What it says of a line that fails would come back as a line.
            "operators": [{"type": "filter", "expr": OWN_UNIT}, UNIT_NAME],
        }
    if collector.intake:
        spoken: Config = {"endpoint": collector.intake}
        if collector.intake_tls:
            tls = collector.intake_tls
            spoken["tls"] = {
                "cert_file": tls["certificate"],
                "key_file": tls["key"],
                "client_ca_file": tls["ca"],
                "min_version": "1.2",
                "reload_interval": "1h",
            }
        found["otlp"] = {"protocols": {"http": spoken}}
    return found


def _file_log(paths: Sequence[str], stream: str, operators: Sequence[Config]) -> Config:
    return {
        "include": list(paths),
        "start_at": "beginning",
        "include_file_path": True,
        "include_file_name": False,
        "max_log_size": LINE_BYTES,
        "storage": "file_storage",
        "resource": {STREAM: stream},
        # A store that is away fills the queue, then reading waits: files stay where they are.
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
        "operators": list(operators),
    }


def _audit_stream() -> Config:
    """What a program says of itself stays beside what others say."""
    return {"type": "add", "field": "resource." + STREAM, "value": AUDIT, "if": IS_RECORD}


def _own_time(only: str = "true") -> Config:
    """An audit record's own time, which is when it happened, not when it was read."""
    return {
        "type": "regex_parser",
        "if": only,
        "regex": '"time": ?"(?P<time>[0-9T:.-]{23}Z)"',
        "on_error": "send_quiet",
        "timestamp": {"parse_from": "attributes.time", "layout": TIME_LAYOUT, "location": "UTC"},
    }


def _exporter(store: Store) -> tuple[str, Config]:
    queue = {
        "enabled": True,
        "storage": "file_storage",
        "queue_size": QUEUE_LINES,
        "sizer": "items",
        "block_on_overflow": True,
        "num_consumers": 4,
        "batch": {"min_size": 1, "max_size": BATCH_LINES, "flush_timeout": BATCH_SECONDS, "sizer": "items"},
    }
    common: Config = {
        "sending_queue": queue,
        "retry_on_failure": {"enabled": True, "max_interval": "30s", "max_elapsed_time": "0s"},
    }
    tls: Config = {"insecure": True}
    if store.tls:
        tls = {
            "ca_file": store.tls["ca"],
            "cert_file": store.tls["certificate"],
            "key_file": store.tls["key"],
        }
        tls["reload_interval"] = "1h"
    if store.kind == LOKI:
        headers = {TENANT_HEADER: TENANT}
        return "otlp_http", common | {"endpoint": store.address + "/otlp", "headers": headers, "tls": tls}
    if store.kind == COLLECTOR:
        return "otlp_http", common | {"endpoint": store.address, "tls": tls}
    if store.kind == OPENSEARCH:
        index = {"logs_index": "bedplate-%{stream}", "logs_index_fallback": APPLICATION}
        index["logs_index_time_format"] = "yyyy.MM.dd"
        return "opensearch", common | {"http": {"endpoint": store.address, "tls": tls}} | index
    raise ValueError(f"there is no store {store.kind!r}")


def _escaped(value: Any) -> Any:
    """The collector reads $ as the beginning of a variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return value
