"""Rules of models on hosts: what a host keeps, where it comes from, and whether it fits."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bedplate import units
from bedplate.check import storage
from bedplate.check.problem import Problem
from bedplate.check.rules import host_rule
from bedplate.check.words import choose

Data = Mapping[str, Any]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[^/\x00-\x20\x7f]+")
_OBJECT_STORE = ("endpoint", "access_key", "secret_key")


@host_rule
def models(model_store_models: Sequence[Data], catalogue_models: Data) -> Iterator[Problem]:
    """Names and digests of models."""
    seen: set[str] = set()
    for index, model in enumerate(model_store_models):
        key, name = ("model_store_models", index), model["name"]
        parts = name.split("/")
        if name not in catalogue_models and len(parts) == 1:
            why = "the catalogue has no such model, and it is no path"
            remedy = f"{choose(name, catalogue_models)}, or a path such as OWNER/NAME/REVISION"
            yield Problem((*key, "name"), why, remedy)
        elif not all(_PART.fullmatch(part) and part not in (".", "..", ".bedplate") for part in parts):
            why = "this path does not stay below the model store"
            yield Problem((*key, "name"), why, "write it like OWNER/NAME/REVISION")
        if name in seen:
            yield Problem((*key, "name"), f"{name} is listed already", "list each model once")
        seen.add(name)
        if not _DIGEST.fullmatch(model["manifest"]):
            remedy = "write the 64 hexadecimal digits that `bedplate models manifest` says"
            yield Problem((*key, "manifest"), "this is no SHA-256", remedy)


@host_rule
def sources(
    model_store_models: Sequence[Data] = (),
    model_store_sources: Sequence[Data] | None = None,
    site_mirror: str = "",
) -> Iterator[Problem]:
    """Models need a source, and a source an address that can be used."""
    if model_store_models and not (model_store_sources or (model_store_sources is None and site_mirror)):
        why = "models have to come from somewhere, and there is no source and no mirror"
        yield Problem(("model_store_models",), why, "set site_mirror, or list model_store_sources", "")
    for index, source in enumerate(model_store_sources or ()):
        key, url = ("model_store_sources", index), source["url"]
        parts = urlsplit(url)
        local = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
        if not local and not (parts.scheme in ("http", "https", "s3") and parts.netloc):
            why = "this is no address of a source"
            remedy = "write file:///PATH, http(s)://HOST/PATH or s3://BUCKET/PREFIX"
            yield Problem((*key, "url"), why, remedy)
        missing = [name for name in _OBJECT_STORE if not source.get(name)]
        if parts.scheme == "s3" and missing:
            yield Problem(key, f"an object store needs {', '.join(missing)}", f"add {missing[0]}", url)


@host_rule
def room(
    model_store_models: Sequence[Data],
    catalogue_models: Data,
    path_model_store: str,
    storage_tiers: Sequence[Data] = (),
    hardware_disks: Sequence[Data] = (),
) -> Iterator[Problem]:
    """The models fit the tier that they lie on, and they lie on one."""
    tiers = [
        tier for tier in storage_tiers if f"{path_model_store}/".startswith(f"{tier['mount'].rstrip('/')}/")
    ]
    if model_store_models and storage_tiers and not tiers:
        why = f"{path_model_store} is on none of the host's tiers: models would fill the system disk"
        remedy = f"set path_model_store to a folder such as {storage_tiers[0]['mount']}/models"
        yield Problem(("model_store_models",), why, remedy, "")
    for tier in tiers:
        disks = storage.candidates(tier, storage_tiers, hardware_disks)
        if not disks:
            continue  # said by the rules of tiers
        names = [one["name"] for one in model_store_models if one["name"] in catalogue_models]
        wanted = sum(_bytes(catalogue_models[name], catalogue_models) for name in names)
        there = storage.usable(tier, disks)
        if wanted > there:
            given = f"tier {tier['name']} gives {there / 10**12:.3g}TB"
            why = f"the models have {wanted / 10**12:.3g}TB, and {given}"
            yield Problem(("model_store_models",), why, "list fewer models, or give the tier more disks", "")


def _bytes(model: Data, catalogue: Data) -> int:
    """Size on disk; a model that is `like` another one has its size."""
    size = model.get("checkpoint_bytes")
    return int(size if size is not None else catalogue[model["like"]]["checkpoint_bytes"])


@host_rule
def served(
    model_store_models: Sequence[Data], hardware_gpus: Data, platform_vllm: Sequence[Data] = ()
) -> Iterator[Problem]:
    """What the platform serves should be in the store: nothing fetches a model while a pod starts."""
    del hardware_gpus  # hosts without GPUs serve nothing
    listed = {model["name"] for model in model_store_models}
    for service in platform_vllm if listed else ():
        if service["model"] not in listed:
            why = f"platform_vllm serves {service['model']}, which the hosts with GPUs do not keep"
            remedy = f"add {{name: {service['model']}, manifest: …}}"
            yield Problem(("model_store_models",), why, remedy, service["name"], level="warning")


@host_rule
def sizes(model_store_free: str = "0B", model_store_cache_free: str = "0B") -> Iterator[Problem]:
    """Sizes with their units."""
    given = {"model_store_free": model_store_free, "model_store_cache_free": model_store_cache_free}
    for name, size in given.items():
        try:
            units.parse_bytes(size)
        except ValueError:
            yield Problem((name,), "this is not a size with its unit", "write it like 20GB")
