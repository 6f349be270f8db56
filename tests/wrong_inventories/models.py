"""Mistakes in the models that hosts keep."""

from typing import Any

from tests.inventory_samples import REMOVED, on
from tests.wrong_inventories.case import NODES, case

SUM = "a" * 64
ALL = [
    "deepseek-r1-0528",
    "deepseek-r1-distill-llama-70b",
    "deepseek-r1-distill-qwen-32b",
    "deepseek-r1-distill-qwen-14b",
    "deepseek-r1-distill-qwen-1.5b",
    "deepseek-r1-distill-qwen-7b",
]
MODELS: list[dict[str, Any]] = [{"name": name, "manifest": SUM} for name in ALL]
S3 = {"url": "s3://models/ai", "endpoint": "https://s3.example.com", "access_key": "k", "secret_key": "s"}
WEB = [{"url": "https://mirror.example.com/models"}]
FILE = ""  # the variable is added by the edit: no file has it
KEEP = on(NODES, "model_store_models", to=MODELS)
FROM = on(NODES, "model_store_sources", to=WEB)


def models(*edits: dict[str, Any]) -> Any:
    """The models with others in the first places."""
    return on(NODES, "model_store_models", to=[*edits, *MODELS[len(edits) :]])


CASES = [
    case(
        "model that nobody knows",
        models(),
        on(
            NODES,
            "model_store_models",
            to=[*MODELS, {"name": "deepseek-r1-distill-qwen-72b", "manifest": SUM}],
        ),
        FROM,
        at=(FILE, "model_store_models[6].name"),
        value="deepseek-r1-distill-qwen-72b",
        why="the catalogue has no such model",
        remedy="write deepseek-r1-distill-qwen-7",
    ),
    case(
        "model outside the store",
        on(NODES, "model_store_models", to=[*MODELS, {"name": "../../etc/x", "manifest": SUM}]),
        FROM,
        at=(FILE, "model_store_models[6].name"),
        value="../../etc/x",
        why="does not stay below the model store",
        remedy="OWNER/NAME/REVISION",
    ),
    case(
        "model listed twice",
        on(NODES, "model_store_models", to=[*MODELS, MODELS[0]]),
        FROM,
        at=(FILE, "model_store_models[6].name"),
        value="deepseek-r1-0528",
        why="is listed already",
        remedy="once",
    ),
    case(
        "model without a digest",
        models({"name": ALL[0], "manifest": "latest"}),
        FROM,
        at=(FILE, "model_store_models[0].manifest"),
        value="latest",
        why="this is no SHA-256",
        remedy="bedplate models manifest",
    ),
    case(
        "models from nowhere",
        KEEP,
        at=(FILE, "model_store_models"),
        value="",
        why="models have to come from somewhere",
        remedy="set site_mirror, or list model_store_sources",
    ),
    case(
        "source that is none",
        KEEP,
        on(NODES, "model_store_sources", to=[{"url": "mirror.example.com/models"}]),
        at=(FILE, "model_store_sources[0].url"),
        value="mirror.example.com/models",
        why="this is no address of a source",
        remedy="s3://BUCKET/PREFIX",
    ),
    case(
        "object store without its secret",
        KEEP,
        on(NODES, "model_store_sources", to=[{k: v for k, v in S3.items() if k != "secret_key"}]),
        at=(FILE, "model_store_sources[0]"),
        value="s3://models/ai",
        why="an object store needs secret_key",
        remedy="add secret_key",
    ),
    case(
        "model store on no tier",
        KEEP,
        FROM,
        on("all", "path_model_store", to="/opt/models"),
        at=(FILE, "model_store_models"),
        value="",
        why="on none of the host's tiers",
        remedy="/srv/hot/models",
    ),
    case(
        "models that do not fit their tier",
        KEEP,
        FROM,
        on(NODES, "hardware_disks", to=lambda d: [{**x, "size": "100GB"} for x in d]),
        on(NODES, "storage_tiers", 0, "promise", to=REMOVED),
        at=(FILE, "model_store_models"),
        value="",
        why="and tier hot gives 0.7TB",
        remedy="list fewer models",
    ),
    case(
        "size without a unit",
        KEEP,
        FROM,
        on(NODES, "model_store_free", to="20"),
        at=(FILE, "model_store_free"),
        value="20",
        why="not a size with its unit",
        remedy="20GB",
    ),
]
