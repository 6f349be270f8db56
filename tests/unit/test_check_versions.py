"""Sets of versions that are sound, and what is said of them."""

from tests.inventory_samples import on, outcome


def test_the_original_wish_can_still_be_chosen_and_is_warned_about():
    """Driver 525, CUDA 11.8 and 12.2, cuDNN 8.6: no error; its end of life and its reduced mode are said."""
    result = outcome(
        "production",
        on("all", "version_nvidia_driver", to="525.85.12"),
        on("all", "version_nvidia_fabric_manager", to="525.85.12"),
        on("all", "version_cuda", to=["12.2", "11.8"]),
        on("all", "version_cudnn", to={"11": "8.6.0", "12": "9.10.2"}),
        on("all", "version_nccl", to="2.21.5"),
    )
    assert result.errors == ()
    whys = [warning.why for warning in result.warnings if warning.key == "version_nvidia_driver"]
    assert any("driver branch 525 gets no fixes since" in why for why in whys)
    assert any("CUDA 12.2 came with driver 535.54.03" in why for why in whys)
