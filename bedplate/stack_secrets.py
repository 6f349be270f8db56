"""Secrets of an environment's platform: made once, kept encrypted in the Pulumi stack's configuration,
rotated.

A value exists in this process only between being made and being handed to `pulumi config set --secret` on
its standard input: it is no argument of a program, it is not printed and it is not written to a file by us.
"""

import json
import secrets
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from bedplate import paths
from bedplate.errors import BadInput, BedplateError, Finding
from bedplate.private_files import write_private
from bedplate.service_certificate import bundle, certificates
from bedplate.tools import locate, spec

PROJECT = "bedplate"
Run = Callable[
    [list[str], str | None], str
]  # arguments of the CLI and its standard input, its standard output


@dataclass(frozen=True)
class Change:
    """One secret to be made. ``generation`` counts rotations; pods carry it, so that a rotation restarts
    them. ``file``: below the environment's state, where roles find it too. ``names``: instead of a random
    word, a key and a certificate for these names of a service; ``certificate``: the file below the
    environment's state in which roles find that certificate; to ``publish`` is to write that file alone."""

    name: str
    action: Literal["make", "rotate", "publish"]
    bytes: int
    generation: int
    file: str = ""
    names: tuple[str, ...] = ()
    certificate: str = ""


def plan(
    catalogue: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any], rotate: Iterable[str]
) -> list[Change]:
    """Pure: what is missing in the stack's configuration (`pulumi config --json`), and what is to be rotated.
    Raises BadInput for a name that the catalogue does not have."""
    wanted = set(rotate)
    unknown = sorted(wanted - set(catalogue))
    if unknown:
        raise BadInput([_unknown(name, catalogue) for name in unknown])
    kept = [name for name in sorted(wanted) if "file" in catalogue[name]]
    if kept:
        raise BadInput([_kept(name, catalogue[name]["file"]) for name in kept])
    changes = []
    for name, entry in catalogue.items():
        generation = int(config.get(f"{PROJECT}:{name}-generation", {}).get("value", 0))
        if f"{PROJECT}:{name}" not in config:
            changes.append(_change(name, "make", entry, generation))
        elif name in wanted:
            changes.append(_change(name, "rotate", entry, generation + 1))
    return changes


def ensure(
    run: Run, stack: str, catalogue: Mapping[str, Mapping[str, Any]], rotate: Iterable[str]
) -> list[Change]:
    """Make what is missing, rotate what is named, publish certificates; what was done."""
    config = json.loads(run(["config", "--json", "--stack", stack], None))
    changes = plan(catalogue, config, rotate)
    for change in changes:
        key, value = f"{PROJECT}:{change.name}", _value(change, stack)
        run(["config", "set", "--secret", key, "--stack", stack], value)
        if change.action == "rotate":
            run(["config", "set", f"{key}-generation", str(change.generation), "--stack", stack], None)
        if change.certificate:
            _publish(change, stack, value)
    made = {change.name for change in changes}
    kept = [_change(name, "publish", entry, 0) for name, entry in catalogue.items() if name not in made]
    return changes + [change for change in kept if change.certificate and _refresh(run, stack, change)]


def _refresh(run: Run, stack: str, change: Change) -> bool:
    """The stack decides: a file that is gone, or still has the certificate before, is written anew."""
    value = run(["config", "get", f"{PROJECT}:{change.name}", "--stack", stack], None)
    path = paths.state(stack) / change.certificate
    stale = not path.is_file() or certificates(path.read_text()) != certificates(value)
    if stale:
        _publish(change, stack, value)
    return stale


def _publish(change: Change, stack: str, value: str) -> None:
    """Never the key. After a rotation the certificate before stays beside the new one until the next run:
    whoever trusts the file trusts the service before and after its pods are exchanged."""
    path = paths.state(stack) / change.certificate
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    rotated = change.action == "rotate" and path.is_file()
    before = certificates(path.read_text())[:1] if rotated else []
    write_private(path, "".join(certificates(value) + before).encode())


def _change(
    name: str, action: Literal["make", "rotate", "publish"], entry: Mapping[str, Any], generation: int
) -> Change:
    names, file = tuple(entry.get("names", ())), entry.get("file", "")
    published = entry.get("certificate", "")
    return Change(name, action, entry.get("bytes", 0), generation, file, names, published)


def _value(change: Change, stack: str) -> str:
    """A new value; or that of its file, which is written where there is none."""
    if change.names:
        return bundle(change.names)
    if not change.file:
        return secrets.token_urlsafe(change.bytes)
    path = paths.state(stack) / change.file
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, secrets.token_urlsafe(change.bytes).encode() + b"\n")
    return path.read_text().strip()


def cli(project: Path = paths.PULUMI) -> Run:
    """The Pulumi CLI on our project. Raises BedplateError with what it complains about."""
    found = locate.find([spec.load()["pulumi"]])[0]
    if found.path is None:
        raise BedplateError("the Pulumi CLI is not here", remedy="run `bedplate tools build`")
    program = str(found.path)

    def run(arguments: list[str], text: str | None) -> str:
        done = subprocess.run(
            [program, "-C", str(project), "--non-interactive", *arguments],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BedplateError(
                f"pulumi {' '.join(arguments[:2])} failed: {done.stderr.strip()[-800:]}",
                remedy="set PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE_FILE as for `pulumi up`",
            )
        return done.stdout

    return run


def select(run: Run, stack: str) -> None:
    """Make the stack unless it is there."""
    run(["stack", "select", "--create", stack], None)


def _kept(name: str, file: str) -> Finding:
    why = f"others use it too, from the file {file} below the environment's state"
    remedy = "see docs/backups.md on another password of a repository"
    return Finding("inventories/_common/secrets.yml", "catalogue_secrets", name, why, remedy)


def _unknown(name: str, catalogue: Mapping[str, Any]) -> Finding:
    close = get_close_matches(name, catalogue, n=1)
    remedy = f"did you mean `{close[0]}`?" if close else f"use one of: {', '.join(sorted(catalogue))}"
    return Finding(
        "inventories/_common/secrets.yml", "catalogue_secrets", name, "there is no such secret", remedy
    )
