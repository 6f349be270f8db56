"""The least that is needed to write SVG safely: every value is escaped, colours come from the style sheet."""

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape


def element(name: str, *children: object, **attributes: Any) -> Markup:
    """One element; ``class_`` and ``text_anchor`` become ``class`` and ``text-anchor``, None is left out."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None
    )
    body = Markup("").join(escape(child) for child in children)
    if not body:
        return Markup("<{}{}/>").format(name, written)
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, body)


def drawing(width: float, height: float, label: str, children: Iterable[Markup], class_: str = "") -> Markup:
    """An SVG image of ``width`` by ``height`` CSS pixels with a text for those who cannot see it."""
    return element(
        "svg",
        *children,
        class_=class_ or None,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )


def rect(x: float, y: float, width: float, height: float, class_: str, **attributes: Any) -> Markup:
    """A box."""
    return element("rect", x=x, y=y, width=width, height=height, class_=class_, **attributes)


def text(x: float, y: float, words: object, class_: str = "", **attributes: Any) -> Markup:
    """Words at a point."""
    return element("text", words, x=x, y=y, class_=class_ or None, **attributes)


def shorten(words: str, letters: int) -> str:
    """Words that fit: cut in the middle, where names of hosts differ least."""
    if len(words) <= letters:
        return words
    tail = letters // 2
    return f"{words[: letters - tail - 1]}…{words[-tail:]}"


def _plain(value: object) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
