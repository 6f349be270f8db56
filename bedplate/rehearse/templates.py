"""Configuration files that production's control plane reads too, from role
kubernetes_control_plane."""

import base64
import secrets
from pathlib import Path
from typing import Any

import jinja2
import yaml

from bedplate import paths
from bedplate.private_files import write_private

ROLE = paths.ROLES / "kubernetes_control_plane"
FOLDER = ROLE / "templates"
FLAGS = ROLE / "vars" / "api_server.yml"
SECRETBOX_KEY_BYTES = 32


def api_server_flags() -> dict[str, str]:
    """Flags of the API server that hold wherever it runs."""
    flags: dict[str, str] = yaml.safe_load(FLAGS.read_text())["__kubernetes_control_plane_api_server"]
    return flags


def encryption_key() -> str:
    """A new key for encryption at rest."""
    return base64.b64encode(secrets.token_bytes(SECRETBOX_KEY_BYTES)).decode()


def render(name: str, folder: Path, **variables: Any) -> Path:
    """Render ``NAME.yml.j2`` as Ansible would into ``folder``; the file is readable by its owner only."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(  # noqa: S701 - YAML for Kubernetes, not HTML
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    target = folder / f"{name}.yml"
    write_private(target, environment.get_template(f"{name}.yml.j2").render(variables).encode())
    return target
