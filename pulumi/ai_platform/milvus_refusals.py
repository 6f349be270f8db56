"""What is refused of the vector stores before anything is sent."""

from collections.abc import Callable

from ai_platform.milvus_settings import Milvus
from ai_platform.settings import Settings
from bedplate.capacity.vectors import SLOWED, advise_all, indexes
from bedplate.units import quantity

Add = Callable[[str, object, str, str], None]  # key, value, why, remedy


def refuse_vectors(settings: Settings, add: Add) -> None:
    """Everything that they need is there, and what they are meant to hold fits."""
    if settings.milvus:
        _milvus(settings.milvus, settings, add)
    if settings.chroma:
        _tier("platform_chroma.tier", settings.chroma.tier, settings, add)
        if settings.milvus and settings.milvus.cluster:
            why = "Chroma has no log-in, and belongs into development stacks"
            add("platform_chroma", settings.chroma.tier, why, "leave it out where Milvus runs as a cluster")
    _knowledge(settings, add)


def _milvus(wanted: Milvus, settings: Settings, add: Add) -> None:
    key = "platform_milvus"
    _tier(f"{key}.tier", wanted.tier, settings, add)
    if settings.object_store is None:
        why = "Milvus keeps its segments in an object store, and there is none"
        add(key, wanted.mode, why, "set platform_data.object_store, or platform_object_store")
    hosts = settings.tier_hosts.get(wanted.tier, ())
    if hosts and len(hosts) < wanted.members:
        why = f"etcd's {wanted.members} members want a host each, and {len(hosts)} have this tier"
        add(f"{key}.tier", wanted.tier, why, "name a tier of more hosts, or mode standalone")
    for index, one in enumerate(wanted.collections):
        if one.replicas > wanted.query_nodes:
            why = f"each copy wants a query node of its own, and there are {wanted.query_nodes}"
            add(
                f"{key}.collections.{index}.replicas", one.replicas, why, "set query_nodes, or fewer replicas"
            )
    memory, nvme = wanted.memory * wanted.query_nodes, wanted.volume * wanted.query_nodes
    for one, found in advise_all(wanted.collections, memory, nvme):
        if found is None:
            least = min(index.memory for index in indexes(one))
            why = f"no index of {one.name} fits {quantity(memory)} of memory; the least is {quantity(least)}"
            remedy = f"give query nodes {quantity(round(least / SLOWED))} more, or NVMe (`bedplate vectors`)"
            add(f"{key}.collections", one.name, why, remedy)


def _knowledge(settings: Settings, add: Add) -> None:
    searched = [service.name for service in settings.triton]
    names = [one.name for one in settings.knowledge]
    for index, one in enumerate(settings.knowledge):
        key = f"platform_knowledge.{index}"
        if settings.milvus is None:
            add(key, one.name, "vectors go to Milvus, and there is none", "set platform_milvus")
        if one.embedding not in searched:
            known = ", ".join(searched) or "none is defined"
            add(
                f"{key}.embedding",
                one.embedding,
                "platform_triton has no such service",
                f"use one of: {known}",
            )
        if one.overlap >= one.chunk:
            add(
                f"{key}.overlap", one.overlap, "a piece would repeat all of the one before", "make it smaller"
            )
        others = [other.collection for other in settings.knowledge[:index]]
        if one.name in names[:index] or one.collection in others:
            why = "two runs would delete each other's documents"
            add(f"{key}.collection", one.collection, why, "give each its own name and collection")


def _tier(key: str, tier: str, settings: Settings, add: Add) -> None:
    if tier not in settings.tiers:
        known = ", ".join(settings.tiers) or "none is defined"
        add(key, tier, "no Kubernetes node has a storage tier of this name", f"use one of: {known}")
