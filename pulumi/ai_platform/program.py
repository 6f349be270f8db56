"""The whole platform of one environment: components in the order in which they need each other."""

import os
from pathlib import Path

import pulumi

from ai_platform.api_gateway import ApiGateway, ApiGatewayArgs
from ai_platform.backups import Backups, BackupsArgs
from ai_platform.batch import Batch, BatchArgs
from ai_platform.data_services import DataServices, DataServicesArgs
from ai_platform.dify import Dify, DifyArgs
from ai_platform.gpu import Gpu, GpuArgs
from ai_platform.guardrails import Guardrails, GuardrailsArgs
from ai_platform.logs import Logs, LogsArgs
from ai_platform.milvus import Vectors, VectorsArgs
from ai_platform.monitoring import Monitoring, MonitoringArgs
from ai_platform.reading import read
from ai_platform.secrets import Secrets, from_config
from ai_platform.settings import Settings
from ai_platform.storage import Storage, StorageArgs
from ai_platform.triton import Triton, TritonArgs
from ai_platform.vllm import Vllm, VllmArgs
from bedplate import paths
from bedplate.errors import BadInput, Finding
from bedplate.inventory import load


def inventory_path(stack: str) -> Path:
    """Stack name = environment name = inventory folder. BEDPLATE_INVENTORY names a folder elsewhere, of
    that name."""
    path = Path(os.environ.get("BEDPLATE_INVENTORY") or paths.INVENTORIES / stack)
    if paths.environment_of(path) != stack:
        raise BadInput(
            Finding(
                str(path),
                "stack",
                stack,
                "the stack and the inventory have different names",
                f"select the stack with `pulumi stack select {paths.environment_of(path)}`",
            )
        )
    return path


def build(settings: Settings, secrets: Secrets) -> None:
    """Every component, wired."""
    guardrails = Guardrails("guardrails", GuardrailsArgs(settings))
    storage = Storage("storage", StorageArgs(settings, guardrails.ready))
    gpu = Gpu("gpu", GpuArgs(settings, guardrails.ready))
    stored = [*guardrails.ready, *storage.ready]
    data = DataServices("data", DataServicesArgs(settings, secrets, stored))
    vectors = Vectors("vectors", VectorsArgs(settings, secrets, [*stored, *data.ready]))
    ready = [*guardrails.ready, *storage.ready, *gpu.ready]
    vllm = Vllm("vllm", VllmArgs(settings, secrets, ready))
    triton = Triton("triton", TritonArgs(settings, secrets, [*ready, *vllm.groups]))
    monitoring = Monitoring("monitoring", MonitoringArgs(settings, secrets, [*guardrails.ready, *gpu.ready]))
    logs = Logs("logs", LogsArgs(settings, secrets, stored, data.ready))
    backups = Backups("backups", BackupsArgs(settings, secrets, [*guardrails.ready, *storage.ready]))
    dify = Dify("dify", DifyArgs(settings, secrets, [*stored, *data.ready]))
    api = ApiGateway("api", ApiGatewayArgs(settings, secrets, [*guardrails.ready, *data.ready]))
    batch = Batch("batch", BatchArgs(settings, [*ready, *vllm.groups]))
    pulumi.export("vllm", vllm.addresses)
    pulumi.export("triton", triton.addresses)
    pulumi.export("api", api.address)
    pulumi.export("data", data.addresses)
    pulumi.export("vectors", vectors.addresses)
    pulumi.export("batch", batch.jobs)
    pulumi.export("dify", dify.addresses)
    pulumi.export("images_by_tag", settings.images.by_tag)
    pulumi.export("logs", logs.address)
    pulumi.export("monitoring", monitoring.addresses)
    pulumi.export("backups", backups.jobs)
    pulumi.export("storage_classes", storage.classes)


def main() -> None:
    """The Pulumi program."""
    stack = pulumi.get_stack()
    inventory = load(inventory_path(stack))
    settings = read(inventory)
    build(settings, from_config(stack, inventory.shared["catalogue_secrets"]))
