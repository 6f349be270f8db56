"""``PYTHONPATH=pulumi:plugins/module_utils python -m tests.secret_table`` writes docs/secrets.md; a contract
test holds the file to it."""

from typing import Any

from bedplate import secret_table
from tests.platform_samples import common
from tests.rendered import ENVIRONMENTS, inventory, record


def render(name: str) -> list[dict[str, Any]]:
    """Objects of one of the repository's environments, with marks for secrets."""
    return record(inventory(name), secret_table.stand_in).objects


def document() -> str:
    """What the file should hold."""
    return secret_table.table(ENVIRONMENTS, render, common()["catalogue_secrets"])


if __name__ == "__main__":
    secret_table.FILE.write_text(document())
