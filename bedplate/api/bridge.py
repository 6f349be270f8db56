"""Speaks Triton's protocol (KServe v2) to models that clients ask in OpenAI's: texts in, vectors out."""

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from bedplate.api.policy import Served
from bedplate.api.refused import Refused
from bedplate.api.server import Answer

SECONDS = 60
BYTES_PER_TOKEN = 4  # Triton does not say how many tokens it counted; English text has about four bytes each
MOST_TEXTS = 2048  # of one request, as OpenAI's API has it


def texts(body: dict[str, Any]) -> list[str]:
    """The texts of a request. Raises Refused for what is none: tokens of another model mean nothing here."""
    found = body.get("input")
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not found or not all(isinstance(item, str) and item for item in found):
        raise Refused(400, "bad_input", "input is a text or a list of texts")
    if len(found) > MOST_TEXTS:
        raise Refused(400, "bad_input", f"at most {MOST_TEXTS} texts at once")
    if body.get("encoding_format", "float") != "float":
        raise Refused(400, "bad_input", "vectors come as numbers: encoding_format is float")
    return found


def question(found: list[str], tensor: str) -> dict[str, Any]:
    """The texts as Triton takes them: a batch of one text each."""
    data = {"name": tensor, "shape": [len(found), 1], "datatype": "BYTES", "data": found}
    return {"inputs": [data]}


def answer(said: dict[str, Any], model: str, found: list[str]) -> dict[str, Any]:
    """What Triton said as OpenAI's API says it. Raises ValueError or KeyError when it said something else."""
    (output,) = said["outputs"]
    count, width = output["shape"]
    if count != len(found) or len(output["data"]) != count * width:
        raise ValueError("not one vector for each text")
    vectors = [output["data"][n * width : (n + 1) * width] for n in range(count)]
    tokens = sum(-(-len(text.encode()) // BYTES_PER_TOKEN) for text in found)
    return {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


async def embed(served: Served, content: bytes) -> Answer:
    """The answer to a request for vectors."""
    try:
        found = texts(json.loads(content))
        url = f"{served.detail['url']}/v2/models/{served.detail['model']}/infer"
        said = await asyncio.to_thread(_ask, url, question(found, served.detail["tensor"]))
        body = json.dumps(answer(said, served.name, found), separators=(",", ":")).encode()
    except Refused as refusal:
        return Answer(refusal.status, {"content-type": "application/json"}, refusal.body)
    except (OSError, ValueError, KeyError):
        failed = Refused(502, "no_answer", "the model gave no vectors")
        return Answer(failed.status, {"content-type": "application/json"}, failed.body)
    return Answer(200, {"content-type": "application/json"}, body)


def _ask(url: str, question: dict[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    made = urllib.request.Request(url, json.dumps(question).encode(), headers)  # noqa: S310 - from the policy
    with urllib.request.urlopen(made, timeout=SECONDS) as said:  # noqa: S310 - as above
        return json.load(said)
