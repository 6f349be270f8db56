"""A decoder with random weights of a model's true shapes, in plain PyTorch: prefill in chunks, decode, draw.

It serves nobody. It holds and does what vLLM holds and does, as far as memory goes: BF16 weights tensor by
tensor, one key/value cache per layer, no activation kept from one layer to the next. Everything here runs
under ``torch.inference_mode()``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor as Numbers
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right

from bedplate.capacity.models import Model
from bedplate.capacity.shapes import tensors

_SPREAD = 0.02  # standard deviation of the weights, as these models are initialised
_EPSILON = 1e-6
_THETA = 10_000.0
_TOP_P_TEMPERATURE = 0.6  # what the distills' own README asks for


class Decoder:
    """Weights and cache on one device; ``context`` tokens for each of ``batch`` sequences."""

    def __init__(self, model: Model, device: str, dtype: torch.dtype = torch.bfloat16) -> None:
        self.model, self.device, self.dtype = model, torch.device(device), dtype
        self.weights: dict[str, Numbers] = {}
        self.cache: list[Numbers] = []
        for tensor in tensors(model):
            self.weights[tensor.name] = self._random(tensor.name, tensor.shape)

    def reserve(self, context: int, batch: int) -> None:
        """Allocate the cache: keys and values of every layer, sequence, token and key/value head."""
        shape = (2, batch, context, self.model.kv_heads, self.model.head_dim)
        self.cache = [
            torch.zeros(shape, dtype=self.dtype, device=self.device) for _ in range(self.model.layers)
        ]
        positions = torch.arange(context, device=self.device, dtype=torch.float32)
        powers = torch.arange(0, self.model.head_dim, 2, device=self.device) / self.model.head_dim
        angles = torch.outer(positions, _THETA**-powers)
        self._cosine, self._sine = angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def prefill(self, ids: Numbers, sequence: int, start: int) -> Numbers:
        """Run a chunk of one sequence from position ``start``; the last layer's output (tokens, hidden)."""
        end = start + ids.shape[0]
        hidden = functional.embedding(ids, self.weights["embed_tokens"])
        mask = causal_lower_right(ids.shape[0], end)
        for layer, cache in enumerate(self.cache):
            query, key, value = self._project(layer, hidden, self._cosine[start:end], self._sine[start:end])
            cache[0, sequence, start:end], cache[1, sequence, start:end] = key, value
            past = cache[:, sequence : sequence + 1, :end].transpose(2, 3)
            del key, value
            heads = query.transpose(0, 1).unsqueeze(0)
            hidden = self._finish(layer, hidden, _attend(heads, past, mask)[0].transpose(0, 1))
        return self._norm("norm", hidden)

    def decode(self, ids: Numbers, position: int) -> Numbers:
        """One more token of the first ``len(ids)`` sequences; logits (sequences, vocabulary)."""
        batch = ids.shape[0]
        hidden = functional.embedding(ids, self.weights["embed_tokens"])
        cosine, sine = self._cosine[position : position + 1], self._sine[position : position + 1]
        for layer, cache in enumerate(self.cache):
            query, key, value = self._project(layer, hidden, cosine, sine)
            cache[0, :batch, position], cache[1, :batch, position] = key, value
            past = cache[:, :batch, : position + 1].transpose(2, 3)
            found = _attend(query.unsqueeze(2), past, None)
            hidden = self._finish(layer, hidden, found.squeeze(2))
        return self.logits(self._norm("norm", hidden))

    def logits(self, hidden: Numbers) -> Numbers:
        """Scores of every word for each row."""
        return functional.linear(hidden, self.weights["lm_head"])

    def _random(self, name: str, shape: tuple[int, ...]) -> Numbers:
        tensor = torch.empty(shape, dtype=self.dtype, device=self.device)
        return tensor.fill_(1) if name.endswith("norm") else tensor.normal_(0, _SPREAD)

    def _norm(self, name: str, hidden: Numbers) -> Numbers:
        return functional.rms_norm(hidden, (self.model.hidden,), self.weights[name], _EPSILON)

    def _linear(self, name: str, rows: Numbers) -> Numbers:
        return functional.linear(rows, self.weights[name], self.weights.get(f"{name}.bias"))

    def _project(
        self, layer: int, hidden: Numbers, cosine: Numbers, sine: Numbers
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Query, key and value of each row: (rows, heads, width of a head)."""
        rows = self._norm(f"layers.{layer}.input_layernorm", hidden)
        width = self.model.head_dim
        query, key, value = (
            self._linear(f"layers.{layer}.{part}", rows).unflatten(-1, (-1, width))
            for part in ("q_proj", "k_proj", "v_proj")
        )
        return _turned(query, cosine, sine), _turned(key, cosine, sine), value

    def _finish(self, layer: int, hidden: Numbers, found: Numbers) -> Numbers:
        """What attention found, and the feed-forward layer, added to ``hidden``."""
        name = f"layers.{layer}"
        hidden = hidden + self._linear(f"{name}.o_proj", found.flatten(-2))
        rows = self._norm(f"{name}.post_attention_layernorm", hidden)
        gate, up = self._linear(f"{name}.gate_proj", rows), self._linear(f"{name}.up_proj", rows)
        return hidden + self._linear(f"{name}.down_proj", functional.silu(gate).mul_(up))


def sample(logits: Numbers) -> Numbers:
    """One word for each row by chance, in float32, as vLLM's sampler draws it (noise instead of a sum)."""
    odds = torch.softmax(logits.float().div_(_TOP_P_TEMPERATURE), dim=-1)
    return odds.div_(torch.empty_like(odds).exponential_()).argmax(dim=-1)


def own_difference(decoder: Decoder, ids: Numbers) -> float:
    """How far scores of the last of ``ids`` are apart, relative to their size, when it comes in one chunk
    with all others, and when it is decoded after two chunks: rounding, unless the cache is wrongly used."""
    half, last = ids.shape[0] // 2, ids.shape[0] - 1
    at_once = decoder.logits(decoder.prefill(ids, 0, 0)[last:])
    for layer in decoder.cache:
        layer.zero_()
    decoder.prefill(ids[:half], 0, 0)
    decoder.prefill(ids[half:last], 0, half)
    apart = decoder.decode(ids[last:], last)
    return float((apart - at_once).float().norm() / at_once.float().norm())


@contextmanager
def attention_kernel(device: str) -> Iterator[None]:
    """On a GPU the flash kernel and no other: any other would keep a matrix of context x context."""
    if device.startswith("cuda"):
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            yield
    else:
        yield


def _attend(query: Numbers, past: Numbers, mask: Any) -> Numbers:
    """Grouped-query attention: query (sequences, heads, rows, width) over keys and values of the cache."""
    return functional.scaled_dot_product_attention(query, past[0], past[1], attn_mask=mask, enable_gqa=True)


def _turned(heads: Numbers, cosine: Numbers, sine: Numbers) -> Numbers:
    """Rotary positions: halves of a head turned by the angle of the row's position."""
    left, right = heads.chunk(2, dim=-1)
    cosine, sine = cosine.unsqueeze(1), sine.unsqueeze(1)
    return torch.cat((left * cosine - right * sine, right * cosine + left * sine), dim=-1)
