"""What a bundle holds: a signed list of every file and every image. Pure functions over records.

The manifest names each file with its size and SHA-256; it stands in the bundle as ``manifest.json``, its
signature beside it. Everything else in the folder is listed, and nothing else may be there.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from bedplate.errors import VERDICT_NO, BedplateError

NAME = "manifest.json"
SIGNATURE = "manifest.json.sig"
PUBLIC_KEY = "bundle.pub"
PARTIAL = ".partial"  # what is still being fetched; never in a finished bundle
FORMAT = 1
UPSTREAM, MADE_HERE = "upstream", "made here"
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# The grammar of image references (distribution/reference), always with a registry and a tag.
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
REFERENCE = re.compile(
    rf"(?P<registry>[A-Za-z0-9.-]+(?::[0-9]+)?)/(?P<name>{_PART}(?:/{_PART})*):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})"
)
_MEDIA_TYPE = re.compile(r"application/[A-Za-z0-9.+-]+")


@dataclass(frozen=True, order=True)
class File:
    """One file: path relative to the bundle, bytes, SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, order=True)
class Image:
    """One image: ``reference`` is what hosts ask for, ``digest`` what they get.

    ``origin`` is ``upstream`` or ``made here``; ``made_from`` says in words where exactly, or of what.
    ``manifests`` pairs every manifest and index that belongs to it with its media type, its own first.
    """

    reference: str
    digest: str
    origin: str
    made_from: str
    manifests: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Manifest:
    """A whole bundle. ``time`` (UTC, ISO 8601) is the only part that two equal bundles may differ in."""

    environment: str
    time: str
    files: tuple[File, ...]
    images: tuple[Image, ...] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Differences:
    """Files that are not as the manifest says, by path."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.unexpected)


def document(manifest: Manifest) -> bytes:
    """The manifest as it is signed; the same manifest gives the same bytes."""
    body = {
        "format": FORMAT,
        "environment": manifest.environment,
        "time": manifest.time,
        "versions": dict(sorted(manifest.versions.items())),
        "images": [asdict(image) for image in sorted(manifest.images)],
        "files": [asdict(file) for file in sorted(manifest.files)],
    }
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


def parse(text: bytes) -> Manifest:
    """The manifest in a document. Raises BedplateError for anything that could lead out of the bundle."""
    try:
        body = json.loads(text)
        if body["format"] != FORMAT:
            raise BedplateError(
                f"the bundle has format {body['format']}, and this Bedplate reads {FORMAT}",
                remedy="use the Bedplate that the bundle was built with",
            )
        files = tuple(File(e["path"], int(e["size"]), e["sha256"]) for e in body["files"])
        images = tuple(_image(entry) for entry in body["images"])
        manifest = Manifest(body["environment"], body["time"], files, images, body["versions"])
    except (ValueError, KeyError, TypeError) as error:
        raise BedplateError(f"{NAME} is no manifest: {error!r}", code=VERDICT_NO) from error
    wrong = [*_wrong_files(files), *_wrong_images(images)]
    if wrong:
        raise BedplateError(f"{NAME} names what no bundle holds: {', '.join(wrong[:5])}", code=VERDICT_NO)
    return manifest


def _image(entry: Mapping[str, Any]) -> Image:
    manifests = tuple((str(digest), str(kind)) for digest, kind in entry["manifests"])
    return Image(entry["reference"], entry["digest"], entry["origin"], entry["made_from"], manifests)


def _wrong_files(files: Iterable[File]) -> list[str]:
    seen: set[str] = set()
    wrong = []
    for file in files:
        bad = not inside(file.path) or file.path in seen or not _HEX.fullmatch(file.sha256) or file.size < 0
        if bad or file.path in (NAME, SIGNATURE):
            wrong.append(repr(file.path))
        seen.add(file.path)
    return wrong


def _wrong_images(images: Iterable[Image]) -> list[str]:
    return [
        repr(image.reference)
        for image in images
        if not REFERENCE.fullmatch(image.reference)
        or image.origin not in (UPSTREAM, MADE_HERE)
        or image.digest not in dict(image.manifests)
        or not all(_DIGEST.fullmatch(d) and _MEDIA_TYPE.fullmatch(kind) for d, kind in image.manifests)
    ]


def inside(path: str) -> bool:
    """Whether a path stays below the folder that it is relative to, and is written in the one plain way."""
    parts = PurePosixPath(path).parts
    plain = path == "/".join(parts) and path.isprintable() and "\\" not in path
    return bool(parts) and plain and not path.startswith("/") and ".." not in parts


def compare(manifest: Manifest, observed: Mapping[str, tuple[int, str | None]]) -> Differences:
    """Hold what is there (path to size and SHA-256, None where it was not read) against the manifest."""
    listed = {file.path: file for file in manifest.files}
    changed = [
        path
        for path, (size, digest) in observed.items()
        if path in listed and (size != listed[path].size or digest not in (None, listed[path].sha256))
    ]
    missing, unexpected = listed.keys() - observed.keys(), observed.keys() - listed.keys()
    return Differences(tuple(sorted(changed)), tuple(sorted(missing)), tuple(sorted(unexpected)))


def same_content(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests differ in nothing but their time."""
    return document(one) == document(Manifest(**{**other.__dict__, "time": one.time}))
