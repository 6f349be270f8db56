"""A stand-in for vLLM with an embedding model: an OpenAI-compatible server of /v1/embeddings on loopback,
with a real small model (all-MiniLM-L6-v2, whose weights a package ships) computed by numpy. It
shows that texts become meaningful vectors and that keys are asked for, and nothing of limits or speed.

Usage: embedder.py PORT KEY"""

import hmac
import json
import struct
import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import all_minilm_l6_v2
import numpy as np
from tokenizers import Tokenizer

HEADS, LAYERS, LONGEST = 12, 6, 256
Array = np.ndarray


@cache
def packed() -> zipfile.ZipFile:
    """The model's files."""
    return zipfile.ZipFile(Path(all_minilm_l6_v2.__file__).parent / "model.zip")


def member(name: str) -> bytes:
    """One of them, wherever it lies in the archive."""
    [path] = [one for one in packed().namelist() if one.rpartition("/")[2] == name and "onnx" not in one]
    return packed().read(path)


@cache
def weights() -> Mapping[str, Array]:
    """Tensors by name (safetensors: a length, a header, the numbers)."""
    data = member("model.safetensors")
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), memoryview(data)[8 + length :]
    kinds = {"F32": np.float32, "I64": np.int64, "F16": np.float16}
    found = {}
    for name, one in header.items():
        if name != "__metadata__":
            start, end = one["data_offsets"]
            flat = np.frombuffer(body[start:end], kinds[one["dtype"]])
            found[name.removeprefix("bert.")] = flat.reshape(one["shape"])
    return found


def normal(x: Array, name: str) -> Array:
    """Layer normalisation."""
    mean, spread = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(spread + 1e-12) * weights()[f"{name}.weight"] + weights()[f"{name}.bias"]


def linear(x: Array, name: str) -> Array:
    """A dense layer."""
    return x @ weights()[f"{name}.weight"].T + weights()[f"{name}.bias"]


def gelu(x: Array) -> Array:
    """By its usual approximation."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def vector(ids: list[int]) -> Array:
    """Mean of the last layer, of length one."""
    w, count = weights(), len(ids)
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:count]
    x = normal(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{name}.attention.self.{part}").reshape(count, HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(count, -1)
        x = normal(x + linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = linear(gelu(linear(x, f"{name}.intermediate.dense")), f"{name}.output.dense")
        x = normal(x + inner, f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


@cache
def tokenizer() -> Tokenizer:
    """The model's own, as its packager set it but for padding."""
    found = Tokenizer.from_str(member("tokenizer.json").decode())
    found.no_padding()
    found.enable_truncation(LONGEST)
    return found


class Handler(BaseHTTPRequestHandler):
    """POST /v1/embeddings."""

    key = ""

    def do_POST(self) -> None:
        """Refuses whoever has no key."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not hmac.compare_digest(self.headers.get("Authorization", ""), f"Bearer {self.key}"):
            self._answer(401, {"error": "no such key"})
            return
        ids = [tokenizer().encode(text).ids for text in asked["input"]]
        found = [{"index": n, "embedding": vector(one).tolist()} for n, one in enumerate(ids)]
        used = sum(map(len, ids))
        usage = {"prompt_tokens": used, "total_tokens": used}
        self._answer(200, {"model": asked["model"], "data": found, "usage": usage})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    Handler.key = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
