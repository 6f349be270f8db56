"""What is refused of ``platform_data`` before anything is sent."""

from collections.abc import Callable
from typing import Any

from ai_platform.settings import Settings

KEY = "platform_data"
Add = Callable[[str, Any, str, str], None]  # key, value, why, remedy


def refuse_data(settings: Settings, add: Add) -> None:
    """Tiers that are there, a host for each of several, a primary that exists, a store for what needs one."""
    data = settings.data
    if data is None:
        return
    for name, kept in (
        ("postgresql", data.postgresql),
        ("valkey", data.valkey),
        ("object_store", data.store),
    ):
        if kept is None:
            continue
        hosts = settings.tier_hosts.get(kept.tier, ())
        _refuse_tier(f"{KEY}.{name}.tier", kept.tier, settings, add)
        if hosts and kept.replicas > len(hosts):
            why = f"only {len(hosts)} host(s) have tier {kept.tier}, and two on one host are lost together"
            add(f"{KEY}.{name}.replicas", kept.replicas, why, f"use at most {len(hosts)}")
        if kept.primary >= kept.replicas:
            why = f"its pods are 0 to {kept.replicas - 1}"
            add(f"{KEY}.{name}.primary", kept.primary, why, "name the pod that is to be written to")
    if data.archive:
        _refuse_tier(f"{KEY}.postgresql.archive.tier", data.archive.tier, settings, add)
    if data.store and settings.object_store and not settings.object_store.own:
        why = "the site has an object store already"
        add(f"{KEY}.object_store", data.store.tier, why, "leave out this or platform_object_store")
    if data.mlflow and settings.object_store is None:
        why = "it keeps files in an object store, and there is none"
        add(f"{KEY}.mlflow", data.mlflow, why, f"add {KEY}.object_store or platform_object_store")


def _refuse_tier(key: str, tier: str, settings: Settings, add: Add) -> None:
    if tier not in settings.tiers:
        known = ", ".join(settings.tiers) or "none is defined"
        add(key, tier, "no Kubernetes node has a storage tier of this name", f"use one of: {known}")
