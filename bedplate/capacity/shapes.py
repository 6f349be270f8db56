"""Shapes of a dense decoder's weights (Llama, Qwen2), named as its checkpoint names them. Pure.

The sum over all tensors is the catalogue's ``parameters`` to the last one, which a test holds for every model
whose shapes are known: a wrong width, vocabulary or bias in the catalogue cannot stay unseen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from bedplate.capacity.models import Model


@dataclass(frozen=True)
class Tensor:
    """One weight: rows are outputs, columns inputs, as ``torch.nn.functional.linear`` takes them."""

    name: str
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def known(model: Model) -> bool:
    """Whether the shapes follow from the catalogue: dense layers with grouped-query attention."""
    return model.hidden > 0


def tensors(model: Model) -> Iterator[Tensor]:
    """Every weight, in the order of a forward pass. Raises ValueError where shapes are not known."""
    if not known(model):
        raise ValueError(f"the catalogue has no hidden and vocabulary for {model.id}")
    yield Tensor("embed_tokens", (model.vocabulary, model.hidden))
    for layer in range(model.layers):
        yield from _layer(model, f"layers.{layer}")
    yield Tensor("norm", (model.hidden,))
    yield Tensor("lm_head", (model.vocabulary, model.hidden))


def parameters(model: Model) -> int:
    """Their number, counted tensor by tensor."""
    return sum(tensor.parameters for tensor in tensors(model))


def _layer(model: Model, name: str) -> Iterator[Tensor]:
    hidden, wide = model.hidden, model.intermediate
    queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
    yield Tensor(f"{name}.input_layernorm", (hidden,))
    for part, width in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
        yield Tensor(f"{name}.{part}", (width, hidden))
        if model.attention_bias:
            yield Tensor(f"{name}.{part}.bias", (width,))
    yield Tensor(f"{name}.o_proj", (hidden, queries))
    yield Tensor(f"{name}.post_attention_layernorm", (hidden,))
    yield Tensor(f"{name}.gate_proj", (wide, hidden))
    yield Tensor(f"{name}.up_proj", (wide, hidden))
    yield Tensor(f"{name}.down_proj", (hidden, wide))
