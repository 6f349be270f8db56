"""The policy of GPUs against the recording of a real H100, and a stand-in that remembers what was set."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from gpu_policy import observe, wish
from gpu_policy.converge import Memory, NotKept, Refused, converge
from gpu_policy.model import Clocks, Gpu, Policy, Power, Range, Switch
from gpu_policy.plan import plan

from tests.gpu_samples import LAYOUTS, RECORDED, SEVENTHS, done, run, stand_in

LISTED = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)\n"
CUT = (
    LISTED
    + "  MIG 3g.40gb     Device  0: (UUID: MIG-a)\n"
    + "  MIG 1g.10gb     Device  1: (UUID: MIG-b)\n"
    + "  MIG 1g.10gb     Device  2: (UUID: MIG-c)\n"
    + "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2)\n"
)
H100 = observe.gpus(RECORDED, LISTED)[0]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_policy.converge._SETTLE", 0)


class TestObserve:
    """The XML of a real H100, driver 580."""

    def test_every_field(self) -> None:
        assert (H100.index, H100.bus, H100.name) == (0, "00000000:00:06.0", "NVIDIA H100 80GB HBM3")
        assert (H100.persistence, H100.compute_mode) == (True, "default")
        assert H100.power == Power(700, 700, 200, 700)
        assert H100.applications == H100.default_applications == Clocks(2619, 1980)
        assert H100.ecc == Switch(True, True)
        assert H100.mig == Switch(False, False)
        assert (H100.layout, H100.processes) == ((), ())
        assert {Clocks(2619, 1980), Clocks(2619, 345)} <= set(H100.supported)
        assert (H100.graphics_clock, H100.memory_clock) == (1980, 2619)

    def test_mig_instances_by_gpu(self) -> None:
        assert observe.layouts(CUT) == {0: ("1g.10gb", "1g.10gb", "3g.40gb"), 1: ()}

    @pytest.mark.parametrize(
        ("was", "becomes", "field", "value"),
        [
            ("<current_mig>Disabled", "<current_mig>N/A", "mig", None),
            ("<pending_ecc>Enabled", "<pending_ecc>Disabled", "ecc", Switch(True, False)),
            ("<compute_mode>Default", "<compute_mode>Exclusive_Process", "compute_mode", "exclusive_process"),
            ("<min_power_limit>200.00 W", "<min_power_limit>N/A", "power", None),
            (
                "<processes>",
                "<processes><process_info><pid>7</pid><process_name>vllm</process_name></process_info>",
                "processes",
                ("7 vllm",),
            ),
        ],
    )
    def test_one_thing_changed(self, was: str, becomes: str, field: str, value: Any) -> None:
        assert was in RECORDED
        assert getattr(observe.gpus(RECORDED.replace(was, becomes, 1), LISTED)[0], field) == value

    def test_deprecated_application_clocks_are_none(self) -> None:
        start, end = "<applications_clocks>", "</applications_clocks>"
        text = RECORDED[: RECORDED.index(start)] + start + "N/A" + RECORDED[RECORDED.index(end) :]
        assert observe.gpus(text, LISTED)[0].applications is None


class TestWish:
    """The role's variables as one policy per GPU."""

    def test_defaults_are_the_board_s(self) -> None:
        assert wish.policies({}, 2) == ({0: Policy(), 1: Policy()}, [])

    def test_a_later_override_wins_in_what_it_names(self) -> None:
        overrides = [{"gpus": [0, 1], "power_limit": 500, "mig": "none"}, {"gpus": [1], "mig": "sevenths"}]
        found, problems = wish.policies({"power_limit": 600, "overrides": overrides, "layouts": LAYOUTS}, 3)
        assert problems == []
        assert [found[index].power_limit for index in range(3)] == [500, 500, 600]
        assert [found[index].mig for index in range(3)] == [(), SEVENTHS, None]

    @pytest.mark.parametrize(
        ("said", "problem"),
        [
            ({"mig": "eighths"}, "there is no MIG layout eighths: use one of leave, none, mixed, sevenths"),
            ({"overrides": [{"gpus": [2]}]}, "overrides name GPU 2, and the host has GPUs 0 to 1"),
        ],
    )
    def test_what_cannot_be_meant(self, said: dict[str, Any], problem: str) -> None:
        assert wish.policies({"layouts": LAYOUTS, **said}, 2)[1] == [problem]


class TestRefusals:
    """Before anything is changed, with what the GPU takes instead."""

    @pytest.mark.parametrize(
        ("gpu", "policy", "words"),
        [
            (H100, Policy(power_limit=800), "takes no power limit of 800 W: set .* to 200 to 700 W, or to 0"),
            (H100, Policy(power_limit=199), "takes no power limit of 199 W"),
            (replace(H100, power=None), Policy(power_limit=300), "no power limit that can be set"),
            (
                replace(H100, ecc=None),
                Policy(),
                "has no ECC that can be switched: set gpu_policy_ecc to false",
            ),
            (replace(H100, mig=None), Policy(mig=SEVENTHS), r"\(NVIDIA H100 .*\) cannot be cut"),
            (
                H100,
                Policy(application_clocks=Clocks(2619, 1751)),
                "clocks of 2619 MHz memory, 1751 MHz graphics: the nearest are .* 1755 MHz graphics",
            ),
            (
                replace(H100, applications=None, supported=()),
                Policy(application_clocks=Clocks(2619, 1980)),
                "no application clocks with this driver: use gpu_policy_locked_clocks",
            ),
            (
                H100,
                Policy(locked_graphics=Range(345, 2000)),
                "graphics clock to 345-2000 MHz: .* within 345-1980",
            ),
            (H100, Policy(locked_memory=Range(100, 2619)), "cannot lock its memory clock to 100-2619 MHz"),
        ],
    )
    def test_each_names_the_gpu_and_what_it_takes(self, gpu: Gpu, policy: Policy, words: str) -> None:
        found = plan({0: policy}, [gpu], {}, consent=True)
        assert found.actions == ()
        assert len(found.refusals) == 1
        assert found.refusals[0].startswith("GPU 0 (00000000:00:06.0) ")
        assert re.search(words, found.refusals[0]), found.refusals[0]

    def test_one_refusal_stops_every_gpu(self) -> None:
        smi = stand_in(4)
        before = copy.deepcopy(smi.state)
        with pytest.raises(Refused, match=r"GPU 2 .* takes no power limit of 900 W"):
            run(smi, {"power_limit": 400, "overrides": [{"gpus": [2], "power_limit": 900}]})
        assert (smi.state, smi.calls) == (before, [])

    @pytest.mark.parametrize("said", [{"ecc": False}, {"mig": "sevenths"}])
    def test_a_gpu_in_use_is_not_reset(self, said: dict[str, Any]) -> None:
        smi = stand_in(processes=["vllm", "python3", "a", "b"])
        with pytest.raises(
            Refused, match=r"in use by 4000 vllm, 4001 python3, 4002 a and more, and .* would end"
        ):
            run(smi, said, consent=True)
        assert smi.calls == []


class TestConverge:
    """Every setting is made, read back, and not made again."""

    @pytest.mark.parametrize(
        ("said", "actions", "field", "value"),
        [
            ({}, [], "power", None),
            ({"persistence": False}, ["persistence on -> off"], "persistence", False),
            ({"power_limit": 500}, ["power limit 700 W -> 500 W"], "power", 500),
            ({"compute_mode": "prohibited"}, ["compute mode default -> prohibited"], "compute", "Prohibited"),
            (
                {"application_clocks": {"memory": 2619, "graphics": 1755}},
                [
                    "application clocks 2619 MHz memory, 1980 MHz graphics"
                    " -> 2619 MHz memory, 1755 MHz graphics"
                ],
                "clocks",
                [2619, 1755],
            ),
            (
                {"locked_clocks": {"graphics": [345, 1500]}},
                ["graphics clock lock free -> 345-1500 MHz"],
                "gc",
                [345, 1500],
            ),
        ],
    )
    def test_one_setting(self, said: dict[str, Any], actions: list[str], field: str, value: Any) -> None:
        smi, memory = stand_in(persistence=True), Memory(None)
        assert done(smi, said, memory=memory) == actions
        assert smi.state[0][field] == value
        calls = len(smi.calls)
        assert done(smi, said, memory=memory) == []
        assert len(smi.calls) == calls

    def test_what_is_no_longer_wanted_goes_back_to_the_board_s_own(self) -> None:
        smi, memory = stand_in(persistence=True), Memory(None)
        said = {"power_limit": 500, "locked_clocks": {"graphics": [345, 1500], "memory": [1593, 2619]}}
        done(smi, said | {"application_clocks": {"memory": 2619, "graphics": 1755}}, memory=memory)
        assert len(done(smi, {}, memory=memory)) == 4
        assert (smi.state[0]["power"], smi.state[0]["gc"], smi.state[0]["mc"]) == (700, None, None)
        assert smi.state[0]["clocks"] is None

    def test_persistence_comes_first_of_what_the_driver_forgets(self) -> None:
        smi = stand_in()
        assert done(smi, {"power_limit": 500}) == ["persistence off -> on", "power limit 700 W -> 500 W"]

    def test_check_says_and_does_nothing(self) -> None:
        smi = stand_in()
        found = converge({"power_limit": 500}, smi, Memory(None), consent=False, check=True)
        assert [action.setting for action in found.done] == ["persistence", "power limit"]
        assert smi.calls == []

    @pytest.mark.parametrize(
        ("option", "said"),
        [
            ("pl", {"power_limit": 500}),
            ("pm", {}),
            ("c", {"compute_mode": "prohibited"}),
            ("lgc", {"locked_clocks": {"graphics": [345, 1500]}}),
            ("mig", {"mig": "sevenths"}),
            ("gpu-reset", {"ecc": False}),
        ],
    )
    def test_what_does_not_read_back_is_a_failure(self, option: str, said: dict[str, Any]) -> None:
        with pytest.raises(NotKept, match="it was set and does not read back"):
            run(stand_in(deaf=[option]), said, consent=True)

    def test_a_lost_lock_shows_in_the_clock_and_is_set_again(self) -> None:
        smi, memory = stand_in(persistence=True), Memory(None)
        said = {"locked_clocks": {"graphics": [345, 1500]}}
        done(smi, said, memory=memory)
        smi.state[0]["gc"] = None  # the driver was loaded anew and nobody said so
        assert done(smi, said, memory=memory) == ["graphics clock lock free -> 345-1500 MHz"]


class TestDisruptive:
    """ECC and MIG: said, not done, unless wanted now; never under somebody's feet."""

    def test_without_consent_it_waits_and_the_rest_is_done(self) -> None:
        smi = stand_in()
        found = run(smi, {"ecc": False, "mig": "sevenths", "power_limit": 500})
        assert [action.setting for action in found.done] == ["persistence", "power limit"]
        assert [text.partition(": ")[2].partition(";")[0] for text in found.waiting] == [
            "ECC on -> off",
            "MIG mode off -> on",
            "MIG instances none -> 7 x 1g.10gb",
        ]
        assert (smi.state[0]["ecc"], smi.state[0]["mig"]) == ([True, True], [False, False])

    def test_ecc_with_consent_is_reset_and_what_the_reset_forgets_is_set_after_it(self) -> None:
        smi = stand_in(2)
        found = done(smi, {"ecc": False, "power_limit": 500}, consent=True)
        settings = [text.split(" on ")[0].split(" off ")[0].split(" 700")[0] for text in found]
        assert settings[:4] == [
            "ECC",
            "ECC",
            "reset ECC pending -> in effect",
            "reset ECC pending -> in effect",
        ]
        assert settings[4:] == ["persistence", "persistence", "power limit", "power limit"]
        assert [gpu["ecc"] for gpu in smi.state] == [[False, False]] * 2
        assert [gpu["power"] for gpu in smi.state] == [500, 500]
        assert done(smi, {"ecc": False, "power_limit": 500}, consent=True) == []

    @pytest.mark.parametrize("reset_for_mig", [False, True], ids=["hopper", "ampere"])
    def test_mig_is_cut_as_the_layout_says_and_made_whole_again(self, reset_for_mig: bool) -> None:
        smi = stand_in(reset_for_mig=reset_for_mig)
        found = done(smi, {"mig": "mixed"}, consent=True)
        assert ("reset MIG mode pending -> in effect" in found) is reset_for_mig
        assert sorted(smi.state[0]["instances"]) == ["1g.10gb", "1g.10gb", "3g.40gb"]
        assert done(smi, {"mig": "mixed"}, consent=True) == []
        assert done(smi, {"mig": "sevenths"}, consent=True) == [
            "MIG instances 2 x 1g.10gb, 1 x 3g.40gb -> 7 x 1g.10gb"
        ]
        done(smi, {"mig": "none"}, consent=True)
        assert (smi.state[0]["mig"], smi.state[0]["instances"]) == ([False, False], [])

    def test_instances_that_are_there_wait_for_consent_and_missing_ones_do_not(self) -> None:
        smi = stand_in(mig=[True, True], instances=["3g.40gb"])
        assert [
            text for text in run(smi, {"mig": "sevenths"}).waiting if "1 x 3g.40gb -> 7 x 1g.10gb" in text
        ]
        assert smi.state[0]["instances"] == ["3g.40gb"]
        smi.state[0]["instances"] = []
        assert "MIG instances none -> 7 x 1g.10gb" in done(smi, {"mig": "sevenths"})

    def test_leave_leaves_mig_to_others(self) -> None:
        smi = stand_in(persistence=True, mig=[True, True], instances=["3g.40gb"])
        found = run(smi, {"mig": "leave"}, consent=True)
        assert (found.done, found.waiting) == ((), ())

    def test_half_done_by_somebody_else_is_finished(self) -> None:
        """ECC was set by hand and nobody reset the GPU."""
        smi = stand_in(persistence=True, ecc=[True, False])
        assert done(smi, {"ecc": False}, consent=True)[0] == "reset ECC pending -> in effect"
        assert done(stand_in(persistence=True, ecc=[True, False]), {"ecc": True}) == []
