"""promtool, Prometheus' own checker: rule files, and unit tests of rules, many in one run."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bedplate.errors import BedplateError

PROGRAM = "promtool"
MEMORY = Path("/dev/shm")  # noqa: S108 - promtool's databases: one per question, each synced to where it lies
LAZY_COLLECTOR = {"GOGC": "400"}  # thousands of small databases: half of promtool's time was collecting them
_TEST = re.compile(r"^Unit Testing:\s+(\S+)\n(.*?)(?=^Unit Testing:|\Z)", re.MULTILINE | re.DOTALL)


def program() -> str:
    """Path of promtool. Raises BedplateError where it is not installed."""
    found = shutil.which(PROGRAM)
    if not found:
        raise BedplateError("promtool is not installed", remedy="run `make setup`")
    return found


def check_rules(files: Sequence[Path]) -> str:
    """Empty when promtool accepts every rule file, else what it says."""
    done = _run("check", "rules", *map(str, files))
    return "" if done.returncode == 0 else done.stdout


def test_rules(files: Sequence[Path]) -> dict[Path, str]:
    """What promtool says of each test file; empty where all of it passed."""
    done = _run("test", "rules", *map(str, files))
    found = verdicts(done.stdout)
    missing = [file for file in files if str(file) not in found]
    if missing:
        raise BedplateError(f"promtool says nothing of {missing[0]}: {done.stdout[:2000]}")
    return {file: found[str(file)] for file in files}


def verdicts(output: str) -> dict[str, str]:
    """Pure: promtool's output as file to complaint."""
    return {name: "" if body.strip() == "SUCCESS" else body.strip() for name, body in _TEST.findall(output)}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One stream, so that what belongs to a file stands behind its name."""
    scratch = {"TMPDIR": str(MEMORY)} if os.access(MEMORY, os.W_OK) else {}
    return subprocess.run(
        [program(), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=os.environ | LAZY_COLLECTOR | scratch,
    )
