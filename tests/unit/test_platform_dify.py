"""Dify as it would be sent: nothing that everybody knows, nobody where he has no business, a start that can
be late."""

import json
import re
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ai_platform import consumers, names, squid
from ai_platform.flows import flows
from ai_platform.namespaces import namespaces
from ai_platform.network_policies import network_policies
from ai_platform.reading import read
from bedplate.errors import BadInput
from tests.platform_samples import host, inventory, onnx, triton, vllm
from tests.rendered import Recorder, find, pod_specs, record
from tests.unit.test_platform_flows import DNS, GATEWAY, OUTSIDE, STRANGER, pod, reaches

Manifest = dict[str, Any]
TIER = [{"name": "warm", "class": "ssd", "count": 2, "raid": 1, "mount": "/srv/warm"}]
HOSTS = {"gpu1": host("h100-sxm5-80gb"), "ctl1": host()}
HOSTS |= {f"sto{n}": host(storage_tiers=TIER) for n in (1, 2, 3)}
GROUPS = {"gpu_nodes": ["gpu1"], "storage_nodes": ["sto1", "sto2", "sto3"], "control_plane": ["ctl1"]}
DATA = {name: {"tier": "warm"} for name in ("postgresql", "valkey", "object_store")}
ADDRESS = "https://dify.example.com"
REACHED = {"outside": 30443, "roles": [{"name": "programs", "models": ["chat"]}]}
DIFY = {"address": ADDRESS, "administrator": "ai@example.com", "replicas": 2, "workers": 2}
OPEN = {"internet": [".index.example"], "plugins": ["models.difypkg"]}
OPEN |= {"package_index": "http://mirror.example.com:8081/simple", "plugin_key": "-----BEGIN PUBLIC KEY-----"}
API, WORKER, BEAT = (pod(names.DIFY, f"dify-{name}") for name in ("api", "worker", "beat"))
WEB, PLUGINS, SETUP = (pod(names.DIFY, f"dify-{name}") for name in ("web", "plugin-daemon", "setup"))
PROXY, SANDBOX = pod(names.DIFY, "ssrf-proxy"), pod(names.SANDBOX, "code-sandbox")
MILVUS, DATABASE = pod(names.MILVUS, "milvus"), pod(names.DATA, "postgresql")


def sample(without: tuple[str, ...] = (), api: Manifest | None = REACHED, **fields: Any) -> Any:
    dify = {key: value for key, value in (DIFY | fields).items() if key not in without}
    served = {"vllm": [vllm(), vllm(name="spare")], "triton": [triton(onnx())]}
    return inventory(HOSTS, GROUPS, **served, data=DATA, dify=dify, **({"api": api} if api else {}))


@cache
def recorded(opened: bool = False) -> Recorder:
    return record(sample(**(OPEN if opened else {})))


def objects(opened: bool = False) -> list[Manifest]:
    return recorded(opened).objects


def spec(app: str, opened: bool = False) -> Manifest:
    """The pod spec of a program."""
    [found] = [s for n, m, s in pod_specs(objects(opened)) if m["labels"]["app.kubernetes.io/name"] == app]
    return found


def variables(app: str, opened: bool = False) -> dict[str, Any]:
    """Environment of a program; references as (Secret, key)."""
    found = {}
    for one in spec(app, opened)["containers"][0].get("env", []):
        reference = one.get("valueFrom", {}).get("secretKeyRef", {})
        found[one["name"]] = (reference["name"], reference["key"]) if reference else one["value"]
    return found


def policies(opened: bool) -> list[Manifest]:
    settings = read(sample(**(OPEN if opened else {})))
    nameless = {space.name for space in namespaces(settings) if not space.resolves}
    return network_policies([space.name for space in namespaces(settings)], flows(settings), nameless)


def test_nothing_of_dify_is_sent_where_nobody_asked() -> None:
    sent = record(inventory()).objects
    assert not [o for o in sent if o["metadata"].get("namespace") in (names.DIFY, names.SANDBOX)]


# ---- what upstream ships, and what is sent instead

SECRET = {
    ("dify-api", "SECRET_KEY"): "dify-secret-key",
    ("dify-worker", "SECRET_KEY"): "dify-secret-key",
    ("dify-api", "INIT_PASSWORD"): "dify-init-password",
    ("dify-api", "DB_PASSWORD"): "postgresql-dify",
    ("dify-api", "REDIS_PASSWORD"): "valkey-dify",
    ("dify-api", "S3_SECRET_KEY"): "s3-dify",
    ("dify-api", "MILVUS_PASSWORD"): "milvus-dify-password",
    ("dify-plugin-daemon", "DB_PASSWORD"): "postgresql-dify-plugin",
    ("dify-plugin-daemon", "REDIS_PASSWORD"): "valkey-dify-plugin",
    ("dify-plugin-daemon", "AWS_SECRET_KEY"): "s3-dify-plugin",
}
SAME = [  # one secret on both sides
    (("dify-api", "PLUGIN_DAEMON_KEY"), ("dify-plugin-daemon", "SERVER_KEY")),
    (("dify-api", "INNER_API_KEY_FOR_PLUGIN"), ("dify-plugin-daemon", "DIFY_INNER_API_KEY")),
    (("dify-api", "CODE_EXECUTION_API_KEY"), ("code-sandbox", "API_KEY")),
]
PLAIN = [
    ("dify-api", "WEB_API_CORS_ALLOW_ORIGINS", ADDRESS),
    ("dify-api", "CONSOLE_CORS_ALLOW_ORIGINS", ADDRESS),
    ("dify-api", "MIGRATION_ENABLED", "false"),
    ("dify-worker", "MIGRATION_ENABLED", "false"),
    ("dify-migrate", "MIGRATION_ENABLED", "true"),
    ("dify-api", "DEPLOYMENT_EDITION", "COMMUNITY"),
    ("dify-api", "MARKETPLACE_ENABLED", "false"),
    ("dify-api", "CHECK_UPDATE_URL", ""),
    ("dify-api", "ALLOW_REGISTER", "false"),
    ("dify-api", "GUNICORN_TIMEOUT", "360"),
    ("dify-plugin-daemon", "PLUGIN_REMOTE_INSTALLING_ENABLED", "false"),
    ("dify-plugin-daemon", "FORCE_VERIFYING_SIGNATURE", "true"),
    ("dify-plugin-daemon", "DB_SSL_MODE", "require"),
    ("dify-plugin-daemon", "PYTHON_ENV_INIT_TIMEOUT", "600"),
    ("dify-plugin-daemon", "PIP_MIRROR_AUTO_DETECT", "false"),
    ("code-sandbox", "ENABLE_NETWORK", "false"),
]


@pytest.mark.parametrize(("where", "expected"), SECRET.items(), ids=str)
def test_a_password_is_a_secret_of_its_own(where: tuple[str, str], expected: str) -> None:
    assert variables(where[0])[where[1]][0] == expected


@pytest.mark.parametrize(("one", "other"), SAME, ids=str)
def test_both_sides_of_a_call_know_one_secret(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert variables(one[0])[one[1]] == variables(other[0])[other[1]]
    assert variables(one[0])[one[1]][0].startswith("dify-")


@pytest.mark.parametrize(("app", "name", "expected"), PLAIN)
def test_a_setting_is_not_what_upstream_ships(app: str, name: str, expected: str) -> None:
    assert variables(app)[name] == expected


def test_every_secret_that_a_pod_names_is_there() -> None:
    """In the pod's namespace: ours, or one that the table of consumers makes."""
    sent = {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in objects() if o["kind"] == "Secret"}
    for one in (consumers.consumer("dify"), consumers.consumer("dify-plugin")):
        services = (consumers.STORE, consumers.DATABASE, consumers.BROKER)
        sent |= {(names.DIFY, consumers.secret_name(service, one)) for service in services}
    spaces = {"code-sandbox": names.SANDBOX}
    apps = ("dify-api", "dify-worker", "dify-beat", "dify-migrate", "dify-setup", "dify-plugin-daemon")
    for app in (*apps, "code-sandbox"):
        named = {v[0] for v in variables(app).values() if isinstance(v, tuple)}
        assert named, app
        assert {(spaces.get(app, names.DIFY), name) for name in named} <= sent, app


def test_what_is_put_together_of_other_variables_comes_after_them() -> None:
    for app in ("dify-api", "dify-worker", "dify-beat", "dify-migrate"):
        seen: set[str] = set()
        for one in spec(app)["containers"][0]["env"]:
            assert set(re.findall(r"\$\((\w+)\)", one.get("value", ""))) <= seen, one["name"]
            seen.add(one["name"])
        assert "CELERY_BROKER_URL" in seen


def test_only_the_api_can_make_a_first_administrator() -> None:
    knows = [app for app in ("dify-worker", "dify-beat", "dify-web") if "INIT_PASSWORD" in variables(app)]
    assert not knows
    made = {
        name: entry["bytes"]
        for name, entry in sample().shared["catalogue_secrets"].items()
        if "bytes" in entry
    }
    assert -(-made["dify-init-password"] * 4 // 3) <= 30  # Dify takes no longer one
    assert made["dify-secret-key"] >= 42


# ---- order of start


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("dify-migrate", ["postgresql.data.svc:5432", "valkey.data.svc:6379", "s3.data.svc:8333"]),
        ("dify-api", ["postgresql.data.svc:5432", "valkey.data.svc:6379", "s3.data.svc:8333"]),
        ("dify-worker", ["postgresql.data.svc:5432", "valkey.data.svc:6379", "s3.data.svc:8333"]),
        ("dify-beat", ["postgresql.data.svc:5432", "valkey.data.svc:6379"]),
        ("dify-plugin-daemon", ["postgresql.data.svc:5432", "valkey.data.svc:6379", "s3.data.svc:8333"]),
    ],
)
def test_a_program_waits_for_what_it_cannot_start_without(app: str, expected: list[str]) -> None:
    [wait] = spec(app)["initContainers"]
    assert wait["command"][1].endswith("/wait.py")
    assert wait["command"][2:] == expected
    [programs] = [v for v in spec(app)["volumes"] if v["name"] == "programs"]
    assert "wait.py" in find(objects(), "ConfigMap", programs["configMap"]["name"], names.DIFY)["data"]


def test_one_beats_and_the_old_one_is_gone_first() -> None:
    beat = find(objects(), "Deployment", "dify-beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def test_several_of_each_may_not_be_away_together() -> None:
    several = {o["metadata"]["name"] for o in objects() if o["kind"] == "PodDisruptionBudget"}
    apps = ("dify-api", "dify-web", "dify-worker", "dify-plugin-daemon", "ssrf-proxy", "code-sandbox")
    assert {f"{app}-dify" for app in apps} <= several
    for app in apps:
        assert find(objects(), "Deployment", app)["spec"]["replicas"] == 2


def jobs(sent: list[Manifest]) -> dict[str, Manifest]:
    """Dify's jobs by what they do."""
    found = [o for o in sent if o["kind"] == "Job" and o["metadata"]["namespace"] == names.DIFY]
    return {o["metadata"]["labels"]["app.kubernetes.io/name"]: o["metadata"] for o in found}


def test_another_version_is_another_migration_for_which_pulumi_waits() -> None:
    newer = sample()
    for variables_of_host in newer.hosts.values():
        images = variables_of_host["catalogue_images"]
        entry = images["dify-api"] | {"tag": "1.18.0"}
        variables_of_host["catalogue_images"] = images | {"dify-api": entry}
    before, after = jobs(objects()), jobs(record(newer).objects)
    assert before["dify-migrate"]["name"] != after["dify-migrate"]["name"]
    assert "pulumi.com/skipAwait" not in before["dify-migrate"]["annotations"]


def test_another_setting_is_another_setup_for_which_nobody_waits() -> None:
    before, after = jobs(objects()), jobs(objects(opened=True))
    assert before["dify-setup"]["name"] != after["dify-setup"]["name"]
    assert before["dify-migrate"]["name"] == after["dify-migrate"]["name"]
    assert before["dify-setup"]["annotations"]["pulumi.com/skipAwait"] == "true"


# ---- who reaches whom

ALLOWED = [
    ("people to the API", GATEWAY, API, 5001),
    ("people to the pages", GATEWAY, WEB, 3000),
    ("people to endpoints of plugins", GATEWAY, PLUGINS, 5002),
    ("API to plugins", API, PLUGINS, 5002),
    ("worker to plugins", WORKER, PLUGINS, 5002),
    ("plugins to API", PLUGINS, API, 5001),
    ("plugins to models", PLUGINS, GATEWAY, 8080),
    ("API to sandbox", API, SANDBOX, 8194),
    ("worker to proxy", WORKER, PROXY, 3128),
    ("worker to vectors", WORKER, MILVUS, 19530),
    ("set-up to API", SETUP, API, 5001),
    ("beat to database", BEAT, DATABASE, 5432),
]
DENIED = [
    ("a stranger to the API", STRANGER, API, 5001),
    ("a stranger to the sandbox", STRANGER, SANDBOX, 8194),
    ("people to the sandbox", GATEWAY, SANDBOX, 8194),
    ("API to the outside", API, OUTSIDE, 443),
    ("worker to the outside", WORKER, OUTSIDE, 443),
    ("plugins to the outside", PLUGINS, OUTSIDE, 443),
    ("plugins to vectors", PLUGINS, MILVUS, 19530),
    ("plugins to the sandbox", PLUGINS, SANDBOX, 8194),
    ("sandbox to the API", SANDBOX, API, 5001),
    ("sandbox to the database", SANDBOX, DATABASE, 5432),
    ("sandbox to the outside", SANDBOX, OUTSIDE, 443),
    ("sandbox to sandbox", SANDBOX, SANDBOX, 8194),
    ("proxy to the API", PROXY, API, 5001),
    ("proxy to the database", PROXY, DATABASE, 5432),
    ("web to the database", WEB, DATABASE, 5432),
]


@pytest.mark.parametrize(("_", "source", "target", "port"), ALLOWED, ids=[a[0] for a in ALLOWED])
@pytest.mark.parametrize("opened", [False, True])
def test_what_dify_needs_is_allowed(_: str, source: Any, target: Any, port: int, opened: bool) -> None:
    assert reaches(policies(opened), source, target, port)


@pytest.mark.parametrize(("_", "source", "target", "port"), DENIED, ids=[d[0] for d in DENIED])
@pytest.mark.parametrize("opened", [False, True])
def test_everything_else_is_denied(_: str, source: Any, target: Any, port: int, opened: bool) -> None:
    assert not reaches(policies(opened), source, target, port)


@pytest.mark.parametrize("opened", [False, True])
def test_code_of_users_reaches_the_proxy_and_names_only_where_somebody_is_named(opened: bool) -> None:
    assert reaches(policies(opened), SANDBOX, PROXY, 3128) is opened
    assert reaches(policies(opened), SANDBOX, DNS, 53) is opened


def test_the_proxy_goes_out_to_the_internet_only() -> None:
    [policy] = [p for p in policies(True) if p["metadata"]["name"] == "ssrf-proxy-egress"]
    [rule] = policy["spec"]["egress"]
    assert [p["port"] for p in rule["ports"]] == [80, 443]

    def passes(address: str) -> bool:
        ip = ip_address(address)
        return any(
            ip in ip_network(b["ipBlock"]["cidr"])
            and not any(ip in ip_network(n) for n in b["ipBlock"]["except"])
            for b in rule["to"]
        )

    assert [a for a in ("8.8.8.8", "2606:4700::1111") if passes(a)] == ["8.8.8.8", "2606:4700::1111"]
    assert not [
        n for n in squid.PRIVATE if passes(str(ip_network(n)[1 if ip_network(n).num_addresses > 1 else 0]))
    ]
    assert not [a for a in ("10.20.0.5", "169.254.169.254", "fd00::1") if passes(a)]
    assert not [p for p in policies(False) if p["metadata"]["name"] == "ssrf-proxy-egress"]


def test_the_sites_own_networks_are_refused_by_the_proxy_too() -> None:
    [config] = [o for o in objects(True) if o["kind"] == "ConfigMap" and "squid.conf" in o["data"]]
    assert "acl private dst 10.20.0.0/24" in config["data"]["squid.conf"]
    assert "acl allowed dstdomain -n .index.example" in config["data"]["squid.conf"]


def test_the_sandbox_is_alone_and_keeps_what_it_starts_with_only() -> None:
    others = [o["metadata"]["name"] for o in objects() if o["metadata"].get("namespace") == names.SANDBOX]
    assert "dify-api" not in others
    [container] = spec("code-sandbox")["containers"]
    capabilities = container["securityContext"]["capabilities"]
    assert capabilities["drop"] == ["ALL"]
    assert set(capabilities["add"]) == {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID", "SYS_CHROOT"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    space = find(objects(), "Namespace", names.SANDBOX)["metadata"]
    assert space["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


# ---- plugins and models


def setup(opened: bool) -> Manifest:
    [found] = [o for o in objects(opened) if o["kind"] == "ConfigMap" and "config.json" in o["data"]]
    text: Manifest = json.loads(found["data"]["config.json"])
    return text


def test_every_model_that_is_served_is_offered() -> None:
    offered = {m["model"]: m for m in setup(False)["models"]}
    assert list(offered) == ["chat", "spare"]
    chat = offered["chat"]["credentials"]
    assert chat["endpoint_url"] == "http://gateway.gateway.svc:8080/v1"
    assert (chat["endpoint_model_name"], chat["context_size"]) == ("chat", "32768")
    assert "api_key" not in chat  # it comes from the Secret
    assert setup(False)["defaults"] == {"llm": "chat"}


def test_some_models_and_an_embedding_by_name() -> None:
    sent = record(sample(models=["spare"], embedding="search")).objects
    [found] = [o for o in sent if o["kind"] == "ConfigMap" and "config.json" in o["data"]]
    config = json.loads(found["data"]["config.json"])
    assert [(m["model"], m["type"]) for m in config["models"]] == [
        ("spare", "llm"),
        ("search", "text-embedding"),
    ]
    assert config["defaults"] == {"llm": "spare", "text-embedding": "search"}


def test_plugins_of_the_company_are_verified_with_its_own_key_and_take_packages_from_its_index() -> None:
    told = variables("dify-plugin-daemon", opened=True)
    assert told["THIRD_PARTY_SIGNATURE_VERIFICATION_ENABLED"] == "true"
    assert told["PIP_MIRROR_URL"] == "http://mirror.example.com:8081/simple"
    assert "mirror.example.com" in told["NO_PROXY"]
    assert reaches(policies(True), PLUGINS, OUTSIDE, 8081)
    assert setup(True)["plugins"] == ["models.difypkg"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"nodes": "nowhere"}, "no group of Kubernetes nodes"),
        ({"models": ["chats"]}, "platform_vllm has no such service"),
        ({"embedding": "serch"}, "platform_triton has no such service"),
        ({"plugins": ["a.difypkg"]}, "no index to take them from"),
        ({"address": "http://dify.example.com"}, "does not match"),
        ({"internet": ["10.0.0.0/8"]}, "does not match"),
        ({"api": None}, "at the API gateway's port of every node"),
        ({"api": {"roles": REACHED["roles"]}}, "at the API gateway's port of every node"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(sample(**fields))
    assert any(why in finding.why for finding in refused.value.findings)


def test_dify_without_databases_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        read(inventory(HOSTS, GROUPS, vllm=[vllm()], dify=DIFY, api=REACHED))
    assert {finding.remedy.split()[1].rstrip(",") for finding in refused.value.findings} == {
        "platform_data",
        "platform_data.object_store",
    }


# ---- how people reach it


def hosts_of(listener: str) -> dict[str, Manifest]:
    """Virtual hosts of a listener of the proxy by the name that they answer to."""
    [found] = [o for o in objects() if o["metadata"]["name"].startswith("gateway-proxy-")]
    resources = json.loads(found["data"]["envoy.json"])["static_resources"]
    [one] = [found for found in resources["listeners"] if found["name"] == listener]
    manager = one["filter_chains"][0]["filters"][0]["typed_config"]
    return {host["domains"][0]: host for host in manager["route_config"]["virtual_hosts"]}


PLACES = {
    "/console/api/setup": "dify-api",
    "/api/passport": "dify-api",
    "/v1/chat-messages": "dify-api",
    "/files/1/preview": "dify-api",
    "/mcp/server": "dify-api",
    "/triggers/webhook": "dify-api",
    "/socket.io/": "dify-api",
    "/e/hook": "dify-plugin-daemon",
    "/apps": "dify-web",
    "/explore": "dify-web",
    "/explore/e/x": "dify-web",
    "/": "dify-web",
}


@pytest.mark.parametrize(("path", "program"), PLACES.items())
def test_the_program_that_knows_a_path_answers_it(path: str, program: str) -> None:
    def fits(match: dict[str, str]) -> bool:
        below = match.get("path_separated_prefix")
        return match == {"prefix": "/"} if below is None else path == below or path.startswith(f"{below}/")

    routes = hosts_of("outside")["dify.example.com"]["routes"]
    assert next(r["route"]["cluster"] for r in routes if fits(r["match"])) == program


def test_dify_is_there_under_its_own_name_only_and_models_under_every_other() -> None:
    found = hosts_of("outside")
    assert list(found) == ["dify.example.com", "*"] and list(hosts_of("inside")) == ["*"]
    clusters = {
        name: {r["route"]["cluster"] for r in host["routes"] if "route" in r} for name, host in found.items()
    }
    assert not clusters["*"] & clusters["dify.example.com"]
    assert set(found["dify.example.com"]["typed_per_filter_config"]) == {
        f"envoy.filters.http.{name}" for name in ("jwt_authn", "ext_authz", "lua")
    }
    for route in found["dify.example.com"]["routes"]:
        assert route["route"]["retry_policy"]["retry_on"] == "connect-failure", "nothing is asked twice"


def test_the_proxy_asks_dify_s_services_at_their_ports() -> None:
    [config] = [o for o in objects() if o["metadata"]["name"].startswith("gateway-proxy-")]
    for one in json.loads(config["data"]["envoy.json"])["static_resources"]["clusters"]:
        if one["name"].startswith("dify-"):
            [endpoint] = one["load_assignment"]["endpoints"][0]["lb_endpoints"]
            place = endpoint["endpoint"]["address"]["socket_address"]
            assert place["address"] == f"{one['name']}.{names.DIFY}.svc.cluster.local"
            ports = find(objects(), "Service", one["name"], names.DIFY)["spec"]["ports"]
            assert [port["port"] for port in ports] == [place["port_value"]]
