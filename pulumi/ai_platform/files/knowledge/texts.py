"""From a document to pieces of text, by what its name says that it is."""

import io
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from bs4 import BeautifulSoup
from docx import Document
from pypdf import PdfReader
from semantic_text_splitter import MarkdownSplitter, TextSplitter


class Unreadable(Exception):
    """No text can be made of it, and why."""


def plain(content: bytes) -> str:
    """UTF-8, with or without a mark at its beginning."""
    return content.decode("utf-8-sig")


def html(content: bytes) -> str:
    """What a browser would show."""
    page = BeautifulSoup(content, "html.parser")
    for hidden in page(["script", "style", "noscript", "template"]):
        hidden.decompose()
    return str(page.get_text("\n", strip=True))


def pdf(content: bytes) -> str:
    """Text of all pages. A scan has none."""
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        raise Unreadable("it is encrypted")
    return "\n\n".join(page.extract_text() for page in reader.pages)


def docx(content: bytes) -> str:
    """Paragraphs and tables, in their order."""
    found = []
    for part in Document(io.BytesIO(content)).iter_inner_content():
        rows = getattr(part, "rows", None)
        found += [part.text] if rows is None else [" | ".join(c.text for c in row.cells) for row in rows]
    return "\n\n".join(found)


PARSERS: Mapping[str, Callable[[bytes], str]] = {
    ".txt": plain,
    ".md": plain,
    ".html": html,
    ".htm": html,
    ".pdf": pdf,
    ".docx": docx,
}


def text(name: str, content: bytes) -> str:
    """Raises Unreadable, whatever the parser stumbled over."""
    kind = PurePosixPath(name).suffix.lower()
    if kind not in PARSERS:
        raise Unreadable(f"{kind or 'a name without an ending'} is no kind of document that is known")
    try:
        found = PARSERS[kind](content).strip()
    except Unreadable:
        raise
    except Exception as error:  # a parser fails in its own ways on what it was not made for
        raise Unreadable(f"{type(error).__name__}: {error}"[:300]) from error
    if not found:
        raise Unreadable("there is no text in it")
    return found


def pieces(name: str, whole: str, chunk: int, overlap: int) -> list[str]:
    """At most ``chunk`` characters each, cut where the text itself has a border."""
    kind = MarkdownSplitter if PurePosixPath(name).suffix.lower() == ".md" else TextSplitter
    return [str(one) for one in kind(chunk, overlap=overlap).chunks(whole)]
