"""The job that brings Dify to what the inventory says: administrator, plugins, models, defaults."""

import json
from typing import Any

from ai_platform import consumers, names, pods, scripts
from ai_platform import dify_environment as words
from ai_platform import dify_objects as objects
from ai_platform import dify_parts as parts
from ai_platform.dify_environment import Ref, stack
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.settings import Settings, VllmService
from bedplate import paths

PROVIDER = "langgenius/openai_api_compatible/openai_api_compatible"
FOLDER = (
    "packages"  # of the plugins' bucket: what a publisher brings, plugins that the daemon keeps lie beside
)
NAME = "Bedplate"  # of the first administrator
SECONDS = 2 * 3600  # as long as the largest model may take to load
ANSWER_TOKENS = 8192  # most that one answer is meant to take, unless the context is smaller
CHUNKS = 16  # texts that are made into vectors by one call
EMBEDDING_CONTEXT = 8192


def config(settings: Settings) -> dict[str, Any]:
    """What the job reads."""
    dify, store = parts.dify(settings), consumers.store(settings)
    served = {service.name: service for service in settings.vllm}
    wanted = [_llm(served[name], settings) for name in dify.models]
    defaults = {"llm": dify.models[0]} if dify.models else {}
    if dify.embedding:
        wanted.append(_embedding(dify.embedding, settings))
        defaults["text-embedding"] = dify.embedding
    bucket = consumers.consumer("dify-plugin").grants[0].bucket
    return {
        "address": words.service(words.API, settings, "dify_api"),
        "seconds": SECONDS,
        "administrator": {"email": dify.administrator, "name": NAME},
        "plugins": list(dify.plugins),
        "store": {"endpoint": store.endpoint, "region": store.region, "bucket": bucket, "folder": FOLDER},
        "provider": PROVIDER,
        "models": wanted,
        "defaults": defaults,
    }


def models_address(settings: Settings) -> str:
    """Where Dify's plugins find models: at the gateway, like everybody."""
    return f"http://gateway.{names.GATEWAY}.svc:{settings.ports['model_gateway']}/v1"


def _model(name: str, kind: str, settings: Settings, **more: str) -> dict[str, Any]:
    plain = {"display_name": name, "endpoint_model_name": name, "endpoint_url": models_address(settings)}
    return {"model": name, "type": kind, "credentials": plain | more}


def _llm(service: VllmService, settings: Settings) -> dict[str, Any]:
    def parses(what: str) -> bool:
        return any(argument.startswith(f"--{what}-parser") for argument in service.model.arguments)

    tools = parses("tool-call")
    return _model(
        service.name,
        "llm",
        settings,
        mode="chat",
        context_size=str(service.context),
        max_tokens_to_sample=str(min(ANSWER_TOKENS, service.context // 2)),
        function_calling_type="tool_call" if tools else "no_call",
        stream_function_calling="supported" if tools else "not_supported",
        agent_thought_support="only_thinking_supported" if parses("reasoning") else "not_supported",
        vision_support="no_support",
    )


def _embedding(name: str, settings: Settings) -> dict[str, Any]:
    return _model(
        name,
        "text-embedding",
        settings,
        context_size=str(EMBEDDING_CONTEXT),
        max_chunks=str(CHUNKS),
        encoding_format="float",
        vision_support="no_support",
    )


def programs(settings: Settings, part: Part) -> Manifest:
    """The job's program and what it reads."""
    data = scripts.read("dify_setup.py", "wait.py")
    data |= {"sigv4.py": (paths.MODULE_UTILS / "model_store/sigv4.py").read_text()}
    data |= {"config.json": json.dumps(config(settings), indent=1)}
    return scripts.config_map(part.app, part.namespace, data, part.labels)


def environment() -> words.Environment:
    """Its secrets."""
    access = consumers.secret_name(consumers.STORE, consumers.consumer("dify-plugin"))
    return {
        "DIFY_INIT_PASSWORD": stack(words.FIRST),
        "DIFY_ADMIN_PASSWORD": stack(words.ADMINISTRATOR),
        "MODELS_KEY": stack(words.MODELS),
        "AWS_ACCESS_KEY_ID": Ref(access, "AWS_ACCESS_KEY_ID"),
        "AWS_SECRET_ACCESS_KEY": Ref(access, "AWS_SECRET_ACCESS_KEY"),
    }


def job(settings: Settings, part: Part, files: Manifest, generation: str) -> Manifest:
    """Nobody waits for it: a model may take an hour to load. Few tries, because Dify locks an account that is
    tried too often."""
    place = pods.SCRIPTS_PATH
    made = parts.container(
        part,
        settings,
        environment(),
        command=[parts.PYTHON, f"{place}/dify_setup.py", f"{place}/config.json"],
        volumeMounts=[parts.mount("programs", place)],
    )
    made["env"] += [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}]
    spec = parts.pod(part, settings, made)
    spec["volumes"] = [{"name": "programs", "configMap": {"name": files["metadata"]["name"]}}]
    return objects.job(part, spec, generation, tries=2, awaited=False)
