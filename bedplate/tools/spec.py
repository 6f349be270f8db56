"""What is built and how: tools/tools.yml and the go.mod files beside it, as records."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.errors import BadInput, Finding


@dataclass(frozen=True)
class Existing:
    """How a program that is already on the machine is recognised.

    ``arguments`` make it print its version; ``agree`` is how much of it must be ours (major: not older,
    minor: same minor, exact); ``folders`` are looked in besides PATH; ``beside`` instead names a
    program next to which it must lie.
    """

    arguments: tuple[str, ...] = ()
    agree: str = "exact"
    folders: tuple[str, ...] = ()
    beside: str = ""


@dataclass(frozen=True)
class Program:
    """One program: ``folder`` holds its go.mod, ``flags`` are those of `go build`.

    ``beside`` pairs a Go module with the path of a file in it that must lie beside the program.
    """

    name: str
    folder: Path
    package: str
    version: str
    set: str
    flags: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, str], ...] = ()
    existing: Existing | None = field(default=None)

    @cached_property
    def recipe(self) -> str:
        """Hash over everything of ours that decides what is built; ``key`` adds the compiler."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
                digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
        digest.update(json.dumps([self.package, self.flags, self.environment, self.beside]).encode())
        return digest.hexdigest()

    def key(self, compiler: str) -> str:
        """Folder of the build in the cache; ``compiler`` is Go's version, system and architecture."""
        return hashlib.sha256(f"{self.recipe}\0{compiler}".encode()).hexdigest()[:16]


def load(folder: Path = paths.TOOLS) -> dict[str, Program]:
    """Every program of tools.yml by name, in its order."""
    data = yaml.safe_load((folder / "tools.yml").read_text())
    return {name: _program(name, entry, data, folder) for name, entry in data["programs"].items()}


def choose(programs: dict[str, Program], names: Iterable[str]) -> list[Program]:
    """The named programs and those of the named sets, all of them for no name. Raises BadInput for a name
    that is neither."""
    sets: dict[str, list[str]] = {}
    for program in programs.values():
        sets.setdefault(program.set, []).append(program.name)
    wanted = list(dict.fromkeys(one for name in names for one in sets.get(name, [name]))) or list(programs)
    unknown = [name for name in wanted if name not in programs]
    if unknown:
        raise BadInput(
            [
                Finding(
                    "tools/tools.yml",
                    "NAMES",
                    name,
                    "there is no such program",
                    f"name one of: {', '.join([*programs, *sets])}",
                )
                for name in unknown
            ]
        )
    return [programs[name] for name in wanted]


def pinned(go_mod: str, module: str) -> str:
    """Version of ``module`` in the text of a go.mod, without the leading v; KeyError when it is not there."""
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+v(\S+)", go_mod, re.MULTILINE)
    if not match:
        raise KeyError(f"{module} is not required in go.mod")
    return match[1]


def go_needed(folder: Path = paths.TOOLS) -> tuple[int, ...]:
    """The oldest Go version that every module accepts, for example (1, 26, 0)."""
    texts = [path.read_text() for path in folder.glob("*/go.mod")]
    return max(version_tuple(re.search(r"^go (\S+)$", text, re.MULTILINE)[1]) for text in texts)  # type: ignore[index]


def version_tuple(text: str) -> tuple[int, ...]:
    """The first dotted number in ``text``: ``go1.26.8`` gives (1, 26, 8); empty when there is none."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _program(name: str, entry: dict[str, Any], data: dict[str, Any], folder: Path) -> Program:
    module = folder / entry["module"]
    version = pinned((module / "go.mod").read_text(), entry["pin"])
    words = dict(zip(("major", "minor", "patch"), version.split("."), strict=False)) | {"version": version}
    stamps = [f"-X {variable}={value.format(**words)}" for variable, value in entry.get("stamp", {}).items()]
    flags = [*data["flags"], "-ldflags", " ".join([data["ldflags"], *stamps])]
    if entry.get("tags"):
        flags += ["-tags", ",".join(entry["tags"])]
    existing = entry.get("existing")
    return Program(
        name=name,
        folder=module,
        package=entry["package"],
        version=version,
        set=entry["set"],
        flags=tuple(flags),
        environment=tuple(data["environment"].items()),
        beside=tuple(entry.get("beside", {}).items()),
        existing=_existing(existing, words) if existing else None,
    )


def _existing(entry: dict[str, Any], words: dict[str, str]) -> Existing:
    return Existing(
        arguments=tuple(entry.get("arguments", ())),
        agree=entry.get("agree", "exact"),
        folders=tuple(text.format(**words) for text in entry.get("folders", ())),
        beside=entry.get("beside", ""),
    )
