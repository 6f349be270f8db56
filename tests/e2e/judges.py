"""Judges of rendered objects that are not ours, each asked without a cluster and without a network, and the
reasons for what they find."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bedplate.tools import locate
from tests.data_programs import home
from tests.platform_samples import common
from tests.rendered import environment, write

ALL_OK = 10


@dataclass(frozen=True)
class Found:
    """One finding; ``subject`` is KIND/NAME."""

    check: str
    subject: str
    words: str


@dataclass(frozen=True)
class Reason:
    """Why findings stay: both patterns, of the check and of the object's KIND/NAME, are whole."""

    check: str
    objects: str
    why: str

    def explains(self, found: Found) -> bool:
        """Whether this is one of them."""
        pairs = ((self.check, found.check), (self.objects, found.subject))
        return all(re.fullmatch(pattern, text) for pattern, text in pairs)


@dataclass(frozen=True)
class Judge:
    """``ask`` gets the folder of manifests and their files; its reasons stand in a file of its name."""

    name: str
    ask: Callable[[Path, Sequence[Path]], list[Found]]

    def reasons(self) -> list[Reason]:
        """What is argued."""
        file = Path(__file__).with_name(f"{self.name.replace('-', '_')}.yml")
        return [Reason(**row) for row in yaml.safe_load(file.read_text())]


@cache
def findings(judge: Judge, env: str) -> tuple[Found, ...]:
    """All that a judge says of an environment's objects."""
    with tempfile.TemporaryDirectory(prefix="judged-") as name:
        return tuple(judge.ask(Path(name), write(environment(env), Path(name))))


def kube_score(folder: Path, files: Sequence[Path]) -> list[Found]:
    """Every finding that is not `all OK`."""
    version = ".".join(common()["version_kubernetes"].split(".")[:2])
    program = locate.require("judges")["kube-score"]
    options = ["score", "-o", "json", "--kubernetes-version", f"v{version}"]
    found = []
    for subject in _json([program, *options, *files]):
        name = f"{subject['type_meta']['kind']}/{subject['object_meta']['name']}"
        for check in subject["checks"] or []:
            if not check["skipped"] and check["grade"] < ALL_OK:
                words = "; ".join(c["summary"] for c in check["comments"] or [])
                found.append(Found(check["check"]["id"], name, words))
    return found


def checkov(folder: Path, files: Sequence[Path]) -> list[Found]:
    """Every check that fails. It must have read every object, or its silence would say nothing."""
    program = [home("checkov") / "bin/python", "-m", "checkov.main"]
    options = ["--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "-o", "json"]
    said = _json([*program, "-d", folder, *options])
    summary = said["summary"]
    assert not summary["parsing_errors"] and summary["resource_count"] >= len(files), summary
    return [
        Found(check["check_id"], _subject(check["resource"]), check["check_name"])
        for check in said["results"]["failed_checks"]
    ]


def _subject(resource: str) -> str:
    """``KIND.NAMESPACE.NAME`` as KIND/NAME."""
    kind, _, name = resource.split(".", 2)
    return f"{kind}/{name}"


def _json(command: Sequence[str | Path]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout)


JUDGES = (Judge("kube-score", kube_score), Judge("checkov", checkov))
