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


@dataclass(frozen=True)
class Write:
    """One file to write: what it holds now (None: it is not there) and what it will hold."""

    path: str
    before: str | None
    after: str | None
    mode: str
    owner: str
    group: str
    validate: str | None


def plan(desired: list[dict[str, Any]], observed: dict[str, dict[str, str] | None]) -> list[Write]:
    """Files that differ from what is desired, in the order given; an empty list means nothing to do.

    ``content`` None means that the file must not be there.
    """
    writes = []
    for file in desired:
        now = observed[file["path"]]
        content = wanted_content(file, now)
        want = {
            "content": content,
            "mode": file.get("mode") or (now["mode"] if now and file.get("block") else FILE_MODE),
            "owner": file.get("owner") or "root",
            "group": file.get("group") or "root",
        }
        if content is None and now is None:
            continue
        if content is not None and now is not None and all(now[key] == want[key] for key in want):
            continue
        writes.append(
            Write(
                path=file["path"],
                before=now["content"] if now else None,
                after=content,
                mode=str(want["mode"]),
                owner=str(want["owner"]),
                group=str(want["group"]),
                validate=file.get("validate"),
            )
        )
    return writes


def wanted_content(file: dict[str, Any], now: dict[str, str] | None) -> str | None:
    """What the whole file must hold; None when it must not be there."""
    content: str | None = file.get("content")
    if not file.get("block"):
        return content
    return replace_block(now["content"] if now else "", file["block"], content or "")


def replace_block(text: str, name: str, content: str) -> str:
    """``text`` with the marked block ``name`` holding ``content``; without it when ``content`` is empty."""
    begin, end = f"# BEGIN {name}", f"# END {name}"
    body = f"{begin}\n{content.rstrip()}\n{end}\n" if content.strip() else ""
    pattern = re.compile(rf"^{re.escape(begin)}\n.*?^{re.escape(end)}\n?", re.MULTILINE | re.DOTALL)
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
