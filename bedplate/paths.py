"""Where things lie. Every path of the project that code needs is named here and nowhere else."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INVENTORIES = ROOT / "inventories"
COMMON = INVENTORIES / "_common"
ROLES = ROOT / "roles"
PLAYBOOKS = ROOT / "playbooks"
PULUMI = ROOT / "pulumi"
MODULE_UTILS = ROOT / "plugins" / "module_utils"
TOOLS = ROOT / "tools"


def artifacts(environment: str) -> Path:
    """Results of one environment (evidence, reports, host measurements); created when missing."""
    path = ROOT / "artifacts" / environment
    path.mkdir(parents=True, exist_ok=True)
    return path


def state(environment: str) -> Path:
    """Run-time state of one environment (twin, rehearsal), private to the user; created when missing."""
    path = ROOT / ".bedplate" / environment
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def cache(kind: str) -> Path:
    """A cache keyed by content, shared by all checkouts of this user; created when missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "bedplate" / kind
    path.mkdir(parents=True, exist_ok=True)
    return path


def environment_of(inventory: Path) -> str:
    """Environment name = inventory folder = stack name. The one place where it is parsed."""
    folder = inventory.resolve()
    return (folder if folder.is_dir() else folder.parent).name
