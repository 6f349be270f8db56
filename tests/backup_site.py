"""A host that is backed up, and a server that keeps its backups: real restic and rclone."""

import base64
import hashlib
import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedplate import backup as _backup  # noqa: F401  makes the package below importable
from bedplate.ports import free_port
from bedplate.private_files import write_private

HOST, CREDENTIAL, PASSWORD = "lab-gpu1", "credential", "password"


@dataclass
class BackupSite:
    """What is made and started lies in ``folder``."""

    folder: Path
    port: int = field(default_factory=free_port)
    server: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.repositories = self.folder / "repositories"
        self.repositories.mkdir(parents=True)
        digest = base64.b64encode(hashlib.sha1(CREDENTIAL.encode()).digest()).decode()
        (self.folder / "htpasswd").write_text(f"{HOST}:{{SHA}}{digest}\n")
        write_private(self.folder / "password", PASSWORD.encode())
        write_private(self.folder / "repository", self.address.encode())

    @property
    def address(self) -> str:
        return f"rest:http://{HOST}:{CREDENTIAL}@127.0.0.1:{self.port}/{HOST}/"

    def start(self) -> None:
        """The server: it adds, and neither changes nor removes."""
        command = ["rclone", "serve", "restic", "--append-only", "--private-repos"]
        command += ["--cache-objects=false", "--local-no-preallocate"]
        command += [f"--addr=127.0.0.1:{self.port}", f"--htpasswd={self.folder / 'htpasswd'}"]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [*command, "--config=/dev/null", str(self.repositories)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5)
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        if self.server:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(30)
            self.server = None

    def document(self, items: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
        """A configuration, as role backup writes it."""
        return {
            "host": HOST,
            "repository_file": str(self.folder / "repository"),
            "password_file": str(self.folder / "password"),
            "state": str(self.folder / "state"),
            "metrics": str(self.folder / "backup.prom"),
            "scratch": str(self.folder / "scratch"),
            "items": list(items),
            **more,
        }

    def write(self, items: Sequence[Mapping[str, Any]], **more: Any) -> Path:
        """The configuration as a file."""
        target = self.folder / "backup.json"
        target.write_text(json.dumps(self.document(items, **more)))
        return target

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
