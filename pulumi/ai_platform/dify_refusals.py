"""What is refused of `platform_dify` before anything is sent."""

from collections.abc import Callable
from difflib import get_close_matches

from ai_platform.settings import Settings

Add = Callable[[str, object, str, str], None]  # key, value, why, remedy


def refuse_dify(settings: Settings, add: Add) -> None:
    """Everything that Dify needs and offers is there."""
    dify = settings.dify
    if dify is None:
        return
    if settings.data is None:
        why = "Dify keeps what people make in PostgreSQL and Valkey, and there is none"
        add("platform_dify", dify.address, why, "set platform_data")
    if settings.object_store is None:
        why = "Dify keeps files of people in an object store, and there is none"
        add("platform_dify", dify.address, why, "set platform_data.object_store, or platform_object_store")
    if settings.api is None or not settings.api.outside:
        why = "people reach Dify at the API gateway's port of every node, and there is none"
        add("platform_dify.address", dify.address, why, "set outside in platform_api, for example 30443")
    if dify.nodes not in settings.node_groups:
        known = ", ".join(sorted(settings.node_groups))
        why = "no group of Kubernetes nodes has this name"
        add("platform_dify.nodes", dify.nodes, why, f"use one of: {known}")
    served = [service.name for service in settings.vllm]
    for name in dify.models:
        if name not in served:
            add("platform_dify.models", name, "platform_vllm has no such service", _nearest(name, served))
    searched = [service.name for service in settings.triton]
    if dify.embedding and dify.embedding not in searched:
        why = "platform_triton has no such service"
        add("platform_dify.embedding", dify.embedding, why, _nearest(dify.embedding, searched))
    if dify.plugins and not dify.package_index:
        why = "plugins install Python packages when they start, and there is no index to take them from"
        add("platform_dify.package_index", "", why, "name the site's own index, for example a mirror of PyPI")


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"use one of: {', '.join(known) or 'none is defined'}"
