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
        """``REGISTRY/PATH:TAG``, with ``@DIGEST`` where the environment gives one."""
        image = self.entries[name]
        digest = f"@{image.digest}" if image.digest else ""
        return f"{self.registry}/{image.path}:{image.tag}{digest}"

    @property
    def by_tag(self) -> list[str]:
        """Names of images of which the tag alone is trusted."""
        return sorted(name for name, image in self.entries.items() if not image.digest)

    def size(self, name: str) -> int:
        """Compressed bytes to pull (estimate)."""
        return self.entries[name].size


def images(registry: str, catalogue: Mapping[str, Mapping[str, Any]], digests: Mapping[str, str]) -> Images:
    """``catalogue_images`` as records; ``digests`` are those of the environment's registry, by name."""
    entries = {
        name: Image(
            path=entry["source"].partition("/")[2],
            tag=entry["tag"],
            digest=digests.get(name, ""),
            size=parse_bytes(entry["size"]),
        )
        for name, entry in catalogue.items()
    }
    return Images(registry, entries)
