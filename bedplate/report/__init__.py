"""The acceptance report: one self-contained HTML page per environment.

Inventory and records are read at the rim (``sources``), turned by pure functions into a view model
(``model`` and the modules that fill it), and rendered with Jinja2 and small pure SVG functions (``page``).
Every input but the inventory may be missing: then the page is a picture of the plan and says what was not
measured.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bedplate import paths
from bedplate.check.run import check
from bedplate.check.source import read as read_inventory
from bedplate.report import sources
from bedplate.report.build import build
from bedplate.report.model import Page
from bedplate.report.page import render


def write(inventory: Path) -> tuple[Path, Page]:
    """Check ``inventories/ENV`` and write ``artifacts/ENV/report.html``; its path and what stands on it.

    Raises BadInput when the inventory cannot be read at all; what the check finds in it stands on the page.
    """
    source = read_inventory(inventory)
    records = replace(sources.read(source.inventory.environment), findings=check(source).findings)
    page = build(source.inventory, records, datetime.now(UTC))
    file = paths.artifacts(page.environment) / "report.html"
    file.write_text(render(page))
    return file, page
