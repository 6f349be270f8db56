"""Where packages come from: a pure planner over the files that apt reads its sources from.

With a mirror, our file names it, and every file with a source that leads elsewhere is set aside under a name
that apt passes over in silence. Without one, what was set aside comes back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ASIDE = ".bedplate.disabled"  # apt ignores *.disabled without a word (Dir::Ignore-Files-Silently)
READ = (".list", ".sources")
_ENTRY = re.compile(r"\s*deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+)")
_FIELD = re.compile(r"([A-Za-z-]+):(.*)")


@dataclass(frozen=True)
class Action:
    """One step: ``write`` (``after`` is the content), ``rename`` (``after`` is the path) or ``remove``."""

    kind: str
    path: str
    before: str
    after: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}" + (f" to {self.after}" if self.kind == "rename" else "")


def plan(ours: str, content: str, mirror: str, observed: dict[str, str]) -> tuple[list[Action], str]:
    """What to do, in the order in which to do it, or why nothing can be done.

    ``ours`` is the path of our file and ``content`` what it must hold; ``mirror`` empty means that there is
    none. ``observed`` maps path to content for every file of apt's folders, those set aside included.
    """
    if mirror:
        return _through_mirror(ours, content, mirror, observed), ""
    back = [
        Action("rename", path, observed[path], path.removesuffix(ASIDE))
        for path in sorted(observed)
        if path.endswith(ASIDE) and path.removesuffix(ASIDE) not in observed
    ]
    if ours not in observed:
        return back, ""
    left = [
        text for path, text in observed.items() if path != ours and addresses(path.removesuffix(ASIDE), text)
    ]
    if not left:
        return [], (
            f"without the mirror no package source is left; {ours} is kept. Write the distribution's own "
            f"sources beside it, then run this again"
        )
    return [*back, Action("remove", ours, observed[ours])], ""


def _through_mirror(ours: str, content: str, mirror: str, observed: dict[str, str]) -> list[Action]:
    steps = [Action("write", ours, observed.get(ours, ""), content)] if observed.get(ours) != content else []
    for path, text in sorted(observed.items()):
        elsewhere = [one for one in addresses(path, text) if not within(one, mirror)]
        if path != ours and elsewhere:
            steps.append(Action("rename", path, text, path + ASIDE))
    return steps


def within(address: str, mirror: str) -> bool:
    """Is an address the mirror's, or below it?"""
    return f"{address.rstrip('/')}/".startswith(f"{mirror.rstrip('/')}/")


def addresses(path: str, text: str) -> list[str]:
    """Addresses of the sources that a file really has: what is commented out or not enabled is none."""
    if path.endswith(READ[0]):
        return [found[1] for line in text.splitlines() if (found := _ENTRY.match(line))]
    if not path.endswith(READ[1]):
        return []
    fields = [_fields(stanza) for stanza in re.split(r"\n[ \t]*\n", text)]
    return [
        address
        for stanza in fields
        if "types" in stanza
        and stanza.get("enabled", "yes").strip().lower() not in ("no", "false", "0", "off")
        for address in stanza.get("uris", "").split()
    ]


def _fields(stanza: str) -> dict[str, str]:
    """Fields of one deb822 stanza by lower-case name; further lines of a value begin with a blank."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif found := _FIELD.match(line):
            name = found[1].lower()
            fields[name] = found[2].strip()
    return fields
