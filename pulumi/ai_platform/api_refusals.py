"""What is refused of ``platform_api``: names that lead nowhere, shares that do not add up, keys of nobody."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from ai_platform.api_policy import embedding, names_of_models
from ai_platform.api_settings import Api, ApiConsumer, ApiModel
from ai_platform.settings import Settings

Add = Callable[[str, Any, str, str], None]
KEY = "platform_api"
WHOLE = 100


def refuse_api(settings: Settings, add: Add) -> None:
    """Every rule, where there is a gateway."""
    api = settings.api
    if api is None:
        return
    for kind in ("roles", "consumers", "models"):
        _doubles(f"{KEY}.{kind}.name", [entry.name for entry in getattr(api, kind)], add)
    _roles(settings, api, add)
    for consumer in api.consumers:
        _consumer(api, consumer, add)
    _doubles(f"{KEY}.consumers.keys.sha256", [k.sha256 for c in api.consumers for k in c.keys], add)
    _doubles(f"{KEY}.consumers.keys.id", [k.id for c in api.consumers for k in c.keys], add)
    for model in api.models:
        _model(settings, model, add)
    if settings.data is None:
        why = "limits are counted in the platform's Valkey, which is left out"
        add(KEY, "", why, "set platform_data")


def _roles(settings: Settings, api: Api, add: Add) -> None:
    known, groups = names_of_models(settings), Counter(g for role in api.roles for g in role.groups)
    for role in api.roles:
        for model in sorted(set(role.models) - known):
            add(f"{KEY}.roles.{role.name}.models", model, "nothing serves this model", _one_of(known))
        for group in role.groups:
            if groups[group] > 1:
                why = "the group has several roles, and only the first would count"
                add(f"{KEY}.roles.{role.name}.groups", group, why, "give each group one role")
        if role.groups and api.issuer is None:
            why = "nobody vouches for people's groups"
            add(f"{KEY}.roles.{role.name}.groups", ", ".join(role.groups), why, "set issuer")
    for triton in settings.triton:
        if triton.name in {service.name for service in settings.vllm} and embedding(triton):
            why = "a service of platform_vllm has the same name, and clients know models by it"
            add(f"{KEY}.models", triton.name, why, "rename one of the two")


def _consumer(api: Api, consumer: ApiConsumer, add: Add) -> None:
    key, roles = f"{KEY}.consumers.{consumer.name}", {role.name for role in api.roles}
    if consumer.role not in roles:
        add(f"{key}.role", consumer.role, "there is no such role", _one_of(roles))
    if bool(consumer.secret) == bool(consumer.keys):
        why = "a consumer has listed keys or a key of the stack, and one of the two"
        add(key, consumer.secret, why, "run `bedplate api key`, or name a secret")
    for entry in consumer.keys:
        if entry.expires and not _is_day(entry.expires):
            add(f"{key}.keys.{entry.id}.expires", entry.expires, "this is no day", "write it as 2027-12-31")


def _model(settings: Settings, model: ApiModel, add: Add) -> None:
    key, services = f"{KEY}.models.{model.name}", {service.name for service in settings.vllm}
    for share in model.backends:
        if share.service not in services:
            why = "platform_vllm has no such service"
            add(f"{key}.backends", share.service, why, _one_of(services))
    _doubles(f"{key}.backends.service", [share.service for share in model.backends], add)
    total = sum(share.weight for share in model.backends)
    if total != WHOLE:
        add(f"{key}.backends.weight", total, "shares are of a hundred", "let them add up to 100")
    if all(share.canary for share in model.backends):
        why = "when a canary is taken back, another has to be there"
        add(f"{key}.backends.canary", model.name, why, "leave canary out for one of them")


def _doubles(key: str, values: Iterable[str], add: Add) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            add(key, value, f"{times} entries have it", "give each its own")


def _one_of(known: Iterable[str]) -> str:
    return f"use one of: {', '.join(sorted(known)) or 'none is defined'}"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
