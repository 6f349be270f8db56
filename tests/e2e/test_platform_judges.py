"""Rendered objects before a judge that is not ours: no finding of kube-score without a reason beside it."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bedplate import evidence
from bedplate.tools import locate
from tests.platform_samples import common
from tests.rendered import ENVIRONMENTS, environment, write

pytestmark = pytest.mark.rehearsal
ALL_OK = 10
REASONS = yaml.safe_load(Path(__file__).with_name("kube_score.yml").read_text())


@dataclass(frozen=True)
class Found:
    check: str
    subject: str
    words: str


def score(env: str, folder: Path) -> list[Found]:
    """Every finding that is not `all OK`."""
    files = write(environment(env), folder)
    program = locate.require("judges")["kube-score"]
    version = ".".join(common()["version_kubernetes"].split(".")[:2])
    done = subprocess.run(
        [program, "score", "-o", "json", "--kubernetes-version", f"v{version}", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = []
    for subject in json.loads(done.stdout):
        name = f"{subject['type_meta']['kind']}/{subject['object_meta']['name']}"
        for check in subject["checks"] or []:
            if not check["skipped"] and check["grade"] < ALL_OK:
                words = "; ".join(c["summary"] for c in check["comments"] or [])
                found.append(Found(check["check"]["id"], name, words))
    return found


def argued(found: Found) -> bool:
    return any(r["check"] == found.check and re.fullmatch(r["objects"], found.subject) for r in REASONS)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_kube_score_finds_nothing_that_is_not_argued(env: str, tmp_path: Path) -> None:
    found = score(env, tmp_path)
    left = [f for f in found if not argued(f)]
    evidence.record(
        env,
        f"platform.judges.kube-score.{env}",
        "kube-score finds nothing in the platform's objects that is not argued",
        len(left),
        unit="findings",
        goal="== 0",
        proved_on="program",
        command="pytest tests/e2e/test_platform_judges.py",
    )
    assert not left, "\n".join(f"{f.check} {f.subject}: {f.words}" for f in left)


def test_every_reason_explains_something(tmp_path: Path) -> None:
    found = []
    for env in ENVIRONMENTS:
        folder = tmp_path / env
        folder.mkdir()
        found += score(env, folder)
    idle = [
        r
        for r in REASONS
        if not any(f.check == r["check"] and re.fullmatch(r["objects"], f.subject) for f in found)
    ]
    assert not idle
