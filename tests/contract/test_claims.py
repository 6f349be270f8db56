"""README claims only what a record proves.

A figure with a unit of measurement in README stands beside a link to its record in docs/evidence.md; the
record exists, did not fail, and holds the figure that the link says.
"""

import re
from dataclasses import dataclass

import pytest

from bedplate import paths
from bedplate.evidence import AREAS, Evidence
from bedplate.report.docs import FILE, Row, table

UNITS = r"ms|s|seconds?|min|minutes?|h|hours?|%|IOPS|changes?|(?:requests|tokens|[KMGT]i?[Bb](?:it)?)/s"
RATIO = r"[x\u00d7](?!\s?[A-Z\d])"  # 3x faster, but not 8x H100
MEASURED = re.compile(rf"(?<![\w.-])\d[\d,]*(?:\.\d+)?(?:\s?(?:{UNITS})|{RATIO})(?![\w/])")
LINK = re.compile(r"\[([^\]]+)\]\((?:\./)?docs/evidence\.md#([\w.-]+)\)")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Proved:
    """A row of docs/evidence.md: its value as written there, and its verdict."""

    value: str
    verdict: str


def rows_of(document: str) -> dict[str, Proved]:
    """Every row that a link can reach, by id."""
    rows = {}
    for line in document.splitlines():
        anchor = re.match(r'\| <a id="([^"]+)"></a>', line)
        if anchor:
            cells = re.split(r"(?<!\\) \| ", line.strip("| "))
            rows[anchor[1]] = Proved(value=cells[2], verdict=cells[4])
    return rows


def blocks_of(readme: str) -> list[str]:
    """Paragraphs, list items and table rows; code says what to type, not what was measured."""
    text = re.sub(r"```.*?```", "", readme, flags=re.DOTALL)
    return [block for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.)\s)", text) if block.strip()]


def problems(readme: str, rows: dict[str, Proved]) -> list[str]:
    """What README claims without a record, one sentence each."""
    found = []
    for block in blocks_of(readme):
        links = LINK.findall(block)
        rest = re.sub(r"`[^`]*`", "", LINK.sub("", block))
        if MEASURED.search(rest) and not links:
            found.append(f"{MEASURED.search(rest)[0]!r} has no link to its record: {block.strip()[:80]}")
        found += [problem for words, id in links if (problem := _problem(words, id, rows))]
    return found


def _problem(words: str, id: str, rows: dict[str, Proved]) -> str:
    if id not in rows:
        return f"{words!r} links to {id}, which has no record"
    if rows[id].verdict == "fail":
        return f"{words!r} links to {id}, whose goal was missed"
    claimed, measured = NUMBER.search(words), NUMBER.search(rows[id].value)
    if claimed and not (measured and _agree(claimed[0], measured[0])):
        return f"{words!r} links to {id}, which says {rows[id].value}"
    return ""


def _agree(claimed: str, measured: str) -> bool:
    places = len(claimed.partition(".")[2])
    return round(float(measured.replace(",", "")), places) == float(claimed.replace(",", ""))


def test_readme_claims_only_what_is_proved() -> None:
    rows = rows_of(FILE.read_text()) if FILE.exists() else {}
    assert problems((paths.ROOT / "README.md").read_text(), rows) == []


def test_evidence_ids_begin_with_their_area() -> None:
    rows = rows_of(FILE.read_text()) if FILE.exists() else {}
    assert [id for id in rows if id.split(".")[0] not in AREAS] == []


def record(id: str, value: float, goal: str, verdict: str) -> Evidence:
    return Evidence(
        id, "c", value, "s", goal, verdict, "twin", {"cores": 2}, "make up", "2026-11-23T05:30:00"
    )


ROWS = rows_of(
    table(
        [
            Row("lab", record("hosts.up", 1412.6, "< 1500", "pass")),
            Row("lab", record("hosts.slow", 31.0, "< 25", "fail")),
        ]
    )
)


@pytest.mark.parametrize(
    ("readme", "expected"),
    [
        ("It needs Python 3.11+ and 2 cores.", []),
        ("`make up` takes [1413 s](docs/evidence.md#hosts.up) on two cores.", []),
        ("`make up` takes [1,413 s](docs/evidence.md#hosts.up).", []),
        ("[Measured](docs/evidence.md#hosts.up).", []),
        ("```console\n$ sleep 5 s\n```", []),
        ("Ends within `30 s`.", []),
        ("Nodes of 8 x H100, 8x H100 or 8xH100.", []),
        ("It is 3x faster.", ["'3x' has no link"]),
        ("`make up` takes 24 minutes.", ["'24 minutes' has no link"]),
        ("- fast\n- 5,000 requests/s", ["'5,000 requests/s' has no link"]),
        ("Serves 99 % of users.", ["'99 %' has no link"]),
        ("[1400 s](docs/evidence.md#hosts.up)", ["which says 1,413 s"]),
        ("[31 s](docs/evidence.md#hosts.slow)", ["whose goal was missed"]),
        ("[9 s](docs/evidence.md#hosts.none)", ["which has no record"]),
        (
            "Here [31 s](docs/evidence.md#hosts.slow)\n\nand 7 min.",
            ["goal was missed", "'7 min' has no link"],
        ),
    ],
)
def test_the_rule(readme: str, expected: list[str]) -> None:
    found = problems(readme, ROWS)
    assert len(found) == len(expected), found
    for problem, words in zip(found, expected, strict=True):
        assert words in problem
