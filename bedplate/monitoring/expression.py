"""Which series and labels a PromQL expression reads. Not a parser: expressions of ours, in their forms."""

import re
from collections.abc import Iterator

_STRING = r'"(?:[^"\\]|\\.)*"'
_CLAUSE = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(rf"([A-Za-z_:][\w:]*)\s*\{{((?:[^{{}}\"]|{_STRING})*)\}}")
_MATCHER = re.compile(rf"(\w+)\s*(?:=~|!~|!=|=)\s*{_STRING}")
_NAME = re.compile(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(?!\s*\()(?![\w:])")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def metrics(expr: str) -> set[str]:
    """Names of the series that an expression reads."""
    bare = re.sub(rf"\{{(?:[^{{}}\"]|{_STRING})*\}}|\[[^\]]*\]|{_STRING}", " ", expr)
    bare = re.sub(r"\boffset\s+\w+", " ", _CLAUSE.sub(" ", bare))
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}


def matchers(expr: str) -> Iterator[tuple[str, str]]:
    """Series and label of every matcher."""
    for name, inside in _SELECTOR.findall(expr):
        for label in _MATCHER.findall(inside):
            yield name, label


def grouped(expr: str) -> set[str]:
    """Labels that an expression aggregates or joins by."""
    bare = re.sub(_STRING, " ", expr)
    return {
        label.strip() for _, inside in _CLAUSE.findall(bare) for label in inside.split(",") if label.strip()
    }
