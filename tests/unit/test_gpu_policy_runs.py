"""The policy of GPUs as programs carry it out: in any state, at boot, and as a module."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree as Xml

import pytest
from gpu_policy import __main__ as program
from gpu_policy import wish
from gpu_policy.converge import Memory, NoDriver, NotKept, Refused, look, nvidia_smi
from gpu_policy.model import Gpu, Policy, Switch
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.ansible_module import Module
from tests.fakes.nvidia_smi import FRESH, StandIn
from tests.gpu_samples import LAYOUTS, RECORDED, SEVENTHS, done, run, stand_in


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_policy.converge._SETTLE", 0)


def shortened() -> str:
    """The recording with the parts that are read, and of the supported clocks those that are said below."""
    root = Xml.fromstring(RECORDED)
    gpu = root.find("gpu")
    assert gpu is not None
    for part in list(gpu):
        if part.tag not in READ.split():
            gpu.remove(part)
    for block in gpu.iterfind("supported_clocks/supported_mem_clock"):
        for clock in block.findall("supported_graphics_clock"):
            if (clock.text or "").split()[0] not in ("345", "1755", "1980"):
                block.remove(clock)
    return Xml.tostring(root, encoding="unicode")


READ = "product_name persistence_mode mig_mode compute_mode ecc_mode gpu_power_readings clocks processes"
READ += " applications_clocks default_applications_clocks supported_clocks"
SHORT = shortened()


def clocks() -> some.SearchStrategy[dict[str, Any]]:
    pair = some.lists(some.sampled_from([345, 900, 1500, 1980]), min_size=2, max_size=2)
    return some.one_of(some.just({}), some.fixed_dictionaries({"graphics": pair}))


SAID = some.fixed_dictionaries(
    {
        "persistence": some.booleans(),
        "power_limit": some.sampled_from([0, 150, 200, 450, 700, 701]),
        "compute_mode": some.sampled_from(["default", "exclusive_process", "prohibited"]),
        "ecc": some.booleans(),
        "mig": some.sampled_from(["leave", "none", "sevenths", "mixed"]),
        "locked_clocks": clocks(),
        "application_clocks": some.sampled_from([{}, {"memory": 2619, "graphics": 1755}]),
    }
)
MIG = some.sampled_from(
    [([False, False], []), ([True, True], []), ([True, True], ["3g.40gb"]), ([True, True], list(SEVENTHS))]
)
STATE = some.builds(
    lambda mig, **fields: {**copy.deepcopy(FRESH), **fields, "mig": list(mig[0]), "instances": list(mig[1])},
    mig=MIG,
    persistence=some.booleans(),
    power=some.sampled_from([None, 200.0, 555.0]),
    compute=some.sampled_from(["Default", "Prohibited"]),
    ecc=some.sampled_from([[True, True], [True, False], [False, False], [False, True]]),
    processes=some.sampled_from([[], [], ["vllm"]]),
)
DISRUPTIVE = {"-e", "-mig", "--gpu-reset", "-dci", "-dgi"}


class TestAnyState:
    """Whatever is there and whatever is said."""

    @settings(max_examples=100, deadline=None)
    @given(
        said=SAID,
        state=some.lists(STATE, min_size=1, max_size=2),
        consent=some.booleans(),
        ampere=some.booleans(),
    )
    def test_it_ends_where_nothing_is_left_to_do(
        self, said: dict[str, Any], state: list[dict[str, Any]], consent: bool, ampere: bool
    ) -> None:
        smi, memory = StandIn(SHORT, copy.deepcopy(state), reset_for_mig=ampere), Memory(None)
        try:
            run(smi, said, consent=consent, memory=memory)
        except Refused:
            assert smi.calls == []  # refused means untouched
            return
        for call in smi.calls:
            index = int(call[call.index("-i") + 1].split(":")[1], 16)
            assert not (DISRUPTIVE & set(call) and (state[index]["processes"] or not consent)), call
        calls = len(smi.calls)
        again = run(smi, said, consent=consent, memory=memory)
        assert (again.done, len(smi.calls)) == ((), calls)
        if consent:
            assert again.waiting == ()
            self.holds(look(smi), wish.policies({"layouts": LAYOUTS, **said}, len(state))[0])

    @staticmethod
    def holds(gpus: tuple[Gpu, ...], policies: dict[int, Policy]) -> None:
        """Each field is what was said, read independently of the planner."""
        for gpu in gpus:
            policy = policies[gpu.index]
            assert gpu.power and gpu.ecc and gpu.mig
            assert gpu.power.limit == (policy.power_limit or 700)
            assert gpu.persistence == policy.persistence
            assert gpu.compute_mode == policy.compute_mode
            assert gpu.ecc == Switch(policy.ecc, policy.ecc)
            if policy.mig is not None:
                assert gpu.mig == Switch(bool(policy.mig), bool(policy.mig))
                assert gpu.layout == tuple(sorted(policy.mig))


class TestMemory:
    """Locks are remembered in a file that a boot clears."""

    def test_across_runs(self, tmp_path: Path) -> None:
        file, smi = str(tmp_path / "run" / "locks.json"), stand_in(persistence=True)
        said = {"locked_clocks": {"graphics": [345, 1500]}}
        assert len(done(smi, said, memory=Memory.at(file))) == 1
        assert done(smi, said, memory=Memory.at(file)) == []
        assert len(done(smi, said, memory=Memory.at(file, forget=True))) == 1
        assert done(smi, {}, memory=Memory.at(file)) == ["graphics clock lock 345-1500 MHz -> free"]
        assert Memory.at(file).locks == {"00000000:00:06.0": {}}


class TestBoot:
    """The host's own program, which the unit runs at boot and when the driver is loaded."""

    SAID: ClassVar[dict[str, Any]] = {
        "power_limit": 500,
        "ecc": False,
        "mig": "mixed",
        "locked_clocks": {"graphics": [345, 1500]},
        "layouts": LAYOUTS,
    }

    @pytest.fixture()
    def boot(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., tuple[int, dict[str, Any]]]:
        """Runs it on a stand-in; exit code and answer."""

        def run(smi: StandIn, said: dict[str, Any], *options: str) -> tuple[int, dict[str, Any]]:
            file, state = tmp_path / "gpu_policy.json", tmp_path / "locks.json"
            file.write_text(json.dumps(said))
            monkeypatch.setattr(program, "nvidia_smi", lambda: smi)
            monkeypatch.setattr(sys, "argv", ["gpu_policy", *options, f"--state={state}", str(file)])
            return program.main(), json.loads(capsys.readouterr().out)

        return run

    def test_a_boot_brings_everything_back_even_what_needs_a_reset(self, boot: Any) -> None:
        smi = stand_in()
        assert boot(smi, self.SAID, "--forget")[0] == 0
        held = copy.deepcopy(smi.state)
        smi(("--stand-in-boot",))
        assert smi.state != held
        code, answer = boot(smi, self.SAID, "--forget")
        assert (code, answer["waiting"], smi.state) == (0, [], held)

    def test_a_second_start_does_no_more_than_lock_again(self, boot: Any) -> None:
        smi = stand_in()
        boot(smi, self.SAID, "--forget")
        lock = "GPU 0 (00000000:00:06.0): graphics clock lock free -> 345-1500 MHz"
        assert boot(smi, self.SAID, "--forget")[1]["done"] == [lock]
        assert boot(smi, self.SAID)[1]["done"] == []

    def test_under_a_process_the_rest_is_set_and_the_reset_waits(self, boot: Any) -> None:
        smi = stand_in(processes=["vllm"])
        code, answer = boot(smi, self.SAID, "--forget")
        assert (code, len(answer["waiting"])) == (0, 3)
        assert (smi.state[0]["power"], smi.state[0]["ecc"]) == (500, [True, True])

    def test_check_sets_nothing(self, boot: Any) -> None:
        smi = stand_in()
        code, answer = boot(smi, self.SAID, "--check")
        assert (code, smi.calls) == (0, [])
        assert "GPU 0 (00000000:00:06.0): power limit 700 W -> 500 W" in answer["would_do"]

    @pytest.mark.parametrize(
        ("smi", "said", "code", "words"),
        [
            (stand_in(), {"power_limit": 5}, 2, "takes no power limit of 5 W"),
            (stand_in(deaf=["pl"]), {"power_limit": 500}, 3, "does not read back"),
        ],
    )
    def test_exit_codes_tell_a_refusal_from_a_failure(
        self, boot: Any, smi: StandIn, said: dict[str, Any], code: int, words: str
    ) -> None:
        """The unit tries a failure again, a refusal not."""
        found, answer = boot(smi, said)
        assert found == code
        assert words in json.dumps(answer)


class TestProgram:
    """nvidia-smi as a program, and the module on top of it."""

    @pytest.fixture()
    def host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The stand-in first in PATH, as nvidia-smi."""
        fake = Path(__file__).parents[1] / "fakes" / "nvidia_smi.py"
        (tmp_path / "nvidia-smi").write_text(f'#!/bin/sh\nexec {sys.executable} -SE {fake} "$@"\n')
        (tmp_path / "nvidia-smi").chmod(0o755)
        (tmp_path / "recorded.xml").write_text(RECORDED)
        (tmp_path / "state.json").write_text(json.dumps([FRESH | {"persistence": True}]))
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        monkeypatch.setenv("NVIDIA_SMI_STAND_IN", str(tmp_path))
        return tmp_path

    def test_module_sets_reads_back_and_is_done(self, host: Path) -> None:
        module, said = Module("gpu_policy"), {"power_limit": 500, "state": str(host / "locks.json")}
        shown = module(said, check=True)
        assert module(said)["actions"] == shown["actions"]
        assert shown["changed"] is True
        assert "GPU 0 power limit: 500 W" in shown["diff"]["after"]
        again = module(said)
        assert (again["changed"], again["gpus"]) == (False, 1)

    def test_module_refuses_with_the_range(self, host: Path) -> None:
        answer = Module("gpu_policy")({"power_limit": 750, "state": str(host / "locks.json")})
        assert answer["failed"] is True
        assert "takes no power limit of 750 W: set gpu_policy_power_limit to 200 to 700 W" in answer["msg"]
        assert "500" not in (host / "state.json").read_text()

    def test_what_nvidia_smi_says_reaches_the_reader(self, host: Path) -> None:
        with pytest.raises(NotKept, match=r"power limit 9000\.00 W is not a valid power limit"):
            nvidia_smi()(("-i", "00000000:00:06.0", "-pl", "9000"))

    def test_no_driver(self, tmp_path: Path) -> None:
        with pytest.raises(NoDriver, match="is not installed"):
            nvidia_smi(str(tmp_path / "nvidia-smi"))(("-L",))

    def test_module_on_a_host_without_gpus(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        answer = Module("gpu_policy")({"state": str(tmp_path / "locks.json")})
        assert (answer["failed"], answer["changed"]) == (False, False)
        assert answer["msg"] == "this host has no NVIDIA GPU"
