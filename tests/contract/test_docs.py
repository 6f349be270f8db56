"""The guides say what is true of the tree: links, commands, make targets, files, and what is derived."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from bedplate import paths, reference
from bedplate.cli import app

GUIDES = sorted([paths.ROOT / "README.md", *(paths.ROOT / "docs").rglob("*.md")])
CLI = typer.main.get_command(app)
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
PATH = re.compile(r"(?<![\w/.-])(?:playbooks|scripts|roles|inventories|docs|tests|pulumi|tools)/[\w./-]+")


def code_of(guide: Path) -> list[str]:
    """Every line of code of a guide, in blocks and in running text, without the prompt and comments."""
    lines = [line for block, span in CODE.findall(guide.read_text()) for line in (block or span).splitlines()]
    return [re.sub(r"\s+# .*", "", line).removeprefix("$ ").strip() for line in lines]


def complaint(line: str) -> str:
    """What is wrong with a `bedplate …` line; empty when command and options exist."""
    command: Any = CLI
    words = shlex.split(line)[1:]
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r} in: {line}"
        command = command.commands[words.pop(0)]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and word.partition("=")[0] not in known | {"--help"}:
            return f"there is no option {word} in: {line}"
    return ""


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
class TestGuide:
    """One guide."""

    def test_links_lead_somewhere(self, guide: Path) -> None:
        targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", guide.read_text())
        assert [target for target in targets if not (guide.parent / target).exists()] == []

    def test_commands_exist(self, guide: Path) -> None:
        lines = [line for line in code_of(guide) if line.startswith("bedplate ")]
        assert [problem for line in lines if (problem := complaint(line))] == []

    def test_make_targets_exist(self, guide: Path) -> None:
        targets = set(re.findall(r"^([a-z]+):", (paths.ROOT / "Makefile").read_text(), re.MULTILINE))
        named = {m[1] for line in code_of(guide) if (m := re.match(r"make ([a-z]+)", line))}
        assert named - targets == set()

    def test_files_exist(self, guide: Path) -> None:
        named = {path.rstrip("/.") for line in code_of(guide) for path in PATH.findall(line)}
        real = {
            path for path in named if not re.search(r"[A-Z]{2,}", path)
        }  # ENV, HOST and ROLE stand for others
        assert sorted(path for path in real if not (paths.ROOT / path).exists()) == []


def test_every_guide_is_in_the_index() -> None:
    index = (paths.ROOT / "docs" / "README.md").read_text()
    guides = [guide.name for guide in (paths.ROOT / "docs").glob("*.md") if guide.name != "README.md"]
    assert [name for name in guides if f"({name})" not in index] == []


def test_the_reference_is_what_schemas_and_roles_say() -> None:
    assert reference.FILE.read_text() == reference.document(), "run: python -m bedplate.reference"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bedplate report -i inventories/lab", ""),
        ("bedplate twin up -i inventories/lab", ""),
        ("bedplate twin fly -i inventories/lab", "no command 'fly'"),
        ("bedplate report --pdf", "no option --pdf"),
        ("bedplate report --json=x", ""),
    ],
)
def test_the_rule_for_commands(line: str, words: str) -> None:
    found = complaint(line)
    assert (words in found) if words else not found
