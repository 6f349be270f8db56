"""The arithmetic of models on GPUs, against figures worked out by hand and vLLM's own rules."""

import pytest

from bedplate.capacity.fit import (
    Layout,
    fit,
    kv_bytes_per_token,
    layout_problem,
    load_seconds,
    nearest_fit,
)
from bedplate.capacity.models import GIB, gpus, models
from tests.platform_samples import common

MODELS = models(common()["catalogue_models"])
GPUS = gpus(common()["catalogue_gpus"])
H100, L40S, A100 = GPUS["h100-sxm5-80gb"], GPUS["l40s"], GPUS["a100-sxm4-80gb"]


@pytest.mark.parametrize(
    ("model", "tensor", "pipeline", "per_token"),
    [
        ("deepseek-r1-distill-qwen-1.5b", 1, 1, 28 * 1024),
        ("deepseek-r1-distill-qwen-7b", 1, 1, 56 * 1024),
        ("deepseek-r1-distill-llama-8b", 1, 1, 128 * 1024),
        ("deepseek-r1-distill-qwen-14b", 1, 1, 192 * 1024),
        ("deepseek-r1-distill-qwen-32b", 1, 1, 256 * 1024),
        ("deepseek-r1-distill-llama-70b", 1, 1, 320 * 1024),
        ("deepseek-r1-distill-llama-70b", 8, 1, 40 * 1024),  # heads are divided over ranks ...
        ("deepseek-r1-distill-qwen-7b", 4, 1, 14 * 1024),
        ("deepseek-r1-distill-qwen-1.5b", 4, 1, 14 * 1024),  # ... as far as there are key/value heads
        ("deepseek-r1", 1, 1, 70272),
        ("deepseek-r1", 8, 1, 70272),  # latent attention is whole on every rank
        ("deepseek-r1", 8, 2, 35712),  # and divided over stages: 31 of 61 layers
    ],
)
def test_cache_per_token(model: str, tensor: int, pipeline: int, per_token: int) -> None:
    assert kv_bytes_per_token(MODELS[model], Layout(tensor, pipeline)) == per_token


def test_fp8_halves_the_cache() -> None:
    assert kv_bytes_per_token(MODELS["deepseek-r1"], Layout(1), "fp8") == 35136


def test_r1_on_two_hosts_of_h100_as_worked_by_hand() -> None:
    result = fit(MODELS["deepseek-r1"], H100, Layout(8, 2), 0.92)
    assert result.usable / GIB == pytest.approx(73.3, abs=0.1)
    assert result.weights / GIB == pytest.approx(39.2, abs=0.1)
    assert result.left / GIB == pytest.approx(24.6, abs=0.1)
    assert result.tokens == pytest.approx(740_000, rel=0.01)
    assert result.sequences(32768) == pytest.approx(22.6, abs=0.1)


def test_r1_does_not_fit_one_host_of_h100_and_says_by_how_much() -> None:
    result = fit(MODELS["deepseek-r1"], H100, Layout(8), 0.92)
    assert result.left < 0
    assert result.missing(32768) / GIB == pytest.approx(17.6, abs=0.5)


@pytest.mark.parametrize(
    ("model", "gpu", "per_host", "hosts", "layout"),
    [
        ("deepseek-r1-distill-qwen-1.5b", L40S, 4, 1, Layout(1)),
        ("deepseek-r1-distill-qwen-14b", L40S, 4, 1, Layout(1)),
        ("deepseek-r1-distill-qwen-32b", L40S, 4, 1, Layout(2)),
        ("deepseek-r1-distill-qwen-32b", H100, 8, 1, Layout(1)),  # by 0.2 GiB
        ("deepseek-r1-distill-llama-70b", L40S, 4, 1, Layout(4)),
        ("deepseek-r1-distill-llama-70b", H100, 8, 1, Layout(4)),
        ("deepseek-r1", GPUS["h200-sxm5-141gb"], 8, 1, Layout(8)),
        ("deepseek-r1", H100, 8, 1, None),
        ("deepseek-r1", H100, 8, 2, Layout(8, 2)),
        ("deepseek-r1", L40S, 4, 2, None),
    ],
)
def test_nearest_layout(model: str, gpu: object, per_host: int, hosts: int, layout: Layout | None) -> None:
    found = nearest_fit(MODELS[model], gpu, 32768, 0.92, gpus_per_host=per_host, hosts=hosts)  # type: ignore[arg-type]
    assert found == layout


@pytest.mark.parametrize(
    ("model", "good", "bad"),
    [
        ("deepseek-r1-distill-qwen-1.5b", (1, 2, 4), (3, 5, 6, 7, 8)),
        ("deepseek-r1-distill-qwen-7b", (1, 2, 4), (3, 5, 6, 7, 8)),
        ("deepseek-r1-distill-llama-8b", (1, 2, 4, 8), (3, 5, 6, 7)),
        ("deepseek-r1-distill-qwen-14b", (1, 2, 4, 8), (3, 5, 6, 7)),
        ("deepseek-r1-distill-llama-70b", (1, 2, 4, 8), (3, 5, 6, 7)),
        ("deepseek-r1", (1, 2, 4, 8), (3, 5, 6, 7)),
    ],
)
def test_tensor_sizes_that_divide_heads(model: str, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    assert [t for t in range(1, 9) if not layout_problem(MODELS[model], Layout(t), 8)] == list(good)
    assert all("attention heads" in layout_problem(MODELS[model], Layout(t), 8) for t in bad)


def test_tensor_parallelism_stays_inside_a_host() -> None:
    assert "does not leave a host" in layout_problem(MODELS["deepseek-r1"], Layout(8), 4)


def test_parameters_and_weights_agree() -> None:
    for model in MODELS.values():
        bytes_per_parameter = model.weight_bytes / model.parameters
        assert bytes_per_parameter == pytest.approx(2 if model.dtype == "bfloat16" else 1, rel=0.01), model.id


def test_loading_the_671b_model_takes_many_times_that_of_a_small_one() -> None:
    rate = common()["catalogue_load_bytes_per_second"]
    assert load_seconds(MODELS["deepseek-r1"], rate) == 344 + 900
    assert load_seconds(MODELS["deepseek-r1-distill-qwen-7b"], rate) == 8 + 60


def test_every_revision_is_a_commit() -> None:
    assert all(len(m.revision) == 40 and int(m.revision, 16) for m in MODELS.values())
    assert A100.compute < MODELS["deepseek-r1"].min_compute <= L40S.compute
