"""The acceptance report: one self-contained HTML page per environment.

Inventory and records are read at the rim (``sources``), turned by pure functions into a view model
(``model`` and the modules that fill it), and rendered with Jinja2 and small pure SVG functions (``page``).
Every input but the inventory may be missing: then the page is a picture of the plan and says what was not
measured.
"""

from datetime import UTC, datetime
from pathlib import Path

from bedplate import paths
from bedplate.inventory import Inventory
from bedplate.report import sources
from bedplate.report.build import build
from bedplate.report.model import Page
from bedplate.report.page import render


def write(inventory: Inventory) -> tuple[Path, Page]:
    """Write ``artifacts/ENV/report.html``; returns its path and what stands on it."""
    page = build(inventory, sources.read(inventory.environment), datetime.now(UTC))
    file = paths.artifacts(inventory.environment) / "report.html"
    file.write_text(render(page))
    return file, page
