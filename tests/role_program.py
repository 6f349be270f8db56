"""A program that a role puts on hosts, as a module whose functions tests call."""

import importlib.util
from types import ModuleType

from bedplate import paths


def load(role: str, name: str) -> ModuleType:
    """roles/ROLE/files/NAME.py, loaded anew."""
    spec = importlib.util.spec_from_file_location(name, paths.ROLES / role / "files" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
