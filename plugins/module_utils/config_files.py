"""Which files must be written: a pure planner. Many small files cost one round trip, not one each.

A desired file is ``{path, content, mode, owner, group, validate, block}``; an observed one is
``{content, mode, owner, group}`` or None where there is no file. With ``block`` only the part of the file
between two marker lines is ours, and the rest stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

FILE_MODE = "0644"
_OCTAL = re.compile(r"[0-7]{1,4}")


@dataclass(frozen=True)
class Write:
    """One file to write: what it holds now (None: it is not there) and what it will hold."""

    path: str
    before: str | None
    after: str | None
    mode: str
    owner: str
    group: str
    validate: tuple[str, ...] = ()


def refusals(desired: list[dict[str, Any]]) -> list[str]:
    """What cannot be meant: a mode that is none, a path that is not absolute, one file wanted in two ways."""
    wrong = []
    whole: set[str] = set()
    for file in desired:
        path = file["path"]
        if not path.startswith("/"):
            wrong.append(f"{path}: the path is not absolute")
        if file.get("mode") and not _OCTAL.fullmatch(file["mode"]):
            wrong.append(f"{path}: mode {file['mode']} is not octal; write it like {FILE_MODE}")
        if file.get("validate") and "%s" not in file["validate"]:
            wrong.append(f"{path}: validate has no %s, so it would judge some other file")
        if not file.get("block"):
            if path in whole:
                wrong.append(f"{path}: it is there twice; a file has one content")
            whole.add(path)
    return wrong


def plan(desired: list[dict[str, Any]], observed: dict[str, dict[str, str] | None]) -> list[Write]:
    """Files that differ from what is desired, in the order given; an empty list means nothing to do.

    ``content`` None means that the file must not be there. Several blocks of one file become one write.
    """
    wanted: dict[str, dict[str, Any] | None] = dict(observed)
    judges: dict[str, list[str]] = {}
    for file in desired:
        path, now = file["path"], wanted[file["path"]]
        content = wanted_content(file, now)
        if file.get("validate"):
            judges.setdefault(path, []).append(file["validate"])
        wanted[path] = None if content is None else {"content": content, **_permission(file, now)}
    paths = dict.fromkeys(file["path"] for file in desired)
    return [
        _write(path, observed[path], wanted[path], tuple(dict.fromkeys(judges.get(path, ()))))
        for path in paths
        if observed[path] != wanted[path]
    ]


def _permission(file: dict[str, Any], now: dict[str, Any] | None) -> dict[str, str]:
    """Mode and owner; a file of which only a block is ours keeps its own mode."""
    kept = now["mode"] if now and file.get("block") else FILE_MODE
    return {
        "mode": f"{int(file.get('mode') or kept, 8):04o}",
        "owner": file.get("owner") or "root",
        "group": file.get("group") or "root",
    }


def _write(
    path: str, now: dict[str, Any] | None, then: dict[str, Any] | None, judges: tuple[str, ...]
) -> Write:
    rights = then or now or {}
    return Write(
        path=path,
        before=now["content"] if now else None,
        after=then["content"] if then else None,
        mode=rights["mode"],
        owner=rights["owner"],
        group=rights["group"],
        validate=judges if then else (),
    )


def wanted_content(file: dict[str, Any], now: dict[str, Any] | None) -> str | None:
    """What the whole file must hold; None when it must not be there."""
    content: str | None = file.get("content")
    if not file.get("block"):
        return content
    if now is None and not (content or "").strip():
        return None  # no block, and no file to take it from
    return replace_block(now["content"] if now else "", file["block"], content or "")


def replace_block(text: str, name: str, content: str) -> str:
    """``text`` with the marked block ``name`` holding ``content``; without it when ``content`` is empty."""
    begin, end = f"# BEGIN {name}", f"# END {name}"
    body = f"{begin}\n{content.rstrip()}\n{end}\n" if content.strip() else ""
    # From a begin to the nearest end, over no other begin: a lost end line must not swallow what follows.
    inside = rf"(?:(?!{re.escape(begin)}\n).*\n)*?"
    pattern = re.compile(rf"^{re.escape(begin)}\n{inside}{re.escape(end)}(?:\n|\Z)", re.MULTILINE)
    if pattern.search(text):
        first = True

        def once(_: re.Match[str]) -> str:
            nonlocal first
            keep, first = (body if first else ""), False
            return keep

        return pattern.sub(once, text)
    if not body:
        return text
    return text + ("" if not text or text.endswith("\n") else "\n") + body
