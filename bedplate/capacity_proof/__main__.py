"""Capacity arithmetic against a real GPU.

    python3 -m bedplate.capacity_proof                      every distilled model that fits
    python3 -m bedplate.capacity_proof --json --record lab  one JSON document; evidence of environment lab

Each model is predicted first, from the catalogue alone, then measured in a process of its own. Exit codes:
0 all within the goal, 1 one is not, 2 bad usage, 3 no GPU that can be measured.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

import pynvml

from bedplate import errors, paths
from bedplate.capacity.models import GIB, Gpu, Model
from bedplate.capacity.shapes import known
from bedplate.capacity_proof import catalogue, verdict
from bedplate.capacity_proof.prediction import DoesNotFit, Prediction, predict

IDLE = 2 * GIB  # an idle GPU shows less; more is somebody else's work
LIMIT = 300  # seconds for one model
BATCHES = (0, 1)  # as many sequences as fit, and one


class CannotMeasure(errors.BedplateError):
    """There is no GPU, it is not known, or somebody else uses it."""


@dataclass(frozen=True)
class Machine:
    """The GPU, as NVML and the catalogue know it."""

    index: int
    name: str
    driver: str
    gpu: Gpu


def find_gpu(index: int) -> Machine:
    """The GPU by NVML's index; raises CannotMeasure."""
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        name, driver = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlSystemGetDriverVersion()
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError as error:
        raise CannotMeasure(f"NVML shows no GPU {index}: {error}") from error
    gpu = catalogue.gpu_of(name)
    if gpu is None:
        raise CannotMeasure(f"catalogue_gpus has no {name}", remedy="add it to inventories/_common/gpus.yml")
    if memory.used > IDLE:
        used = memory.used / GIB
        raise CannotMeasure(f"{used:.1f} GiB of GPU {index} are in use", remedy="end what runs there")
    return Machine(index, name, driver, gpu)


def predictions(wanted: list[str], machine: Machine, context: int, batches: list[int]) -> list[Prediction]:
    """What the arithmetic says of every model and load, before anything is allocated."""
    found: list[Prediction] = []
    for model in _chosen(wanted):
        for batch in batches:
            try:
                found.append(predict(model, machine.gpu, context, batch))
            except DoesNotFit as refusal:
                _say(f"{model.id}: the arithmetic says no: {refusal}")
                break
    return list(dict.fromkeys(found))


def measured(one: Prediction, machine: Machine, prefilled: int) -> dict[str, Any]:
    """The measurement of one prediction; raises CannotMeasure with the last lines of what went wrong."""
    command = [sys.executable, "-m", "bedplate.capacity_proof.measure", one.model]
    command += [f"--gpu={machine.index}", f"--context={one.context}", f"--batch={one.batch}"]
    command += [f"--prefilled={min(prefilled, one.batch)}"]
    chosen = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(machine.index)}
    environment = os.environ | chosen
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=LIMIT, env=environment, cwd=paths.ROOT
    )
    if done.returncode:
        raise CannotMeasure(f"{one.model}: " + "\n".join(done.stderr.splitlines()[-12:]))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(given: argparse.Namespace) -> int:
    """Predict, measure, compare, print; the exit code."""
    machine = find_gpu(given.gpu)
    todo = predictions(given.models, machine, given.context, given.batch)
    results, rows, failures = [], [], []
    for one in todo:
        _say(f"{one.model}: {one.batch} x {one.context} tokens, {one.total / GIB:.2f} GiB predicted")
        try:
            found = measured(one, machine, given.prefilled)
        except (CannotMeasure, subprocess.TimeoutExpired) as error:
            failures.append(f"{one.model} with {one.batch} x {one.context}: {error}")
            _say(failures[-1])
            continue
        rows.append(verdict.row(one, found))
        results.append({"row": asdict(rows[-1]), "off_percent": rows[-1].off_percent, "measured": found})
        if given.record:
            about: dict[str, str | int] = {
                "accelerator": machine.name,
                "driver": machine.driver,
                "torch": found["torch"],
            }
            verdict.record(given.record, rows[-1], "python3 -m bedplate.capacity_proof", about)
    sound = not failures and bool(rows) and all(row.sound for row in rows)
    if given.json:
        document = {"gpu": asdict(machine), "results": results, "failures": failures, "verdict": sound}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write(verdict.table(rows) + "\n")
    return 0 if sound else errors.VERDICT_NO


def _chosen(wanted: list[str]) -> list[Model]:
    models = catalogue.models()
    unknown = [name for name in wanted if name not in models]
    if unknown:
        raise errors.BedplateError(f"no model {', '.join(unknown)} in the catalogue", code=errors.BAD_INPUT)
    return [model for id, model in models.items() if (id in wanted if wanted else known(model))]


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main() -> int:
    """Read the arguments."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="capacity_proof", description=__doc__, formatter_class=form)
    parser.add_argument("models", nargs="*", help="ids of the catalogue; none: all with known shapes")
    parser.add_argument("--gpu", type=int, default=0, help="NVML's index")
    parser.add_argument("--context", type=int, default=32768, help="tokens of one sequence")
    parser.add_argument(
        "--batch", type=int, nargs="+", default=list(BATCHES), help="sequences; 0: all that fit"
    )
    parser.add_argument("--prefilled", type=int, default=1, help="sequences that are really prefilled")
    parser.add_argument("--record", default="", metavar="ENV", help="write evidence of this environment")
    parser.add_argument("--json", action="store_true")
    try:
        return run(parser.parse_args())
    except errors.BedplateError as error:
        _say(f"{error}" + (f". {error.remedy}" if error.remedy else ""))
        return error.code


if __name__ == "__main__":
    sys.exit(main())
