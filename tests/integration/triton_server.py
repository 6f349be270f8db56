"""A real Triton for tests: installed from the Python package index into a virtual environment of its own,
started on a repository that the pod's own program put together."""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ai_platform import triton_objects
from ai_platform.scripts import FILES
from ai_platform.settings import Settings, TritonService
from bedplate import paths
from bedplate.ports import free_ports

HERE = Path(__file__).parent / "triton"
REQUIREMENTS = HERE / "requirements.txt"
MODELS = HERE / "models"
KEY = "key-of-an-administrator"
# The package's server is release 2.51; the platform's image is newer and has this one too.
NEWER = "--grpc-max-response-pool-size"
PATIENCE = 120.0  # seconds until it is ready, or has ended


@dataclass(frozen=True)
class Server:
    """Where the program, its libraries and a complete Python back end lie."""

    program: Path
    backends: Path
    environment: dict[str, str]

    def arguments(self, service: TritonService, settings: Settings, repository: Path) -> list[str]:
        """What the platform starts the server with, at other paths and ports."""
        http_port, grpc_port, metrics_port = free_ports(3)
        own = {
            "--model-repository": repository,
            "--http-port": http_port,
            "--grpc-port": grpc_port,
            "--metrics-port": metrics_port,
        }
        given = [a.replace("$(TRITON_ADMIN_KEY)", KEY) for a in triton_objects.arguments(service, settings)]
        kept = [a for a in given if a.partition("=")[0] not in (*own, NEWER)]
        local = [f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")]
        changed = [f"{name}={value}" for name, value in own.items()]
        return [str(self.program), *kept, *changed, *local, f"--backend-directory={self.backends}"]

    def refusal(self, service: TritonService, settings: Settings, repository: Path) -> str:
        """All that the server says when it ends by itself, which it must."""
        command = self.arguments(service, settings, repository)
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode != 0, "it loads what it has no back end for"
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def running(self, service: TritonService, settings: Settings, repository: Path) -> Iterator["Client"]:
        """The server until the end of the block; ready when it says so itself."""
        command = self.arguments(service, settings, repository)
        log = repository.with_name("triton.log")
        port = next(int(a.partition("=")[2]) for a in command if a.startswith("--http-port="))
        with log.open("w") as file:
            process = subprocess.Popen(command, env=self.environment, stdout=file, stderr=file)
        try:
            client = Client(port)
            end = time.monotonic() + PATIENCE
            while not client.ready():
                ended = process.poll() is not None
                assert not ended and time.monotonic() < end, log.read_text()[-6000:]
                time.sleep(0.2)
            yield client
        finally:
            process.terminate()
            process.wait(30)


@dataclass(frozen=True)
class Client:
    """Requests over HTTP to 127.0.0.1."""

    port: int

    def ready(self) -> bool:
        """What the readiness probe asks."""
        try:
            return self.ask("GET", "/v2/health/ready")[0] == http.client.OK
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer; JSON where it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read().decode()
            return answer.status, json.loads(content) if content[:1] in ("{", "[") else content


def install() -> Server:
    """The server, fetched once and kept as long as the requirements are the same."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = paths.cache("judges") / f"triton-{key}"
    if not home.exists():
        partial = home.with_name(f"{home.name}.{os.getpid()}")
        venv.create(partial, with_pip=True)
        pip = [partial / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        done = subprocess.run([*pip, "-r", REQUIREMENTS], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(partial)
            pytest.skip(f"Triton is not to be had from the package index: {done.stderr.strip()[-200:]}")
        _complete(partial)
        partial.rename(home)
    (packages,) = home.glob("lib/python*/site-packages")
    server = packages / "pytriton" / "tritonserver"
    environment = {
        "PATH": os.defpath,
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "HOME": str(home),
    }
    return Server(server / "bin" / "tritonserver", server / "backends", environment)


def _complete(environment: Path) -> None:
    """The back end wants the stub of the running Python beside it (the package carries one for each). The
    stub's interpreter looks at no environment variable, only beside the back end: numpy goes there."""
    (packages,) = environment.glob("lib/python*/site-packages")
    server = packages / "pytriton" / "tritonserver"
    backend = server / "backends" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(server / "python_backend_stubs" / version, backend, dirs_exist_ok=True)
    for part in ("numpy", "numpy.libs"):
        (backend / part).symlink_to(os.path.relpath(packages / part, backend))


def assemble(service: TritonService, settings: Settings, folder: Path, weights: dict[str, Path]) -> Path:
    """The repository as the pod's init container makes it of the ConfigMap; ``weights`` (by model) stand
    where the model store would have them."""
    files, repository = folder / "files", folder / "repository"
    files.mkdir(parents=True)
    for name, text in triton_objects.repository_files(service, settings)["data"].items():
        (files / name).write_text(text)
    layout = json.loads((files / "layout.json").read_text())
    layout["links"] = {path: str(weights[path.partition("/")[0]]) for path in layout["links"]}
    (files / "layout.json").write_text(json.dumps(layout))
    command = [sys.executable, FILES / "assemble.py", files, repository]
    subprocess.run(command, check=True)
    return repository
