"""The index of the runbook pages, derived from the rules (`python -m bedplate.monitoring.runbooks`)."""

import re
from collections.abc import Sequence

import yaml

from bedplate import paths
from bedplate.monitoring import catalogue, thresholds
from bedplate.monitoring.model import Alert, Group

FOLDER = paths.ROOT / "docs" / "runbooks"
INDEX = FOLDER / "README.md"
_HEAD = """# What to do when an alert fires

One page per alert: what it means, how to look, what to do. This index is derived from the rules
(`bedplate/monitoring/rules/`) by `python -m bedplate.monitoring.runbooks`; the pages are written by hand. A
`page` wakes somebody, a `ticket` is for the next working day, `info` is a hint. Limits are those of
`inventories/_common/monitoring.yml`; an environment may have its own.
"""
_WORD = re.compile(r"\{\{\s*\$(labels\.)?(\w+)[^}]*\}\}")


def document(groups: Sequence[Group]) -> str:
    """Pure: the index, one table per group."""
    parts = [_HEAD]
    for group in groups:
        names = dict.fromkeys(alert.name for alert in group.alerts)
        rows = [_row([alert for alert in group.alerts if alert.name == name]) for name in names]
        parts.append(
            f"\n## {group.name.capitalize()}\n\n"
            "| alert | severity, after | owner | says |\n|---|---|---|---|\n" + "".join(rows)
        )
    return "".join(parts)


def _row(alerts: Sequence[Alert]) -> str:
    first = alerts[0]
    levels = ", ".join(f"{alert.severity} {alert.wait}" for alert in alerts)
    says = _WORD.sub(lambda word: (word[2] if word[1] else "n").upper(), first.summary).replace("|", "\\|")
    return f"| [{first.name}]({first.name}.md) | {levels} | {first.owner} | {says} |\n"


def current() -> str:
    """The index of the rules as they stand, with the shared thresholds."""
    shared = thresholds.written(yaml.safe_load(thresholds.FILE.read_text()))
    return document(catalogue.groups(shared))


if __name__ == "__main__":
    INDEX.write_text(current())
