"""The arithmetic's proof on a GPU, as far as it needs none: true shapes, the prediction, the verdict."""

from dataclasses import replace
from typing import Any

import pytest

from bedplate import evidence, paths
from bedplate.capacity.models import GIB, Model, gpus
from bedplate.capacity.shapes import known, parameters, tensors
from bedplate.capacity_proof import catalogue, verdict
from bedplate.capacity_proof.prediction import DoesNotFit, Prediction, predict
from tests.platform_samples import common

MODELS = catalogue.models()
DISTILLS = {id: model for id, model in MODELS.items() if "distill" in id}
GPUS = gpus(common()["catalogue_gpus"])
H100, H200 = GPUS["h100-sxm5-80gb"], GPUS["h200-sxm5-141gb"]
QWEN, LLAMA = MODELS["deepseek-r1-distill-qwen-7b"], MODELS["deepseek-r1-distill-llama-8b"]


class TestShapes:
    """Every tensor of a model, from the catalogue."""

    @pytest.mark.parametrize("model", DISTILLS.values(), ids=DISTILLS)
    def test_their_sum_is_the_catalogue_s_number_exactly(self, model: Model) -> None:
        assert parameters(model) == model.parameters
        assert 2 * parameters(model) == model.weight_bytes  # BF16

    @pytest.mark.parametrize("field", ["hidden", "vocabulary", "intermediate", "layers", "heads", "kv_heads"])
    def test_no_wrong_shape_has_the_same_sum(self, field: str) -> None:
        wrong = replace(QWEN, **{field: getattr(QWEN, field) + 1})
        assert parameters(wrong) != QWEN.parameters

    def test_a_small_one_by_hand(self) -> None:
        tiny = replace(
            QWEN, layers=1, heads=4, kv_heads=2, head_dim=8, hidden=16, intermediate=24, vocabulary=10
        )
        shapes = {tensor.name.removeprefix("layers.0."): tensor.shape for tensor in tensors(tiny)}
        assert shapes == {
            "embed_tokens": (10, 16),
            "input_layernorm": (16,),
            "q_proj": (32, 16),
            "q_proj.bias": (32,),
            "k_proj": (16, 16),
            "k_proj.bias": (16,),
            "v_proj": (16, 16),
            "v_proj.bias": (16,),
            "o_proj": (16, 32),
            "post_attention_layernorm": (16,),
            "gate_proj": (24, 16),
            "up_proj": (24, 16),
            "down_proj": (16, 24),
            "norm": (16,),
            "lm_head": (10, 16),
        }

    def test_only_qwen2_has_a_bias(self) -> None:
        assert {id for id, model in DISTILLS.items() if model.attention_bias} == {
            id for id in DISTILLS if "qwen" in id
        }
        assert not [tensor.name for tensor in tensors(LLAMA) if tensor.name.endswith("bias")]

    def test_of_latent_attention_they_are_not_known(self) -> None:
        assert not known(MODELS["deepseek-r1"])
        with pytest.raises(ValueError, match="no hidden and vocabulary for deepseek-r1"):
            list(tensors(MODELS["deepseek-r1"]))


class TestPrediction:
    """Before anything is allocated, and from the catalogue alone."""

    def test_one_sequence_by_hand(self) -> None:
        found = predict(LLAMA, H100, 32768, batch=1)
        assert found.weights == 16060522496
        assert found.cache == 32768 * 131072  # 128 KiB a token
        assert found.total == found.weights + found.cache + LLAMA.overhead_gib * GIB

    @pytest.mark.parametrize(("gpu", "batch"), [(H100, 13), (H200, 27)])
    def test_as_many_as_fit_and_not_one_more(self, gpu: Any, batch: int) -> None:
        assert predict(LLAMA, gpu, 32768).batch == batch
        assert predict(LLAMA, gpu, 32768).total < gpu.memory_mib * 2**20 * 0.92
        with pytest.raises(DoesNotFit, match=r"lack \d\.\d GiB on h"):
            predict(LLAMA, gpu, 32768, batch=batch + 1)

    def test_a_model_that_is_too_big_is_refused(self) -> None:
        with pytest.raises(DoesNotFit, match=r"1 x 32768 tokens lack 7\d\.\d GiB"):
            predict(MODELS["deepseek-r1-distill-llama-70b"], H100, 32768)

    @pytest.mark.parametrize(
        ("name", "id"), [("NVIDIA H100 80GB HBM3", H100.id), ("NVIDIA H200", H200.id), ("Voodoo 2", None)]
    )
    def test_gpu_is_known_by_the_driver_s_name(self, name: str, id: str | None) -> None:
        found = catalogue.gpu_of(name)
        assert (found and found.id) == id


PREDICTED = Prediction("m", "g", 1024, 4, weights=10 * GIB, cache=6 * GIB, overhead=2 * GIB)


def measurement(used: float = 17.5, **other: Any) -> dict[str, Any]:
    """A run that used so many GiB beside a CUDA context of half a GiB, most of it during the prefill."""
    most = int((used + 0.5) * GIB)
    steps = [
        {"name": "prefill", "used": most, "peak": 17 * GIB, "reserved": 17 * GIB, "seconds": 2.0},
        {"name": "decode", "used": most - GIB, "peak": 17 * GIB, "reserved": 16 * GIB, "seconds": 1.0},
    ]
    run = {"weights": 10 * GIB, "cache": 6 * GIB, "context": GIB // 2, "steps": steps, "process": None}
    return run | {"finite": True, "difference": 0.004} | other


class TestVerdict:
    """A prediction beside its measurement."""

    def test_counts_the_most_that_was_used_without_the_cuda_context(self) -> None:
        row = verdict.row(PREDICTED, measurement())
        assert (row.predicted_gib, row.nvml_gib, row.overhead_measured_gib) == (18, 17.5, 1.5)
        assert (row.peak_gib, row.cuda_context_gib, row.seconds) == (1, 0.5, 3)
        assert row.off_percent == pytest.approx(2.857, abs=0.001)

    @pytest.mark.parametrize(
        ("measured", "sound"),
        [
            (measurement(used=17.5), True),  # 2.9 % too much were predicted
            (measurement(used=18.9), True),  # 4.8 % too little
            (measurement(used=17), False),  # 5.9 % too much
            (measurement(used=19), False),  # 5.3 % too little
            (measurement(cache=5 * GIB), False),  # a cache of another size than predicted
            (measurement(finite=False), False),  # no numbers came out
            (measurement(difference=0.5), False),  # attention did not read the cache
        ],
    )
    def test_what_is_sound(self, measured: dict[str, Any], sound: bool) -> None:
        assert verdict.row(PREDICTED, measured).sound is sound

    def test_table_says_prediction_and_measurement(self) -> None:
        head, line = verdict.table([verdict.row(PREDICTED, measurement())]).splitlines()
        assert len(head) == len(line)
        assert "18.00  17.50" in line
        assert "+2.9 %" in line

    def test_evidence_is_judged_by_the_goal(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paths, "ROOT", tmp_path)
        off = measurement(used=16.5)
        for predicted, run in ((PREDICTED, measurement()), (replace(PREDICTED, batch=1), off)):
            verdict.record("lab", verdict.row(predicted, run), "run", {"accelerator": "NVIDIA H100"})
        found = {entry.id: entry for entry in evidence.read("lab")}
        good, bad = "planning.capacity.g.m.4x1024", "planning.capacity.g.m.1x1024"
        assert {id: entry.verdict for id, entry in found.items()} == {
            good: "pass",
            f"{good}.overhead": "pass",
            bad: "fail",
            f"{bad}.overhead": "pass",
        }
        assert (found[good].value, found[good].goal, found[good].proved_on) == (2.86, "<= 5", "gpu")
        assert found[f"{good}.overhead"].goal == "<= 2"
        assert found[good].machine["accelerator"] == "NVIDIA H100"
