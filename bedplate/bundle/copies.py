"""What is there already and only has to be copied: programs of tools/, and models."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bedplate.bundle.manifest import PARTIAL, inside
from bedplate.bundle.tree import sha256
from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError
from bedplate.inventory import Inventory
from bedplate.model_files import manifest as model_files
from bedplate.tools import locate, spec

Say = Callable[[str], None]
SETS = ("rehearsal",)  # what an offline controller runs: Pulumi, and a control plane for the rehearsal


def programs(bundle: Path, say: Say) -> tuple[set[str], int]:
    """Bring the controller's Go-built programs: their paths, and how many were copied."""
    versions = {program.name: program.version for program in spec.load().values()}
    fetched, kept = 0, set()
    for name, source in sorted({n: p for one in SETS for n, p in locate.require(one).items()}.items()):
        say(name)
        path = f"programs/v{versions[name]}/{name}"
        fetched += copy(source, bundle, path, mode=0o755)
        kept.add(path)
    return kept, fetched


def wanted_models(inventory: Inventory) -> dict[str, str]:
    """Every model that a host keeps: folder below the mirror's ``models`` to its manifest's SHA-256."""
    found: dict[str, str] = {}
    for words in inventory.hosts.values():
        for model in words.get("model_store_models") or ():
            found[_folder(model["name"], words["catalogue_models"])] = model["manifest"]
    return found


def _folder(name: str, catalogue: Mapping[str, Mapping[str, Any]]) -> str:
    """OWNER/NAME/REVISION of a name of the catalogue; a path stays as it is (as role model_store has it)."""
    return f"{catalogue[name]['repository']}/{catalogue[name]['revision']}" if name in catalogue else name


def models(bundle: Path, wanted: Mapping[str, str], given: Path | None, say: Say) -> tuple[set[str], int]:
    """Bring models from folder ``given``, laid out as a mirror's. Raises BedplateError."""
    fetched, kept = 0, set()
    for name, pin in sorted(wanted.items()):
        source = (given or Path("--models")) / name
        listed = source / model_files.NAME
        if not given or not listed.is_file():
            raise BedplateError(
                f"model {name} is not there ({listed})",
                remedy="fetch it (docs/models.md), and name the parent of OWNER/NAME/REVISION: --models",
                code=BAD_INPUT,
            )
        _pinned(listed, pin, f"the manifest of model {name}")
        for entry in [*json.loads(listed.read_bytes())["files"], {"path": model_files.NAME, "sha256": pin}]:
            if not inside(entry["path"]):
                raise BedplateError(
                    f"model {name} names {entry['path']!r}, outside its folder", code=VERDICT_NO
                )
            say(f"{name}/{entry['path']}")
            path = f"models/{name}/{entry['path']}"
            fetched += copy(source / entry["path"], bundle, path, digest=entry["sha256"])
            kept.add(path)
    return kept, fetched


def copy(source: Path, bundle: Path, path: str, *, digest: str = "", mode: int = 0o644) -> bool:
    """Copy a file to its place unless it is there; whether anything was copied. Raises BedplateError."""
    target = bundle / path
    wanted = digest or sha256(source)
    if target.is_file() and sha256(target) == wanted:
        return False
    partial = bundle / PARTIAL / path.replace("/", "_")
    partial.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, partial)
    _pinned(partial, wanted, str(source))
    partial.chmod(mode)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return True


def _pinned(path: Path, wanted: str, what: str) -> None:
    if (found := sha256(path)) != wanted:
        raise BedplateError(
            f"{what} has SHA-256 {found}, and {wanted} is wanted",
            remedy="find out which is right (bedplate models manifest --check)",
            code=VERDICT_NO,
        )
