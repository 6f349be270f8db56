"""Building a bundle: collect what is missing, forget what is not wanted any more, list it all, sign the list.

The signature goes first and comes last: a folder whose build has not ended is no bundle. Run again, a build
goes on where it was; with nothing to change it leaves every byte as it is.
"""

import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bedplate import console, paths
from bedplate import inventory as inventories
from bedplate.bundle import copies, images, packages, releases, roles, signing, tree, wheels
from bedplate.bundle.distributions import Distribution
from bedplate.bundle.distributions import sources as apt_sources
from bedplate.bundle.manifest import (
    NAME,
    PARTIAL,
    PUBLIC_KEY,
    SIGNATURE,
    File,
    Image,
    Manifest,
    document,
    parse,
    same_content,
)
from bedplate.bundle.writing import room, write
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.inventory import Inventory
from bedplate.locks import only_one

KINDS = ("packages", "images", "wheels", "releases", "programs", "models")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What to build, and from what besides the network.

    ``images``, ``release`` and ``models`` are folders of files brought along; ``requirements`` those of the
    controller's Python; ``key`` the signing key's file (empty: the environment's own, made on first use).
    """

    inventory: Path
    out: Path
    distribution: Distribution
    overlays: tuple[Path, ...] = ()
    kinds: Collection[str] = KINDS
    apt_sources: Path | None = None
    images: Path | None = None
    release: Path | None = None
    models: Path | None = None
    requirements: tuple[Path, ...] = (paths.ROOT / "requirements.txt",)
    key: Path | None = None
    refresh: bool = False

    @property
    def state(self) -> Path:
        """What the builder keeps from one build to the next: keys and package lists."""
        return paths.state(paths.environment_of(self.inventory)) / "bundle"

    @property
    def signing_key(self) -> Path:
        """File of the private key."""
        return self.key or self.state / "signing.key"


@dataclass(frozen=True)
class Built:
    """A finished bundle: ``fetched`` files by kind, ``unpinned`` digests that the inventory should say."""

    manifest: Manifest
    changed: bool
    fetched: dict[str, int]
    unpinned: dict[str, str]
    seconds: float


@dataclass
class _Parts:
    """What has been collected so far; ``before`` is the manifest of the bundle as it was."""

    before: Manifest | None
    kept: set[str] = field(default_factory=lambda: {PUBLIC_KEY})
    fetched: dict[str, int] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    unpinned: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, found: tuple[set[str], int]) -> None:
        self.kept |= found[0]
        self.fetched[kind] = found[1]


def build(order: Order) -> Built:
    """Make ``order.out`` a bundle of the inventory. Raises BedplateError; what has come is kept."""
    begun = time.monotonic()
    inventory = inventories.load(order.inventory, *order.overlays)
    order.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = signing.private_key(order.signing_key)
    with only_one(order.state / "lock"), room(order.out):
        before = _prepare(order.out)
        (order.out / SIGNATURE).unlink(missing_ok=True)
        write(order.out / PUBLIC_KEY, signing.public_pem(key))
        parts = _Parts(before, images=list(before.images) if before else [])
        for kind in (kind for kind in KINDS if kind in order.kinds):
            with console.progress(f"bundle: {kind}") as step:
                _collect(kind, order, inventory, parts, step.say)
        shutil.rmtree(order.out / PARTIAL, ignore_errors=True)
        manifest = _listed(order, inventory, parts)
        changed = before is None or not same_content(before, manifest)
        text = document(manifest if changed or before is None else before)
        write(order.out / NAME, text)
        write(order.out / SIGNATURE, key.sign(text))
    seconds = time.monotonic() - begun
    return Built(parse(text), changed, parts.fetched, parts.unpinned, seconds)


def _prepare(out: Path) -> Manifest | None:
    """The folder, and the manifest of what it holds; a folder with other things in it is refused."""
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not (out / PUBLIC_KEY).exists():
        raise BedplateError(
            f"{out} holds something else", remedy="name an empty or new folder", code=BAD_INPUT
        )
    try:
        return parse((out / NAME).read_bytes())
    except (OSError, BedplateError):
        return None


def _collect(kind: str, order: Order, inventory: Inventory, parts: _Parts, say: Say) -> None:
    """Bring everything of one kind."""
    out = order.out
    if kind == "packages":
        parts.add(kind, packages.collect(out, _packages(order, inventory), say))
    elif kind == "images":
        from bedplate.bundle import platform_images  # noqa: PLC0415 - Pulumi takes a second to load

        wanted = platform_images.wanted(inventory)
        brought = images.archives(order.images)
        request = images.Request(wanted, order.distribution.architecture, brought, order.refresh)
        parts.images, count = images.collect(out, request, parts.images, say)
        parts.add(
            kind, ({path for path, _ in tree.files(out) if path.startswith(f"{images.FOLDER}/")}, count)
        )
    elif kind == "wheels":
        parts.add(kind, wheels.collect(out, list(order.requirements), say))
    elif kind == "releases":
        wished = releases.wanted(inventory, order.distribution.architecture)
        found, count, parts.unpinned = releases.collect(out, wished, order.release, say)
        parts.add(kind, (found, count))
    elif kind == "programs":
        parts.add(kind, copies.programs(out, say))
    else:
        parts.add(kind, copies.models(out, copies.wanted_models(inventory), order.models, say))


def _packages(order: Order, inventory: Inventory) -> packages.Request:
    distribution = order.distribution
    return packages.Request(
        distribution=distribution,
        sources=apt_sources(distribution, order.apt_sources),
        wanted=roles.ask(order.inventory, distribution.facts, order.overlays),
        vendors=inventory.shared["catalogue_package_sources"],
        key=order.state / "mirror-key.asc",
        state=order.state / "apt" / f"{distribution.code_name}-{distribution.architecture}",
    )


def owner(path: str, folders: Collection[str]) -> str:
    """Kind that a path belongs to; ``folders`` are those of release archives. BedplateError for none."""
    top = path.partition("/")[0]
    if top in ("images", "wheels", "programs", "models"):
        return top
    if top in folders:
        return "releases"
    if top in (*packages.FOLDERS, packages.KEY):
        return "packages"
    raise BedplateError(
        f"{path} is in the bundle's folder and belongs to no bundle", remedy="move it away", code=BAD_INPUT
    )


def _listed(order: Order, inventory: Inventory, parts: _Parts) -> Manifest:
    """Remove what no kind wants any more, and list the rest."""
    folders = {releases.addresses(word)[0] for word in releases.WORDS}
    for path, _ in list(tree.files(order.out)):
        if path not in parts.kept and owner(path, folders) in order.kinds:
            (order.out / path).unlink()
    _remove_empty(order.out)
    there = list(tree.files(order.out))
    with console.progress("bundle: hash", total=sum(size for _, size in there)) as step:
        files = tree.hashed(order.out, there, tree.JOBS, lambda _, size: step.advance(size))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    versions = {k: v for k, v in inventory.shared.items() if k.startswith("version_")}
    return Manifest(inventory.environment, now, _sorted(files), tuple(sorted(parts.images)), versions)


def _sorted(files: Sequence[File]) -> tuple[File, ...]:
    return tuple(sorted(files))


def _remove_empty(out: Path) -> None:
    for folder in sorted((path for path in out.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
