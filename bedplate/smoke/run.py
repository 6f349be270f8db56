"""One run: every component asked, several at a time, each with a verdict, its seconds and a remedy."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from bedplate.smoke.probes import PROBES
from bedplate.smoke.reach import Reach
from bedplate.smoke.targets import Target
from bedplate.smoke.web import LOGS, Broken

WORKERS = 4


@dataclass(frozen=True)
class Result:
    """What one component said. ``seen`` where it works, ``why`` and ``remedy`` where it does not."""

    component: str
    verdict: Literal["works", "broken"]
    seconds: float
    seen: str = ""
    why: str = ""
    remedy: str = ""


def ask_one(target: Target, reach: Reach) -> Result:
    """Ask one component; whatever goes wrong is its result."""
    begin = time.monotonic()

    def took() -> float:
        return round(time.monotonic() - begin, 2)

    try:
        known = {name: reach.secret(key) for name, key in target.secrets.items()}
        with reach.address(target) as address:
            seen = PROBES[target.probe](address, known, target)
        return Result(target.component, "works", took(), seen)
    except Broken as error:
        return Result(target.component, "broken", took(), why=str(error), remedy=error.remedy)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        why = f"its answer is not what clients expect: {type(error).__name__} {error}"
        return Result(target.component, "broken", took(), why=why, remedy=LOGS)


def run(
    targets: Sequence[Target], reach: Reach, on_done: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Ask all; results in the order of targets."""

    def one(target: Target) -> Result:
        result = ask_one(target, reach)
        on_done(result)
        return result

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, targets))


def broken(results: Iterable[Result]) -> list[Result]:
    """Those that do not work."""
    return [result for result in results if result.verdict == "broken"]
