"""What a request asks for, read once and strictly: what two programs could read in two ways is refused.

Nothing here is remembered: a prompt is measured, never kept.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from bedplate.api.policy import Limits
from bedplate.api.refused import Refused

CHAT, COMPLETION, EMBEDDING, MODELS = "chat.completions", "completions", "embeddings", "models"
ROUTES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/embeddings": EMBEDDING,
    "/v1/models": MODELS,
}
PROMPTS = {CHAT: "messages", COMPLETION: "prompt", EMBEDDING: "input"}
BYTES_PER_TOKEN = 3  # of English text a token has four bytes; what was really used replaces this afterwards
DEPTH = 64  # of nesting; tools' schemas need a dozen
DEFAULT_ANSWER = 2048  # tokens, where neither the client nor its limits say less
IMAGE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]*={0,2}")
MEDIA = ("image_url", "video_url", "audio_url", "input_audio", "file", "image_embeds", "audio_embeds")
# What reaches into the server instead of asking it something, or multiplies work without being counted.
# Sources: vLLM's chat protocol; GHSA lists of vLLM for templates and scripts that a client brings.
FORBIDDEN = (
    "chat_template",
    "chat_template_kwargs_override",
    "mm_processor_kwargs",
    "kv_transfer_params",
    "vllm_xargs",
    "best_of",
    "use_beam_search",
    "prompt_embeds",
    "cache_salt",
    "priority",
    "request_id",
)


@dataclass(frozen=True)
class Asked:
    """What is asked of which model. ``tokens`` is the most that it is expected to take: it is taken from the
    consumer's account before, and put right afterwards. ``insert`` is what the body lacks, as members of a
    JSON object, each with its comma."""

    operation: str
    model: str
    tokens: int = 0
    stream: bool = False
    insert: str = ""


def operation(method: str, target: str) -> str:
    """What a path means. Raises Refused for anything that is not exactly one of ours."""
    path, question, _ = target.partition("?")
    if path not in ROUTES:
        raise Refused(404, "unknown_path", "there is nothing at this path")
    if question:
        raise Refused(400, "query_not_allowed", "nothing is taken from the query; send keys in Authorization")
    wanted = "GET" if ROUTES[path] == MODELS else "POST"
    if method != wanted:
        raise Refused(405, "method_not_allowed", f"use {wanted}", {"allow": wanted})
    return ROUTES[path]


def read(what: str, content_type: str, body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises Refused for what is none, or has a member twice."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "not_json", "send application/json")
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "the body is no JSON that can be read in one way only") from None
    if not isinstance(found, dict) or _depth(found) > DEPTH:
        raise Refused(400, "bad_json", "the body is no plain JSON object")
    if not isinstance(found.get("model"), str):
        raise Refused(400, "no_model", "name a model")
    if PROMPTS[what] not in found:
        raise Refused(400, "no_prompt", f"{PROMPTS[what]} is missing")
    return found


def judge(what: str, body: dict[str, Any], size: int, limits: Limits, context: int) -> Asked:
    """What a body asks for, within the consumer's limits and the model's ``context`` (0: unknown). Raises
    Refused."""
    for name in FORBIDDEN:
        if name in body:
            raise Refused(400, "not_allowed", f"{name} is not taken from clients")
    _media(body[PROMPTS[what]])
    prompt = -(-size // BYTES_PER_TOKEN)
    if what == EMBEDDING:
        return Asked(what, body["model"], prompt)
    choices = _count(body, "n", 1)
    if choices > limits.choices:
        raise Refused(400, "too_many_choices", f"n may be at most {limits.choices}")
    answer, missing = _answer(what, body, limits, context)
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        raise Refused(400, "bad_stream", "stream is true or false")
    return Asked(what, body["model"], prompt + choices * answer, stream, missing + _usage(body, stream))


def _answer(what: str, body: dict[str, Any], limits: Limits, context: int) -> tuple[int, str]:
    """Tokens that each answer may have, and what has to be put into a body that does not say it."""
    names = [n for n in ("max_tokens", "max_completion_tokens") if body.get(n) is not None and n in body]
    if len(names) > 1:
        raise Refused(400, "two_lengths", "give max_tokens or max_completion_tokens, not both")
    asked = _count(body, names[0], 0) if names else 0
    if asked > limits.answer:
        raise Refused(400, "answer_too_long", f"{names[0]} may be at most {limits.answer}")
    if _count(body, "min_tokens", 0, least=0) > (asked or limits.answer):
        raise Refused(400, "answer_too_long", "min_tokens is more than the answer may have")
    if asked:
        return asked, ""
    default = min(limits.answer, DEFAULT_ANSWER, *([max(context // 2, 1)] if context else []))
    name = "max_completion_tokens" if what == CHAT else "max_tokens"
    if name in body or "max_tokens" in body:  # null: the same member twice would be two readings
        raise Refused(400, "bad_length", "leave out what has no value")
    return default, f'"{name}":{default},'


def _usage(body: dict[str, Any], stream: bool) -> str:
    """A stream has to end with what it used, or nobody could count it."""
    options = body.get("stream_options")
    if not stream:
        if options is not None:
            raise Refused(400, "bad_stream", "stream_options are for streams")
        return ""
    if "stream_options" not in body:
        return '"stream_options":{"include_usage":true},'
    if not isinstance(options, dict) or options.get("include_usage") is not True:
        raise Refused(400, "bad_stream", "leave stream_options out, or ask for include_usage")
    return ""


def _media(found: Any) -> None:
    """Pictures come along as data. A server that fetched what a client names could be sent anywhere."""
    if isinstance(found, list):
        for item in found:
            _media(item)
    if not isinstance(found, dict):
        return
    for name in MEDIA:
        if name in found or found.get("type") == name:
            if name != "image_url":
                raise Refused(400, "media_not_allowed", f"{name} is not taken")
            url = found.get(name)
            url = url.get("url") if isinstance(url, dict) else url
            if not isinstance(url, str) or not IMAGE.fullmatch(url):
                raise Refused(
                    400, "media_not_allowed", "send pictures as data:image/…;base64, not as addresses"
                )
    if "content" in found:
        _media(found["content"])


def _count(body: dict[str, Any], name: str, default: int, least: int = 1) -> int:
    value = body.get(name, default)
    if name in body and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise Refused(400, "bad_number", f"{name} is a whole number of at least {least}")
    return int(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


def _depth(found: Any, depth: int = 0) -> int:
    if depth > DEPTH:
        return depth
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return max((_depth(item, depth + 1) for item in inner), default=depth)
