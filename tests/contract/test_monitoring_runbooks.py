"""Every alert has a page and every page an alert; a page is short and speaks of its own alert only."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from bedplate.monitoring import runbooks
from tests.monitoring_tables import groups

ALERTS = sorted({alert.name for group in groups() for alert in group.alerts})
LONGEST = 59
SECTIONS = ["## Look", "## Do"]


@cache
def page(name: str) -> str:
    return (runbooks.FOLDER / f"{name}.md").read_text()


def sentences(text: str) -> list[str]:
    """Sentences of a page, however its lines are broken."""
    flat = re.sub(r"\n(?:- |\d+\. )", "\n\n", re.sub(r"`[^`]*`", "`", text))  # commands may be the same
    parts = re.split(r"\n\n|(?<=[.:;?]) ", flat)
    return [" ".join(part.split()) for part in parts if len(part) > 45 and not part.startswith("#")]


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    pages = {file.stem for file in runbooks.FOLDER.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)


def test_the_index_is_what_the_rules_say() -> None:
    assert runbooks.INDEX.read_text() == runbooks.current(), "run: python -m bedplate.monitoring.runbooks"


def test_alerts_lead_to_their_pages() -> None:
    for alert in (alert for group in groups() for alert in group.alerts):
        assert Path(alert.runbook).name == f"{alert.name}.md"
        assert (runbooks.FOLDER.parent.parent / alert.runbook).is_file()


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_what_it_means_how_to_look_and_what_to_do(name: str) -> None:
    text = page(name)
    assert len(text.splitlines()) <= LONGEST
    assert re.findall(r"^#.*$", text, re.M) == [f"# {name}", *SECTIONS]
    meaning, rest = text.removeprefix(f"# {name}").split("## Look")
    look, do = rest.split("## Do")
    assert len(meaning.split()) >= 12, "what it means"
    assert re.findall(r"^- ", look, re.M), "how to look"
    assert re.findall(r"^1\. ", do, re.M), "what to do"
    assert re.search(r"`[^`]+`|[Dd]ashboard|\]\(", look), "something to type or to open"


@pytest.mark.parametrize("name", ALERTS)
def test_other_alerts_that_a_page_names_are_links_that_lead_somewhere(name: str) -> None:
    text = page(name)
    bare = re.sub(r"\[[^\]]*\]\([^)]*\)|`[^`]*`|^#.*$", "", text, flags=re.M)
    assert [other for other in ALERTS if other != name and re.search(rf"\b{other}\b", bare)] == []
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert [target for target in targets if not (runbooks.FOLDER / target).exists()] == []


def test_no_sentence_stands_on_two_pages() -> None:
    """Filler is what could stand anywhere."""
    counted = Counter(sentence for name in ALERTS for sentence in set(sentences(page(name))))
    assert [sentence for sentence, times in counted.items() if times > 1] == []
