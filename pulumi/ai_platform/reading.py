"""From the inventory to Settings. Everything wrong is found in one run and reported as findings; nothing is
sent to a cluster before this has passed."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

import jsonschema
import yaml

from ai_platform import (
    api_settings,
    backing_up,
    data_settings,
    dify_settings,
    log_settings,
    milvus_settings,
    names,
    watching,
)
from ai_platform.images import Images, images
from ai_platform.node_groups import node_groups, rdma
from ai_platform.refusals import Refusals, check
from ai_platform.settings import (
    Access,
    BatchJob,
    MigLayout,
    NodeGroup,
    ObjectStore,
    Pace,
    Settings,
    SharedFiles,
    Step,
    Tensor,
    TritonModel,
    TritonService,
    VllmService,
)
from bedplate import paths
from bedplate.capacity.fit import Layout
from bedplate.capacity.models import Model, gpus, models
from bedplate.inventory import Inventory, Vars
from bedplate.units import parse_bytes

SCHEMA = paths.ROOT / "bedplate/check/schema/platform.yml"
DEFAULT_GROUP = "gpu_nodes"
DEFAULT_CONTEXT = 32768
DEFAULT_GPU_MEMORY = 0.92  # vLLM's own default, for GPUs that nobody else uses


def read(inventory: Inventory) -> Settings:
    """Settings of one environment. Raises BadInput with every finding."""
    shared = inventory.shared
    platform = {key: value for key, value in shared.items() if key.startswith("platform_")}
    refusals = Refusals(_file(inventory))
    refuse_schema(platform, refusals)
    refusals.raise_if_any()
    reader = _Reader(shared, node_groups(inventory, gpus(shared.get("catalogue_gpus", {}))), refusals)
    settings = reader.settings(inventory, platform)
    check(settings, refusals)
    refusals.raise_if_any()
    return settings


def refuse_schema(platform: Vars, refusals: Refusals) -> None:
    """Types, required keys and mistyped names of the ``platform_`` variables."""
    schema = _schema()
    for error in jsonschema.Draft202012Validator(schema).iter_errors(platform):
        key = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "additionalProperties":
            known = list(error.schema["properties"])
            for name in sorted(set(error.instance) - set(known)):
                refusals.add(
                    f"{key}.{name}".lstrip("."),
                    error.instance[name],
                    "there is no such setting",
                    nearest(name, known),
                )
        elif error.validator == "required":
            missing = sorted(set(error.validator_value) - set(error.instance))[0]
            refusals.add(f"{key}.{missing}".lstrip("."), "", "it is missing", f"add `{missing}`")
        else:
            rule = (
                error.schema.get("description")
                or f"it must satisfy {error.validator}: {error.validator_value}"
            )
            refusals.add(key or "platform", error.instance, error.message, rule)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy: the nearest known name, or all of them."""
    choices = sorted(known)
    close = get_close_matches(name, choices, n=1)
    return (
        f"did you mean `{close[0]}`?" if close else f"use one of: {', '.join(choices) or 'none is defined'}"
    )


class _Reader:
    """Turns validated variables into records; a reference to something unknown becomes a finding."""

    def __init__(self, shared: Vars, groups: Mapping[str, NodeGroup], refusals: Refusals) -> None:
        self.shared, self.groups, self.refusals = shared, groups, refusals
        self.models = models(shared.get("catalogue_models", {}))

    def settings(self, inventory: Inventory, platform: Vars) -> Settings:
        shared = self.shared
        tiers = _tier_hosts(inventory)
        return Settings(
            environment=inventory.environment,
            access=Access(**{role: tuple(names) for role, names in platform["platform_access"].items()}),
            images=self.images(platform),
            pace=Pace(
                shared["catalogue_load_bytes_per_second"],
                shared["catalogue_pull_bytes_per_second"],
                shared["catalogue_start_patience"],
            ),
            ports={k.removeprefix("port_"): v for k, v in shared.items() if k.startswith("port_")},
            model_store=shared["path_model_store"],
            node_groups=self.groups,
            tiers=tuple(tiers),
            tier_hosts=tiers,
            published_secrets=tuple(shared["catalogue_published_secrets"]),
            vllm=_known(self.vllm(i, e) for i, e in enumerate(platform.get("platform_vllm", []))),
            triton=_known(self.triton(i, e) for i, e in enumerate(platform.get("platform_triton", []))),
            batch=_known(self.batch(i, e) for i, e in enumerate(platform.get("platform_batch", []))),
            mig=_known(self.mig(*item) for item in platform.get("platform_mig", {}).items()),
            rdma=rdma(inventory),
            shared_files=_shared_files(platform.get("platform_shared_files")),
            object_store=_object_store(platform, shared["port_s3"]),
            data=data_settings.read(platform.get("platform_data")),
            api=api_settings.read(platform.get("platform_api")),
            dify=dify_settings.read(platform, shared.get("site_networks", [])),
            logs=log_settings.read(inventory, platform.get("platform_logs")),
            milvus=milvus_settings.milvus(platform.get("platform_milvus")),
            chroma=milvus_settings.chroma(platform.get("platform_chroma")),
            knowledge=milvus_settings.knowledge(platform.get("platform_knowledge", [])),
            watch=watching.read(inventory, platform.get("platform_monitoring")),
            backups=backing_up.read(platform.get("platform_backups")),
        )

    def images(self, platform: Vars) -> Images:
        catalogue, digests = self.shared["catalogue_images"], platform.get("platform_image_digests", {})
        for name in sorted(set(digests) - set(catalogue)):
            key, why = f"platform_image_digests.{name}", "the catalogue has no such image"
            self.refusals.add(key, digests[name], why, nearest(name, catalogue))
        return images(platform["platform_registry"], catalogue, digests)

    def vllm(self, index: int, entry: Vars) -> VllmService | None:
        key = f"platform_vllm.{index}"
        nodes, model = self.group(key, entry), self.model(key, entry)
        if nodes is None or model is None:
            return None
        replicas: int = entry.get("replicas", 1)
        return VllmService(
            name=entry["name"],
            model=model,
            owner=entry["owner"],
            nodes=nodes,
            layout=Layout(entry.get("gpus", 1), entry.get("hosts", 1)),
            replicas=replicas,
            max_replicas=entry.get("max_replicas") or replicas,
            context=entry.get("context", min(DEFAULT_CONTEXT, model.max_context)),
            gpu_memory=entry.get("gpu_memory", DEFAULT_GPU_MEMORY),
        )

    def triton(self, index: int, entry: Vars) -> TritonService | None:
        key = f"platform_triton.{index}"
        nodes = self.group(key, entry)
        served = [self.triton_model(f"{key}.models.{i}", e) for i, e in enumerate(entry["models"])]
        if nodes is None:
            return None
        replicas: int = entry.get("replicas", 2)
        return TritonService(
            name=entry["name"],
            owner=entry["owner"],
            nodes=nodes,
            gpus=entry.get("gpus", 0),
            replicas=replicas,
            max_replicas=entry.get("max_replicas") or replicas,
            models=tuple(served),
        )

    def triton_model(self, key: str, entry: Vars) -> TritonModel:
        plain = dict(entry)
        plain["model"] = self.model(key, entry) if "model" in entry else None
        for name in ("inputs", "outputs"):
            plain[name] = tuple(Tensor(t["name"], t["type"], tuple(t["dims"])) for t in entry.get(name, []))
        plain["steps"] = tuple(Step(s["model"], s["inputs"], s["outputs"]) for s in entry.get("steps", []))
        return TritonModel(**plain)

    def batch(self, index: int, entry: Vars) -> BatchJob | None:
        key = f"platform_batch.{index}"
        nodes, model = self.group(key, entry), self.model(key, entry)
        if nodes is None or model is None:
            return None
        return BatchJob(
            name=entry["name"],
            owner=entry["owner"],
            model=model,
            requests=entry["requests"],
            nodes=nodes,
            gpus=entry.get("gpus", 1),
            parallel=entry.get("parallel", 1),
            context=entry.get("context", min(DEFAULT_CONTEXT, model.max_context)),
            schedule=entry.get("schedule", ""),
            suspended=entry.get("suspended", False),
        )

    def mig(self, group: str, name: str) -> MigLayout | None:
        key, layouts = f"platform_mig.{group}", self.shared.get("catalogue_mig", {})
        if name not in layouts:
            self.refusals.add(key, name, "there is no such MIG layout", nearest(name, layouts))
            return None
        nodes = self.group(key, {"nodes": group})
        if nodes is None:
            return None
        if nodes.gpu is None or nodes.gpu.id not in layouts[name]["gpus"]:
            has = nodes.gpu.id if nodes.gpu else "no single GPU model"
            fitting = [n for n, layout in layouts.items() if nodes.gpu and nodes.gpu.id in layout["gpus"]]
            self.refusals.add(
                key,
                name,
                f"{group} has {has}, which cannot be cut so",
                f"use one of: {', '.join(fitting)}" if fitting else "leave platform_mig out for this group",
            )
            return None
        return MigLayout(name, nodes, layouts[name]["devices"])

    def group(self, key: str, entry: Vars) -> NodeGroup | None:
        name = entry.get("nodes", DEFAULT_GROUP)
        if name not in self.groups:
            self.refusals.add(
                f"{key}.nodes", name, "no group of Kubernetes nodes has this name", nearest(name, self.groups)
            )
        return self.groups.get(name)

    def model(self, key: str, entry: Vars) -> Model | None:
        name = entry["model"]
        if name not in self.models:
            self.refusals.add(
                f"{key}.model", name, "the catalogue has no such model", nearest(name, self.models)
            )
        return self.models.get(name)


def _known(records: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(record for record in records if record is not None)


def _tier_hosts(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """Storage tiers of Kubernetes nodes with the hosts that have them."""
    hosts: dict[str, list[str]] = {}
    for host, variables in inventory.members("kubernetes").items():
        for tier in variables.get("storage_tiers", []):
            hosts.setdefault(tier["name"], []).append(host)
    return {name: tuple(members) for name, members in hosts.items()}


def _shared_files(entry: Vars | None) -> SharedFiles | None:
    return SharedFiles(entry["server"], entry["path"], parse_bytes(entry["capacity"])) if entry else None


def _object_store(platform: Vars, port: int) -> ObjectStore | None:
    """The site's, or else our own."""
    if "platform_object_store" in platform:
        return ObjectStore(**platform["platform_object_store"])
    if "object_store" not in platform.get("platform_data", {}):
        return None
    return ObjectStore(f"http://s3.{names.DATA}.svc:{port}", "models", own=True)


@cache
def _schema() -> Any:
    return yaml.safe_load(SCHEMA.read_text())


def _file(inventory: Inventory) -> str:
    """Where a person finds the ``platform_`` variables of this environment."""
    path = inventory.path.resolve() / "group_vars/all/platform.yml"
    return str(path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path)
