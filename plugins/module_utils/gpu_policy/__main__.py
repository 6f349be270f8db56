"""Sets the GPUs without Ansible: at boot, and whenever the driver is loaded.

    python3 -m gpu_policy [--check] [--forget] FILE

FILE holds the settings as JSON; ``--check`` changes nothing and says what would be done; ``--forget``: the
driver is new, so no lock of clocks is left. ECC, MIG mode and the reset for them are done when nothing uses a
GPU, and wait otherwise. Prints one JSON document. Exit codes: 0 done, 2 refused, 3 not kept, or no driver.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .converge import STATE, Memory, NoDriver, NotKept, Refused, converge, look, nvidia_smi


def main() -> int:
    """Read the file, set, say."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="gpu_policy", description=__doc__, formatter_class=form)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--forget", action="store_true")
    parser.add_argument("--state", default=STATE)
    given = parser.parse_args()
    run = nvidia_smi()
    try:
        settings: dict[str, Any] = json.loads(given.file.read_text())
        idle = not any(gpu.processes for gpu in look(run))
        memory = Memory.at(given.state, forget=given.forget)
        found = converge(settings, run, memory, consent=idle, check=given.check)
    except Refused as refusal:
        return _say({"refused": refusal.reasons}, 2)
    except (NotKept, NoDriver) as error:
        return _say({"failed": str(error)}, 3)
    done = [str(action) for action in found.done]
    return _say(
        {"would_do" if given.check else "done": done, "waiting": found.waiting, "gpus": len(found.gpus)}, 0
    )


def _say(document: dict[str, Any], code: int) -> int:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
