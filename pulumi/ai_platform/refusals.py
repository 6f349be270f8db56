"""What is refused before anything is sent: rules over more than one value, each with its remedy."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ai_platform import sizing
from ai_platform.api_refusals import refuse_api
from ai_platform.data_refusals import refuse_data
from ai_platform.dify_refusals import refuse_dify
from ai_platform.log_settings import LOKI, S3, Logs
from ai_platform.milvus_refusals import refuse_vectors
from ai_platform.settings import (
    Backups,
    BatchJob,
    NodeGroup,
    Settings,
    TritonModel,
    TritonService,
    VllmService,
    Watch,
)
from bedplate.capacity.fit import Layout, fit, layout_problem, nearest_fit
from bedplate.capacity.models import GIB, Model
from bedplate.errors import BadInput, Finding
from bedplate.logs.pipeline import AUDIT


class Refusals:
    """Collects findings about one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []

    def add(self, key: str, value: Any, why: str, remedy: str) -> None:
        """One more thing that is wrong."""
        self.findings.append(Finding(self.file, key, str(value), why, remedy))

    def raise_if_any(self) -> None:
        """Raises BadInput when something was found."""
        if self.findings:
            raise BadInput(sorted(self.findings))


def check(settings: Settings, refusals: Refusals) -> None:
    """Every rule over the whole environment."""
    for kind, entries in (("vllm", settings.vllm), ("triton", settings.triton), ("batch", settings.batch)):
        _refuse_doubles(f"platform_{kind}", entries, refusals)
    for index, service in enumerate(settings.vllm):
        refuse_vllm(f"platform_vllm.{index}", service, refusals)
    for index, triton in enumerate(settings.triton):
        refuse_triton(f"platform_triton.{index}", triton, settings, refusals)
    for index, job in enumerate(settings.batch):
        refuse_batch(f"platform_batch.{index}", job, settings, refusals)
    if settings.watch:
        refuse_watch(settings, settings.watch, refusals)
    if settings.logs:
        refuse_logs(settings, settings.logs, refusals)
    if settings.backups:
        refuse_backups(settings, settings.backups, refusals)
    refuse_data(settings, refusals.add)
    refuse_dify(settings, refusals.add)
    refuse_vectors(settings, refusals.add)
    refuse_api(settings, refusals.add)


def refuse_logs(settings: Settings, logs: Logs, refusals: Refusals) -> None:
    """A tier that is there, an object store where one is counted on, one Loki, and audit records as long as
    the retention class promises."""
    key = "platform_logs"
    if logs.tier not in settings.tiers:
        known = ", ".join(settings.tiers) or "none is defined"
        why = "no Kubernetes node has a storage tier of this name"
        refusals.add(f"{key}.tier", logs.tier, why, f"use one of: {known}")
    if logs.bucket and (settings.object_store is None or logs.store != LOKI):
        why = "there is no object store" if logs.store == LOKI else "opensearch keeps it on its volumes"
        remedy = "add platform_data.object_store or platform_object_store, or leave keep out"
        refusals.add(f"{key}.keep", S3, why, remedy)
    if logs.store == LOKI and logs.nodes > 1:
        refusals.add(f"{key}.nodes", logs.nodes, "loki is one process here", "leave nodes out")
    if logs.days[AUDIT] < logs.promised:
        why = f"site_retention promises {logs.promised} days"
        remedy = f"write at least {logs.promised}, or change site_retention"
        refusals.add(f"{key}.retention_days.audit", logs.days[AUDIT], why, remedy)


def refuse_backups(settings: Settings, backups: Backups, refusals: Refusals) -> None:
    """A tier that some Kubernetes node has, items that can be told apart, each with what its kind needs."""
    _refuse_tier("platform_backups.tier", backups.tier, settings, refusals)
    _refuse_doubles("platform_backups.items", backups.items, refusals)
    for item in backups.items:
        needed = {"postgresql": "address", "bucket": "bucket"}.get(item.kind, "name")
        if not getattr(item, needed):
            key, why = f"platform_backups.items.{item.name}", f"a {item.kind} item needs its {needed}"
            refusals.add(key, item.kind, why, f"add `{needed}`")
        if item.kind == "bucket" and settings.object_store is None:
            refusals.add(
                f"platform_backups.items.{item.name}",
                item.bucket,
                "there is no object store that has it",
                "set platform_object_store",
            )


def refuse_watch(settings: Settings, watch: Watch, refusals: Refusals) -> None:
    """A tier that some Kubernetes node has, and databases that can be told apart."""
    _refuse_tier("platform_monitoring.tier", watch.tier, settings, refusals)
    _refuse_doubles("platform_monitoring.databases", watch.databases, refusals)


def _refuse_tier(key: str, tier: str, settings: Settings, refusals: Refusals) -> None:
    if tier not in settings.tiers:
        known = ", ".join(settings.tiers) or "none is defined"
        why = "no Kubernetes node has a storage tier of this name"
        refusals.add(key, tier, why, f"use one of: {known}")


def _refuse_doubles(key: str, entries: Sequence[Any], refusals: Refusals) -> None:
    for name, times in Counter(entry.name for entry in entries).items():
        if times > 1:
            refusals.add(
                f"{key}.name", name, f"{times} entries have this name", "give each a name of its own"
            )


def refuse_vllm(key: str, service: VllmService, refusals: Refusals) -> None:
    """Layout, memory, context and replicas of one service."""
    _refuse_replicas(key, service.replicas, service.max_replicas, refusals)
    if service.multi_host and service.max_replicas > service.replicas:
        refusals.add(
            f"{key}.max_replicas",
            service.max_replicas,
            "a model that spans hosts is not scaled by load: a group of whole hosts takes too long to start",
            "leave max_replicas out",
        )
    if service.multi_host and service.layout.tensor != service.nodes.gpus_per_host:
        refusals.add(
            f"{key}.gpus",
            service.layout.tensor,
            f"a model that spans hosts takes whole hosts, and one of {service.nodes.name} has "
            f"{service.nodes.gpus_per_host} GPUs",
            f"write gpus: {service.nodes.gpus_per_host}",
        )
    refuse_placement(key, service.model, service.nodes, service.layout, refusals)
    refuse_memory(
        key,
        service.model,
        service.nodes,
        service.layout,
        refusals,
        context=service.context,
        utilisation=service.gpu_memory,
    )


def refuse_placement(key: str, model: Model, nodes: NodeGroup, layout: Layout, refusals: Refusals) -> None:
    """GPUs of the group against what the model and its layout want."""
    if nodes.gpu is None:
        refusals.add(
            f"{key}.nodes",
            nodes.name,
            "its hosts do not all have the same, known GPU model",
            "name a group of hosts with one model of GPU that catalogue_gpus knows",
        )
        return
    if problem := layout_problem(model, layout, nodes.gpus_per_host):
        refusals.add(f"{key}.gpus", layout.tensor, problem, "choose another number of GPUs per host")
    if layout.pipeline > len(nodes.hosts):
        refusals.add(
            f"{key}.hosts",
            layout.pipeline,
            f"{nodes.name} has {len(nodes.hosts)} hosts",
            "use fewer hosts, or add hosts to the group",
        )
    if nodes.gpu.compute < model.min_compute:
        needs, has = (".".join(map(str, c)) for c in (model.min_compute, nodes.gpu.compute))
        refusals.add(
            f"{key}.model",
            model.id,
            f"{model.dtype} arithmetic needs compute capability {needs}; {nodes.gpu.product} has {has}",
            "serve a bfloat16 model there, or use newer GPUs",
        )
    pod, host = sizing.gpu_pod(nodes, layout.tensor), nodes.memory
    if pod.memory > host:
        refusals.add(
            f"{key}.gpus",
            layout.tensor,
            f"the pod wants {pod.memory / GIB:.0f} GiB of main memory and a host of {nodes.name} has "
            f"{host / GIB:.0f}",
            "use fewer GPUs per host, or hosts with more memory",
        )


def refuse_memory(
    key: str,
    model: Model,
    nodes: NodeGroup,
    layout: Layout,
    refusals: Refusals,
    *,
    context: int,
    utilisation: float,
) -> None:
    """Weights and the cache of one sequence against the GPUs' memory: by how much, and what would do."""
    if context > model.max_context:
        refusals.add(
            f"{key}.context",
            context,
            f"{model.id} was trained for {model.max_context} tokens",
            f"use at most {model.max_context}",
        )
        return
    if nodes.gpu is None or layout_problem(model, layout, nodes.gpus_per_host):
        return
    result = fit(model, nodes.gpu, layout, utilisation)
    if not (missing := result.missing(context)):
        return
    better = nearest_fit(
        model, nodes.gpu, context, utilisation, gpus_per_host=nodes.gpus_per_host, hosts=len(nodes.hosts)
    )
    what = f"weights of {result.weights / GIB:.1f} GiB" if result.left < 0 else f"{context} tokens of context"
    remedy = f"it fits on {better}" if better else f"no layout on the hosts of {nodes.name} holds it"
    if result.left > 0:
        remedy += f"; or lower context to {max(1024, result.tokens // 1024 * 1024)}"
    refusals.add(
        f"{key}.model",
        model.id,
        f"does not fit {layout} with {nodes.gpu.product}: {what} per GPU lack {missing / GIB:.1f} GiB",
        remedy,
    )


def _refuse_replicas(key: str, replicas: int, most: int, refusals: Refusals) -> None:
    if most < replicas:
        refusals.add(
            f"{key}.max_replicas", most, f"it is below replicas ({replicas})", f"write {replicas} or more"
        )


def refuse_batch(key: str, job: BatchJob, settings: Settings, refusals: Refusals) -> None:
    """A batch job runs inside one host and reads its requests from shared files."""
    layout = Layout(job.gpus)
    refuse_placement(key, job.model, job.nodes, layout, refusals)
    refuse_memory(
        key,
        job.model,
        job.nodes,
        layout,
        refusals,
        context=job.context,
        utilisation=sizing.BATCH_GPU_MEMORY,
    )
    if job.parallel > 1 and "{index}" not in job.requests:
        refusals.add(
            f"{key}.requests",
            job.requests,
            f"{job.parallel} pods would all read the same file",
            "split it and write {index} where the number stands, for example evaluation/{index}.jsonl",
        )
    if settings.shared_files is None:
        refusals.add(
            f"{key}.requests",
            job.requests,
            "there are no shared files to read requests from and write answers to",
            "set platform_shared_files",
        )


def refuse_triton(key: str, service: TritonService, settings: Settings, refusals: Refusals) -> None:
    """GPUs, back ends that share one image, and models that name each other."""
    _refuse_replicas(key, service.replicas, service.max_replicas, refusals)
    if service.gpus > service.nodes.gpus_per_host:
        refusals.add(
            f"{key}.gpus",
            service.gpus,
            f"a host of {service.nodes.name} has {service.nodes.gpus_per_host} GPUs",
            f"use at most {service.nodes.gpus_per_host}",
        )
    backends = {model.backend for model in service.models}
    if "vllm" in backends and backends & {"onnxruntime", "tensorrt"}:
        refusals.add(
            f"{key}.models",
            ", ".join(sorted(backends)),
            "no published Triton image carries vLLM beside ONNX Runtime or TensorRT",
            "split them into two entries of platform_triton",
        )
    names = {model.name for model in service.models}
    for index, model in enumerate(service.models):
        refuse_triton_model(f"{key}.models.{index}", model, names - {model.name}, refusals)
        refuse_triton_hardware(f"{key}.models.{index}", model, service, settings, refusals)


def refuse_triton_model(key: str, model: TritonModel, others: set[str], refusals: Refusals) -> None:
    """What each back end needs to be told; ``others`` are the models of the same repository."""
    needs = {
        "onnxruntime": ("source", "inputs", "outputs"),
        "tensorrt": ("source", "inputs", "outputs"),
        "python": ("source", "inputs", "outputs"),
        "vllm": ("model",),
        "ensemble": ("steps", "inputs", "outputs"),
    }
    for name in needs[model.backend]:
        if not getattr(model, name):
            refusals.add(
                f"{key}.{name}", "", f"a model with back end {model.backend} needs it", f"add `{name}`"
            )
    for step in model.steps:
        if step.model not in others:
            known = ", ".join(sorted(others)) or "nothing else"
            refusals.add(f"{key}.steps", step.model, "this repository has no such model", f"it has: {known}")


def refuse_triton_hardware(
    key: str, model: TritonModel, service: TritonService, settings: Settings, refusals: Refusals
) -> None:
    """What each back end needs to have."""
    if model.backend in ("tensorrt", "vllm") and service.gpus == 0:
        refusals.add(f"{key}.backend", model.backend, "it needs a GPU", "set gpus on the service")
    if model.build and model.backend != "tensorrt":
        refusals.add(f"{key}.build", model.build, "only TensorRT engines are built", "leave build out")
    if model.build and settings.shared_files is None:
        refusals.add(
            f"{key}.build",
            model.build,
            "an engine that is built needs shared files to be kept on",
            "set platform_shared_files",
        )
    if model.model is not None and model.backend == "vllm" and service.gpus:
        refuse_memory(
            key,
            model.model,
            service.nodes,
            Layout(service.gpus),
            refusals,
            context=sizing.TRITON_CONTEXT,
            utilisation=sizing.TRITON_GPU_MEMORY,
        )
