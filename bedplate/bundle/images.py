"""Images of the bundle: one OCI image layout, filled by skopeo, whose tags are whole references.

Blobs are kept by content, so images share what is the same. An index of several architectures is kept whole,
with the images of the wanted architecture alone: its digest, by which a site may have pinned it, stays.
"""

import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedplate.bundle.manifest import MADE_HERE, PARTIAL, REFERENCE, UPSTREAM, Image
from bedplate.bundle.tree import sha256
from bedplate.bundle.writing import write
from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError

FOLDER = "images"
TAG = "org.opencontainers.image.ref.name"
NAMES = ("io.containerd.image.name", TAG)  # annotations that carry a whole reference
MADE_FROM = "bedplate.made-from"  # annotation of an archive that was made rather than copied
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_INDICES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
Say = Callable[[str], None]
Json = dict[str, Any]


@dataclass(frozen=True, order=True)
class Wanted:
    """An image: ``reference`` as hosts ask for it, ``source`` where upstream has it, ``digest`` if pinned."""

    reference: str
    source: str
    digest: str = ""


@dataclass(frozen=True)
class Archive:
    """An OCI archive brought along: what it says it was made from, if anything."""

    path: Path
    made_from: str


@dataclass(frozen=True)
class Request:
    """What is wanted, for one architecture (``amd64``); ``archives`` by reference take precedence."""

    wanted: Sequence[Wanted]
    architecture: str = "amd64"
    archives: Mapping[str, Archive] = field(default_factory=dict)
    refresh: bool = False  # ask upstream again what a tag means


def archives(folder: Path | None) -> dict[str, Archive]:
    """OCI archives (\\*.tar) in a folder by the reference that each carries. Raises BedplateError."""
    found: dict[str, Archive] = {}
    for path in sorted(folder.rglob("*.tar")) if folder else ():
        try:
            with tarfile.open(path) as tar:
                index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
            notes = index["manifests"][0].get("annotations", {})
        except (OSError, KeyError, IndexError, ValueError, tarfile.TarError) as error:
            raise BedplateError(
                f"{path} is no OCI archive: {error!r}", remedy="remove it", code=BAD_INPUT
            ) from error
        reference = next((notes[n] for n in NAMES if REFERENCE.fullmatch(notes.get(n, ""))), "")
        if not reference:
            raise BedplateError(
                f"{path} does not say which image it holds",
                remedy=f"write it with a whole reference, REGISTRY/NAME:TAG, as annotation {TAG}",
                code=BAD_INPUT,
            )
        found[reference] = Archive(path, notes.get(MADE_FROM, ""))
    return found


def collect(bundle: Path, request: Request, known: Sequence[Image], say: Say) -> tuple[list[Image], int]:
    """Bring every wanted image; ``known`` are those of the bundle as it was. Also how many were fetched.

    Raises BedplateError naming the image that cannot be had.
    """
    layout = Layout(bundle / FOLDER)
    before = {image.reference: image for image in known if layout.whole(image)}
    images, fetched = [], 0
    for number, want in enumerate(sorted(set(request.wanted)), 1):
        say(f"{number} of {len(set(request.wanted))}: {want.reference}")
        archive = request.archives.get(want.reference) or request.archives.get(want.source)
        image = before.get(want.reference)
        if image and _still(image, want, archive, refresh=request.refresh):
            images.append(image)
            continue
        images.append(_archived(layout, want, archive) if archive else _copied(layout, want, request))
        fetched += 1
    layout.keep(images)
    return images, fetched


def _still(image: Image, want: Wanted, archive: Archive | None, *, refresh: bool) -> bool:
    """Whether what the bundle has is what is wanted, without asking anybody."""
    if archive:
        return image.made_from == _brought(want, archive)[1]
    return (
        image.origin == UPSTREAM and want.digest in ("", image.digest) and (bool(want.digest) or not refresh)
    )


def _brought(want: Wanted, archive: Archive) -> tuple[str, str]:
    """Origin of an archive, and of what exactly. Only a pin tells that it is upstream's image."""
    origin = UPSTREAM if want.digest else MADE_HERE
    what = archive.made_from or ("the pinned image" if want.digest else "what the archive does not say")
    return origin, f"{what} (archive {archive.path.name}, SHA-256 {sha256(archive.path)[:16]})"


def _archived(layout: "Layout", want: Wanted, archive: Archive) -> Image:
    layout.skopeo("copy", "--preserve-digests", f"oci-archive:{archive.path}", layout.target(want.reference))
    origin, made_from = _brought(want, archive)
    return layout.image(want, origin, made_from)


def _copied(layout: "Layout", want: Wanted, request: Request) -> Image:
    """From upstream's registry, by the digest that the tag (or the pin) means now."""
    name = want.source.rpartition(":")[0]
    address = f"docker://{name}@{want.digest}" if want.digest else f"docker://{want.source}"
    try:
        raw = layout.skopeo("inspect", "--raw", address)
        kind = str(json.loads(raw).get("mediaType", _INDICES[0]))
        platform = ("--override-os", "linux", "--override-arch", request.architecture)
        copy = (*platform, "copy", "--preserve-digests", address, layout.target(want.reference))
        layout.skopeo(*copy)
    except BedplateError as error:
        raise BedplateError(
            f"image {want.reference} cannot be had from {want.source}: {error}",
            remedy="build where that registry is reachable, or bring an OCI archive of it (--images FOLDER)",
        ) from error
    if kind in _INDICES:
        layout.point(want.reference, raw, kind)
    return layout.image(want, UPSTREAM, f"{name}@{layout.top(want.reference)['digest']}")


class Layout:
    """An OCI image layout (image-spec): ``index.json`` says which digest a reference has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder.parent / PARTIAL

    def target(self, reference: str) -> str:
        """The image as skopeo writes it."""
        return f"oci:{self.folder}:{reference}"

    def blob(self, digest: str) -> Path:
        """File of a blob."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def top(self, reference: str) -> Json:
        """Descriptor of what a reference means."""
        return next(e for e in self._index() if e["annotations"][TAG] == reference)

    def point(self, reference: str, raw: bytes, kind: str) -> None:
        """Let a reference mean the index ``raw``, whose image for our architecture is there already."""
        entries = [e for e in self._index() if e["annotations"][TAG] != reference]
        self.partial.mkdir(exist_ok=True)
        unnamed = self.partial / "index"
        unnamed.write_bytes(raw)
        digest = f"sha256:{sha256(unnamed)}"
        write(self.blob(digest), raw)
        entry = {"mediaType": kind, "digest": digest, "size": len(raw), "annotations": {TAG: reference}}
        self._write([*entries, entry])

    def image(self, want: Wanted, origin: str, made_from: str) -> Image:
        """The record of an image that is there. Raises BedplateError for another digest than the pinned."""
        top = self.top(want.reference)
        if want.digest not in ("", top["digest"]):
            raise BedplateError(
                f"image {want.reference} has digest {top['digest']}, and {want.digest} is pinned",
                remedy="bring the pinned image, or change the pin (platform_image_digests)",
                code=VERDICT_NO,
            )
        manifests = [(m["digest"], m["mediaType"]) for m in self._manifests(top)]
        return Image(want.reference, top["digest"], origin, made_from, tuple(manifests))

    def whole(self, image: Image) -> bool:
        """Whether every blob of an image is there, with the size that its manifest says."""
        try:
            parts = [m for digest, _ in image.manifests for m in self._parts(digest)]
            tagged = self.top(image.reference)["digest"] == image.digest
        except (OSError, ValueError, KeyError, StopIteration):
            return False
        return tagged and all(self._there(part) for part in parts)

    def keep(self, images: Sequence[Image]) -> None:
        """Forget every other image, and every blob that only they had."""
        wanted = {image.reference for image in images}
        write(self.folder / "oci-layout", LAYOUT)
        self._write([entry for entry in self._index() if entry["annotations"][TAG] in wanted])
        manifests = {digest for image in images for digest, _ in image.manifests}
        blobs = manifests | {part["digest"] for digest in manifests for part in self._parts(digest)}
        for path in self.blob("").glob("*"):
            if f"sha256:{path.name}" not in blobs:
                path.unlink()
            else:
                path.chmod(0o644)

    def skopeo(self, *arguments: str) -> bytes:
        """What skopeo prints. Raises BedplateError with what it complains about."""
        settings = () if Path("/etc/containers/policy.json").exists() else ("--insecure-policy",)
        try:
            done = subprocess.run(
                ["skopeo", *settings, *arguments],
                capture_output=True,
                check=False,
                env=os.environ | {"LC_ALL": "C"},
            )
        except FileNotFoundError:
            raise BedplateError("skopeo is not installed", remedy="run `make setup`") from None
        if done.returncode != 0:
            raise BedplateError(_reason(done.stderr.decode(errors="replace")))
        return done.stdout

    def _index(self) -> list[Json]:
        """Entries that have a name; skopeo leaves one without where a tag has moved."""
        file = self.folder / "index.json"
        entries: list[Json] = json.loads(file.read_bytes())["manifests"] if file.exists() else []
        return [entry for entry in entries if TAG in entry.get("annotations", {})]

    def _write(self, entries: Sequence[Json]) -> None:
        ordered = sorted(entries, key=lambda entry: str(entry["annotations"][TAG]))
        write(self.folder / "index.json", json.dumps({"schemaVersion": 2, "manifests": ordered}).encode())

    def _manifests(self, entry: Json) -> Iterator[Json]:
        """A manifest, and those of an index that are here."""
        yield entry
        if entry["mediaType"] in _INDICES:
            for child in json.loads(self.blob(entry["digest"]).read_bytes())["manifests"]:
                if self.blob(child["digest"]).exists():
                    yield from self._manifests(child)

    def _parts(self, digest: str) -> list[Json]:
        """What a manifest names and an image cannot do without."""
        body = json.loads(self.blob(digest).read_bytes())
        return [body["config"], *body["layers"]] if "layers" in body else []

    def _there(self, part: Json) -> bool:
        blob = self.blob(part["digest"])
        return blob.is_file() and blob.stat().st_size == part["size"]


def _reason(text: str) -> str:
    """Pure: the cause in skopeo's last line, which begins with time and level."""
    line = text.strip().splitlines()[-1] if text.strip() else "it did not say why"
    _, found, message = line.partition('msg="')
    return (message.removesuffix('"') if found else line).replace('\\"', '"')
