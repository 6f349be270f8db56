"""What there is to ask: every component that an inventory's platform has, and nothing else. Names of Services
and Secrets are those of the platform program; a contract test holds one against the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bedplate.inventory import Inventory, Vars

SERVING, FABRIC = "serving", "serving-fabric"
DATA, DIFY, SANDBOX = "data", "dify", "code-sandbox"
RDMA_FABRIC = "roce"


@dataclass(frozen=True)
class SecretKey:
    """One key of a Secret."""

    namespace: str
    name: str
    key: str


@dataclass(frozen=True)
class Target:
    """One component: ``probe`` asks it at ``port`` of ``service``. ``secrets`` are what the probe needs to
    know, by its own names; ``more`` is what else it asks with."""

    component: str
    probe: str
    namespace: str
    service: str
    port: int
    secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def targets(inventory: Inventory) -> list[Target]:
    """Every component of the environment, in the order in which they need each other."""
    shared = inventory.shared
    return [*_data(shared), *_models(inventory), *_milvus(shared), *_dify(shared), *_watching(shared)]


def _data(shared: Vars) -> Iterator[Target]:
    data = shared.get("platform_data")
    if data is None:
        return
    broker = {k: SecretKey(DIFY, "valkey-dify", k) for k in ("VALKEY_USER", "VALKEY_PASSWORD")}
    store = {k: SecretKey(DATA, "s3-publisher", k) for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    if "object_store" in data and "platform_object_store" not in shared:
        yield Target("object store", "s3", DATA, "s3", shared["port_s3"], store, {"bucket": "documents"})
    for client in [DIFY] * ("platform_dify" in shared) or ["mlflow"] * ("mlflow" in data):
        keys = ("PGUSER", "PGPASSWORD", "ca.crt")
        login = {key: SecretKey(client, f"postgresql-{client}", key) for key in keys}
        more = {"database": client, "host": f"postgresql.{DATA}.svc"}
        yield Target("postgresql", "postgresql", DATA, "postgresql", shared["port_postgresql"], login, more)
    if "mlflow" in data:
        host = {"host": "mlflow.mlflow.svc"}
        yield Target("mlflow", "mlflow", "mlflow", "mlflow", shared["port_mlflow"], {}, host)
    if "platform_dify" in shared:
        yield Target("valkey", "valkey", DATA, "valkey", shared["port_valkey"], broker)


def _models(inventory: Inventory) -> Iterator[Target]:
    shared = inventory.shared
    for service in shared.get("platform_vllm", []):
        name, space = service["name"], SERVING
        if service.get("hosts", 1) > 1 and _fabric(inventory, service) == RDMA_FABRIC:
            space = FABRIC
        key = {"key": SecretKey(space, "vllm-api-key", "vllm-api-key")}
        yield Target(
            f"model {name}", "chat", space, f"vllm-{name}", shared["port_vllm"], key, {"model": name}
        )
    for service in shared.get("platform_triton", []):
        model = service["models"][-1]  # what stands last is made of the others
        port = shared["port_triton_http"]
        yield Target(
            f"triton {service['name']}", "triton", SERVING, f"triton-{service['name']}", port, {}, model
        )


def _fabric(inventory: Inventory, service: Vars) -> str:
    """The network that every host of the service's group has."""
    hosts = inventory.members(service.get("nodes", "gpu_nodes")).values()
    kinds = [{nic.get("kind") for nic in variables.get("hardware_nics", [])} for variables in hosts]
    shared = set.intersection(*kinds) if kinds else set()
    return RDMA_FABRIC if RDMA_FABRIC in shared else ""


def _milvus(shared: Vars) -> Iterator[Target]:
    if "platform_milvus" in shared and "platform_dify" in shared:
        password = {"password": SecretKey(DIFY, "milvus-dify-password", "milvus-dify-password")}
        more = {"user": "dify", "database": "dify"}
        yield Target("milvus", "milvus", "milvus", "milvus", shared["port_milvus"], password, more)


def _dify(shared: Vars) -> Iterator[Target]:
    if "platform_dify" not in shared:
        return
    yield Target("dify", "dify", DIFY, "dify-api", shared["port_dify_api"])
    page = {"path": "/apps"}
    yield Target("dify pages", "page", DIFY, "dify-web", shared["port_dify_web"], {}, page)
    health = {"path": "/health/check"}
    yield Target("dify plugins", "page", DIFY, "dify-plugin-daemon", shared["port_dify_plugins"], {}, health)
    code = {"key": SecretKey(SANDBOX, "dify-code-key", "dify-code-key")}
    yield Target("dify sandbox", "sandbox", SANDBOX, "code-sandbox", shared["port_code_sandbox"], code)
    refused = {"refused": "http://169.254.169.254/"}
    yield Target("dify proxy", "proxy", DIFY, "ssrf-proxy", shared["port_ssrf_proxy"], {}, refused)


def _watching(shared: Vars) -> Iterator[Target]:
    if "platform_monitoring" not in shared:
        return
    space = "monitoring"
    yield Target("prometheus", "prometheus", space, "prometheus-queries", shared["port_prometheus"])
    alive = {"path": "/-/healthy"}
    yield Target("alertmanager", "page", space, "alertmanager", shared["port_alertmanager"], {}, alive)
    yield Target("grafana", "grafana", space, "grafana", shared["port_grafana"])
