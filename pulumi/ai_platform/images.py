"""One place that turns a name of the image catalogue into what a pod runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.units import parse_bytes


@dataclass(frozen=True)
class Image:
    """One pinned image. ``path`` is the upstream's without its registry; ``size`` compressed, in bytes."""

    path: str
    tag: str
    digest: str
    size: int


@dataclass(frozen=True)
class Images:
    """The catalogue as this environment's registry serves it."""

    registry: str
    entries: Mapping[str, Image]

    def reference(self, name: str) -> str:
        """``REGISTRY/PATH:TAG``, with ``@DIGEST`` where the catalogue holds one."""
        image = self.entries[name]
        digest = f"@{image.digest}" if image.digest else ""
        return f"{self.registry}/{image.path}:{image.tag}{digest}"

    def size(self, name: str) -> int:
        """Compressed bytes to pull (estimate)."""
        return self.entries[name].size


def images(registry: str, catalogue: Mapping[str, Mapping[str, Any]]) -> Images:
    """``catalogue_images`` as records."""
    entries = {
        name: Image(
            path=entry["source"].partition("/")[2],
            tag=entry["tag"],
            digest=entry.get("digest") or "",
            size=parse_bytes(entry["size"]),
        )
        for name, entry in catalogue.items()
    }
    return Images(registry, entries)
