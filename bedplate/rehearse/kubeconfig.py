"""Kubeconfig files: one identity each, certificates inside, readable by their owner only."""

import base64
import json
from pathlib import Path

from bedplate.private_files import write_private
from bedplate.rehearse.pki import Pair

CLUSTER = "rehearsal"


def write(path: Path, server: str, authority: Path, identity: Pair) -> Path:
    """Write a kubeconfig (JSON is YAML) for ``identity`` at ``server`` (https://address:port)."""
    user = path.stem
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": CLUSTER,
                "cluster": {"server": server, "certificate-authority-data": _data(authority)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _data(identity.certificate),
                    "client-key-data": _data(identity.key),
                },
            }
        ],
        "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": user}}],
        "current-context": CLUSTER,
    }
    write_private(path, json.dumps(config, indent=1).encode())
    return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
