"""Where something stands that upstream ships as a default: in an object that would be sent, or in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths

FILE = paths.ROOT / "tests/contract/published_defaults.yml"
SENSITIVE = r"(?:password|passwd|secret|token|api_?key|access_?key)"
BETWEEN_WORDS = re.compile(r"[\s\"'`=,;|{}\[\]()<>]+")


@dataclass(frozen=True)
class Default:
    """One row of the list."""

    value: str
    match: str
    source: str
    key: str = ""

    def stands(self, name: str, text: str) -> bool:
        """Whether it stands in ``text``, the value of ``name``."""
        if self.value not in text:
            return False
        if self.match == "anywhere":
            return True
        if self.match == "value":
            return self.value in BETWEEN_WORDS.split(text)
        if self.match == "secret":
            named = re.search(SENSITIVE, name, re.IGNORECASE) and text.strip() == self.value
            return bool(named or self._assigned(SENSITIVE + r"\w*", text))
        return (name == self.key and text.strip() == self.value) or self._assigned(self.key, text)

    def _assigned(self, key: str, text: str) -> bool:
        end = r"(?=[\s\"'},]|$)"
        pattern = rf"(?:^|[\s\"'{{,_-]){key}[\"']?\s*[:=]\s*[\"']?{re.escape(self.value)}{end}"
        return re.search(pattern, text, re.IGNORECASE | re.MULTILINE) is not None


@cache
def defaults() -> tuple[Default, ...]:
    """The list."""
    return tuple(Default(**row) for row in yaml.safe_load(FILE.read_text()))


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an object with its name; an environment variable has its own."""
    if isinstance(value, dict):
        own = {str(value["name"]): value["value"]} if value.keys() == {"name", "value"} else value
        for key, item in own.items():
            yield from leaves(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, name)
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def in_object(manifest: dict[str, Any]) -> list[str]:
    """Findings in one object, as words for a person."""
    place = f"{manifest['kind']}/{manifest['metadata']['name']}"
    known = defaults()
    return [
        f"{place} {name}: {one.value} ({one.source})"
        for name, text in leaves(manifest)
        for one in known
        if one.stands(name, text)
    ]


def in_file(file: Path, *, program: bool = False) -> list[str]:
    """Findings in one file; in a program ordinary words stand for much besides."""
    text = file.read_text(errors="ignore")
    known = [one for one in defaults() if not program or one.match in ("anywhere", "value")]
    return [f"{file.name}: {one.value} ({one.source})" for one in known if one.stands("", text)]
