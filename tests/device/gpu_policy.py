"""Role gpu_policy's planner against the GPUs of this machine, in check mode: nothing is set.

    python3 tests/device/gpu_policy.py [--record ENV]

Needs a driver, and of packages only PyYAML. Asks a real nvidia-smi what the molecule scenarios ask a
stand-in: what the board has already is nothing to do; a limit or clock that it does not take is refused with
what it takes; ECC and MIG are planned with consent and wait without. Power ranges are held against
catalogue_gpus. Exit code 1 when an answer is not the expected one.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins" / "module_utils")]

from gpu_policy.converge import Memory, Outcome, Refused, Run, converge, look, nvidia_smi  # noqa: E402
from gpu_policy.model import Gpu  # noqa: E402

from bedplate import evidence  # noqa: E402
from bedplate.capacity_proof import catalogue  # noqa: E402

LAYOUTS = catalogue.read("mig")["catalogue_mig"]
CATALOGUE = catalogue.read("gpus")["catalogue_gpus"]


@dataclass(frozen=True)
class Case:
    """What is said, whether with consent, and what the answer must hold."""

    name: str
    said: dict[str, Any]
    consent: bool
    holds: Callable[[str], bool]


def cases(gpu: Gpu) -> Iterator[Case]:
    """Made from what this very board says of itself; the last are about values that it does not take."""
    assert gpu.power
    own = catalogue.gpu_of(gpu.name)
    layout = next((name for name, one in LAYOUTS.items() if own and own.id in one["gpus"]), "none")
    lowest, highest = int(gpu.power.lowest), int(gpu.power.highest)
    yield Case("what the board has is nothing to do", {"mig": "leave"}, False, lambda said: said == "")
    yield Case(
        "a lower power limit is one change for each GPU",
        {"power_limit": lowest},
        False,
        lambda said: f"power limit {gpu.power.limit:.0f} W -> {lowest} W" in said,
    )
    yield Case("ECC waits without consent", {"ecc": False}, False, lambda said: "waits: GPU 0" in said)
    yield Case("ECC is planned with consent", {"ecc": False}, True, lambda said: "ECC on -> off" in said)
    if layout != "none":
        yield Case(
            "a MIG layout is planned with consent",
            {"mig": layout},
            True,
            lambda said: "MIG mode off -> on" in said and "MIG instances none ->" in said,
        )
    for watts in (lowest - 1, highest + 1):
        yield Case(
            f"{watts} W are refused with the range",
            {"power_limit": watts},
            False,
            lambda said: (
                f"refused: GPU 0 ({gpu.bus}) takes no power limit" in said
                and f"{lowest} to {highest} W" in said
            ),
        )
    odd = {"memory": gpu.supported[0].memory, "graphics": gpu.supported[0].graphics + 1}
    yield Case(
        "clocks that the board has not are refused with the nearest",
        {"application_clocks": odd},
        False,
        lambda said: f"the nearest are {gpu.supported[0]}" in said,
    )
    yield Case(
        "a lock above the highest clock is refused with the range",
        {"locked_clocks": {"graphics": [100, 9000]}},
        False,
        lambda said: "cannot lock its graphics clock to 100-9000 MHz" in said,
    )


def answer(case: Case, run: Run, *, persistence: bool) -> str:
    """What the planner says, as text: changes, then what waits, or refusals."""
    settings = {"layouts": LAYOUTS, "persistence": persistence, **case.said}
    try:
        found: Outcome = converge(settings, run, Memory(None), consent=case.consent, check=True)
    except Refused as refusal:
        return "\n".join(f"refused: {reason}" for reason in refusal.reasons)
    return "\n".join([*map(str, found.done), *(f"waits: {text}" for text in found.waiting)])


def power_as_in_catalogue(gpus: tuple[Gpu, ...]) -> bool:
    """Default, lowest and highest limit of every GPU are the catalogue's."""
    for gpu in gpus:
        own = catalogue.gpu_of(gpu.name)
        wanted = CATALOGUE[own.id]["power"] if own else {}
        assert gpu.power
        found = {"default": gpu.power.default, "min": gpu.power.lowest, "max": gpu.power.highest}
        if found != wanted:
            sys.stdout.write(f"GPU {gpu.index}: {found}, and catalogue_gpus says {wanted}\n")
            return False
    return True


def main() -> int:
    """Ask every case, print every answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", default="", metavar="ENV")
    given = parser.parse_args()
    run = nvidia_smi()
    gpus = look(run)
    wrong = 0 if power_as_in_catalogue(gpus) else 1
    done = list(cases(gpus[0]))
    for case in done:
        said = answer(case, run, persistence=bool(gpus[0].persistence))
        good = case.holds(said)
        wrong += not good
        lines = [f"{'ok' if good else 'NOT'}: {case.name}", *(f"    {line}" for line in said.splitlines())]
        sys.stdout.write("\n".join(lines) + "\n")
    if given.record:
        evidence.record(
            given.record,
            "gpu.policy.check",
            f"Answers of gpu_policy's planner about {len(gpus)} x {gpus[0].name} that are not the expected"
            f" ones, of {len(done) + 1}",
            wrong,
            goal="== 0",
            proved_on="gpu",
            command="python3 tests/device/gpu_policy.py",
            machine={"accelerator": gpus[0].name},
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
