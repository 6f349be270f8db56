"""The series that rules and dashboards may read, with where each name comes from.

The files of ``exporters/`` hold one document per exporter: ``exporter`` (the job), ``source``, ``labels`` of
all its series, ``metrics`` with their own labels, ``hardware`` (those that need hardware or a certificate to
appear), ``recorded`` (names that a real run of the program showed), ``counters`` (dcgm-exporter's list).
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parent
FOLDER = PACKAGE / "exporters"
COUNTERS = PACKAGE / "dcgm-counters.csv"


@dataclass(frozen=True)
class Metric:
    """One series name; ``labels`` are its own and its exporter's, without those of the scrape."""

    name: str
    exporter: str
    labels: frozenset[str]
    source: str
    recorded: str = ""  # file with the names that a real run showed; empty where none was recorded


@dataclass(frozen=True)
class Counter:
    """One line of dcgm-exporter's list; kind is gauge, counter or label."""

    field: str
    kind: str
    help: str


@cache
def known() -> Mapping[str, Metric]:
    """Every metric by name."""
    texts = (file.read_text() for file in sorted(FOLDER.glob("*.yml")))
    documents = (document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader))
    return {metric.name: metric for document in documents for metric in _metrics(document)}


@cache
def counters() -> tuple[Counter, ...]:
    """What dcgm-exporter is told to read."""
    lines = (line for line in COUNTERS.read_text().splitlines() if line and not line.startswith("#"))
    return tuple(Counter(*(cell.strip() for cell in row)) for row in csv.reader(lines))


def _metrics(document: Mapping[str, Any]) -> Iterator[Metric]:
    shared, own = frozenset(document["labels"]), dict(document["metrics"])
    if "counters" in document:
        own = {counter.field: [] for counter in counters() if counter.kind != "label"} | own
    for name, labels in own.items():
        yield Metric(
            name, document["exporter"], shared | set(labels), document["source"], document.get("recorded", "")
        )
    for name, labels in document.get("hardware", {}).items():
        yield Metric(name, document["exporter"], shared | set(labels), document["source"])
