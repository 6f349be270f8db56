"""The proxy's configuration, from where back ends are. Envoy parses HTTP, checks tokens, carries streams; it
asks the gate about every request and lets nothing through that the gate has not seen whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bedplate.api import sites
from bedplate.api.gate import MARK, OWN
from bedplate.api.sites import Site

Config = dict[str, Any]
API = "type.googleapis.com/envoy"
FILTER = Path(__file__).with_name("filter.lua")
HEADERS = 64  # of a request
HEADER_KIB = 24
FIRST_BYTE_SECONDS = 900  # a long prompt that waits for its turn
IDLE_SECONDS = 300  # between two pieces of a stream
STREAM_SECONDS = 3600
HTTPS = 443
FLUSH_MILLISECONDS = 20  # a request counts as one of those in parallel until its line of the log is read


@dataclass(frozen=True)
class Upstream:
    """What a back end's name leads to. ``key`` names the variable of the environment with the key that it
    asks for; what is ``bridged`` is asked by the gate, which translates. ``idle_seconds``: shorter than it
    keeps a connection that nobody uses (vLLM: five)."""

    name: str
    host: str
    port: int
    key: str = ""
    bridged: bool = False
    idle_seconds: int = 4


@dataclass(frozen=True)
class Issuer:
    """Who vouches for people. ``keys`` is the address of its JWKS; ``authority`` a file of certificates."""

    url: str
    audience: str
    keys: str
    authority: str = ""


@dataclass(frozen=True)
class Listener:
    """Where clients come in; with ``certificate`` and ``key`` (files) over TLS. ``proxies``: how many in
    front of it append to X-Forwarded-For. ``sites`` are there besides models."""

    name: str
    port: int
    certificate: str = ""
    key: str = ""
    proxies: int = 0
    sites: tuple[Site, ...] = ()


@dataclass(frozen=True)
class Proxy:
    """One replica's proxy."""

    upstreams: tuple[Upstream, ...]
    listeners: tuple[Listener, ...]
    log: str
    body: int
    policy: int
    admin: int
    metrics: int
    address: str = "0.0.0.0"  # noqa: S104 - a pod's; network policies say who comes
    issuer: Issuer | None = None
    resolve_seconds: int = 5


def arguments(file: str, threads: int) -> list[str]:
    """What Envoy is started with."""
    words = ["-c", file, "--concurrency", str(threads), "--disable-hot-restart", "--log-level", "error"]
    return [*words, "--file-flush-interval-msec", str(FLUSH_MILLISECONDS)]


def config(proxy: Proxy) -> Config:
    """Envoy's bootstrap (JSON is YAML)."""
    own = Upstream(OWN, "127.0.0.1", proxy.policy)
    clusters = [_cluster(one, proxy) for one in (*proxy.upstreams, own) if not one.bridged]
    clusters.append(_cluster(Upstream("admin", "127.0.0.1", proxy.admin), proxy))
    shown = dict.fromkeys(
        one for listener in proxy.listeners for site in listener.sites for one in site.programs
    )
    for program in shown:
        place = Upstream(program.name, program.host, program.port, idle_seconds=program.idle_seconds)
        clusters.append(_cluster(place, proxy))
    if proxy.issuer:
        clusters.append(_issuer_cluster(proxy.issuer, proxy))
    return {
        "admin": {"address": _address("127.0.0.1", proxy.admin)},
        "static_resources": {
            "listeners": [*(_listener(one, proxy) for one in proxy.listeners), _metrics(proxy)],
            "clusters": clusters,
        },
        "overload_manager": _overload(),
    }


def _listener(listener: Listener, proxy: Proxy) -> Config:
    chain: Config = {
        "filters": [
            _typed("envoy.filters.network.http_connection_manager", MANAGER, _manager(listener, proxy))
        ]
    }
    if listener.certificate:
        pair = {
            "certificate_chain": {"filename": listener.certificate},
            "private_key": {"filename": listener.key},
        }
        tls = {
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [pair],
                "alpn_protocols": ["h2", "http/1.1"],
            }
        }
        kind = f"{API}.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
        chain["transport_socket"] = _typed("envoy.transport_sockets.tls", kind, tls)
    return {
        "name": listener.name,
        "address": _address(proxy.address, listener.port),
        "per_connection_buffer_limit_bytes": 2 * proxy.body,
        "filter_chains": [chain],
    }


MANAGER = f"{API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def _manager(listener: Listener, proxy: Proxy) -> Config:
    return {
        "stat_prefix": listener.name,
        "codec_type": "AUTO",
        "server_name": "bedplate",
        "use_remote_address": True,
        "xff_num_trusted_hops": listener.proxies,
        "skip_xff_append": listener.proxies > 0,  # they have said who it is; we would only add them
        "always_set_request_id_in_response": True,
        "early_header_mutation_extensions": [_ours_only()],
        "normalize_path": True,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": HEADER_KIB,
        "request_headers_timeout": "10s",
        "request_timeout": "60s",
        "stream_idle_timeout": f"{FIRST_BYTE_SECONDS}s",
        "common_http_protocol_options": {
            "max_headers_count": HEADERS,
            "idle_timeout": f"{IDLE_SECONDS}s",
            "max_stream_duration": f"{STREAM_SECONDS}s",
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 128,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        "upgrade_configs": [],
        "access_log": [_access_log(proxy.log) | _recorded(listener)],
        "local_reply_config": _replies(),
        "http_filters": _filters(proxy),
        "route_config": {
            "name": "models",
            "virtual_hosts": [
                *(sites.virtual_host(site, FIRST_BYTE_SECONDS) for site in listener.sites),
                {"name": "models", "domains": ["*"], "routes": _routes(proxy)},
            ],
        },
    }


def _ours_only() -> Config:
    """What only we say about a request is removed from what clients say, before anything reads it."""
    names = ["token", "insert", "models", "who", "key", "group", "operation", "model", "backend"]
    removed = [f"{MARK}{name}" for name in names]
    removed += ["x-request-id", "x-envoy-original-path", "x-envoy-expected-rq-timeout-ms"]
    kind = f"{API}.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return _typed("ours", kind, {"mutations": [{"remove": name} for name in removed]})


def _filters(proxy: Proxy) -> list[Config]:
    base = f"{API}.extensions.filters.http"
    found = []
    if proxy.issuer:
        found.append(
            _typed(
                "envoy.filters.http.jwt_authn",
                f"{base}.jwt_authn.v3.JwtAuthentication",
                _tokens(proxy.issuer),
            )
        )
    found.append(_typed("envoy.filters.http.ext_authz", f"{base}.ext_authz.v3.ExtAuthz", _gate(proxy)))
    source = {"default_source_code": {"inline_string": FILTER.read_text()}}
    found.append(_typed("envoy.filters.http.lua", f"{base}.lua.v3.Lua", source))
    router = {"suppress_envoy_headers": True}
    found.append(_typed("envoy.filters.http.router", f"{base}.router.v3.Router", router))
    return found


def _tokens(issuer: Issuer) -> Config:
    """Tokens are checked where there are some; whether one was needed is the gate's to say."""
    provider = {
        "issuer": issuer.url,
        "audiences": [issuer.audience],
        "forward": True,
        "forward_payload_header": f"{MARK}token",
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "remote_jwks": {
            "http_uri": {"uri": issuer.keys, "cluster": "issuer", "timeout": "5s"},
            "cache_duration": "300s",
        },
    }
    either = {
        "requires_any": {"requirements": [{"provider_name": "issuer"}, {"allow_missing_or_failed": {}}]}
    }
    return {"providers": {"issuer": provider}, "rules": [{"match": {"prefix": "/"}, "requires": either}]}


def _gate(proxy: Proxy) -> Config:
    address = f"http://127.0.0.1:{proxy.policy}"
    exact = [{"exact": name} for name in ("content-type", "x-request-id", f"{MARK}token")]
    told = [{"exact": name} for name in ("x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens")]
    refused = [{"exact": name} for name in ("content-type", "retry-after", "www-authenticate", "allow")]
    return {
        "transport_api_version": "V3",
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "clear_route_cache": True,
        "with_request_body": {"max_request_bytes": proxy.body, "allow_partial_message": False},
        "allowed_headers": {"patterns": exact},
        "http_service": {
            "server_uri": {"uri": address, "cluster": OWN, "timeout": "5s"},
            "path_prefix": "/decide",
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"prefix": MARK}]},
                "allowed_client_headers": {"patterns": [*refused, *told]},
                "allowed_client_headers_on_success": {"patterns": told},
            },
        },
    }


def _routes(proxy: Proxy) -> list[Config]:
    """A back end is reached only under the name that the gate wrote down."""
    found: list[Config] = []
    for one in proxy.upstreams:
        header = {"name": f"{MARK}backend", "string_match": {"exact": one.name}}
        action = {
            "cluster": OWN if one.bridged else one.name,
            "timeout": "0s",
            "idle_timeout": f"{FIRST_BYTE_SECONDS}s",
            # Nothing has been computed yet when a connection fails; anything else is not asked twice.
            "retry_policy": {"retry_on": "connect-failure,refused-stream", "num_retries": 2},
        }
        route: Config = {"match": {"prefix": "/v1/", "headers": [header]}, "route": action}
        if not one.bridged:
            ours = [f"{MARK}backend", f"{MARK}models", "x-envoy-attempt-count", "x-forwarded-proto"]
            route["request_headers_to_remove"] = ours
        if one.key:
            value = {"key": "authorization", "value": f"Bearer %ENVIRONMENT({one.key})%"}
            route["request_headers_to_add"] = [
                {"header": value, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            ]
        found.append(route)
    own = {"name": f"{MARK}backend", "string_match": {"exact": OWN}}
    found.append(
        {"match": {"path": "/v1/models", "headers": [own]}, "route": {"cluster": OWN, "timeout": "5s"}}
    )
    nothing = {
        "status": 404,
        "body": {"inline_string": _error("unknown_path", "there is nothing at this path")},
    }
    found.append({"match": {"prefix": "/"}, "direct_response": nothing})
    return found


def _cluster(one: Upstream, proxy: Proxy) -> Config:
    """Addresses of all pods of a back end; the one with the fewest requests under way is asked."""
    endpoint = {"endpoint": {"address": _address(one.host, one.port)}}
    options: Config = {
        "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": f"{one.idle_seconds}s"},
    }
    kind = f"{API}.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": one.name,
        "type": "STRICT_DNS",
        "dns_refresh_rate": f"{proxy.resolve_seconds}s",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "5s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}]
        },
        "typed_extension_protocol_options": {kind.rpartition("/")[2]: {"@type": kind, **options}},
        "load_assignment": {"cluster_name": one.name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _issuer_cluster(issuer: Issuer, proxy: Proxy) -> Config:
    parts = urlsplit(issuer.keys)
    host, tls = parts.hostname or "", parts.scheme == "https"
    found = _cluster(Upstream("issuer", host, parts.port or (HTTPS if tls else 80)), proxy)
    if tls:
        trust = {"trusted_ca": {"filename": issuer.authority}}
        names = [{"san_type": "DNS", "matcher": {"exact": host}}]
        context = {
            "sni": host,
            "common_tls_context": {"validation_context": trust | {"match_typed_subject_alt_names": names}},
        }
        kind = f"{API}.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        found["transport_socket"] = _typed("envoy.transport_sockets.tls", kind, context)
    return found


def _metrics(proxy: Proxy) -> Config:
    """The proxy's own address says much and can do much; of it only these two paths are shown."""
    routes = [
        {"match": {"path": "/stats/prometheus"}, "route": {"cluster": "admin"}},
        {"match": {"path": "/ready"}, "route": {"cluster": "admin"}},
        {"match": {"path": "/metrics"}, "route": {"cluster": OWN}},
        {"match": {"path": "/healthy"}, "route": {"cluster": OWN}},
    ]
    router = _typed("envoy.filters.http.router", f"{API}.extensions.filters.http.router.v3.Router", {})
    manager = {
        "stat_prefix": "metrics",
        "http_filters": [router],
        "route_config": {"virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": routes}]},
    }
    filters = [_typed("envoy.filters.network.http_connection_manager", MANAGER, manager)]
    return {
        "name": "metrics",
        "address": _address(proxy.address, proxy.metrics),
        "filter_chains": [{"filters": filters}],
    }


def _access_log(path: str) -> Config:
    """No header of the client, no path, no body: what is not written cannot leak."""
    ours = {name: f"%DYNAMIC_METADATA(bedplate:{name})%" for name in LOGGED}
    form = {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "request": "%REQ(X-REQUEST-ID)%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "method": "%REQ(:METHOD)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "duration": "%DURATION%",
        "first_byte": "%COMMON_DURATION(US_TX_END:US_RX_BEG:ms)%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
    }
    log = {"path": path, "log_format": {"json_format": form | ours, "omit_empty_values": False}}
    return _typed("envoy.access_loggers.file", f"{API}.extensions.access_loggers.file.v3.FileAccessLog", log)


def _recorded(listener: Listener) -> Config:
    """Of sites, the gateways of the hosts keep the records."""
    return {"filter": sites.elsewhere(listener.sites)} if listener.sites else {}


LOGGED = ("who", "key", "group", "operation", "model", "backend", "prompt_tokens", "completion_tokens")


def _replies() -> Config:
    """What the proxy refuses itself has the same form as what the gate refuses."""
    form = {
        "error": {"message": "%LOCAL_REPLY_BODY%", "type": "gateway_error", "code": "%RESPONSE_CODE_DETAILS%"}
    }
    gate = {"response_flag_filter": {"flags": ["UAEX"]}}
    plain = {
        "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
        "content_type": "application/json",
    }
    return {
        "mappers": [{"filter": gate, "body_format_override": plain}],
        "body_format": {"json_format": form},
    }


def _overload() -> Config:
    """The proxy takes no more connections than it has files for."""
    monitor = {"max_active_downstream_connections": 20_000}
    kind = f"{API}.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    return {
        "resource_monitors": [
            _typed("envoy.resource_monitors.global_downstream_max_connections", kind, monitor)
        ]
    }


def _error(code: str, message: str) -> str:
    return f'{{"error":{{"message":"{message}","type":"invalid_request_error","code":"{code}"}}}}'


def _address(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def _typed(name: str, kind: str, settings: Config) -> Config:
    return {"name": name, "typed_config": {"@type": kind, **settings}}
