"""Where components are reached and with which credentials: through the API server, as whoever may forward
ports and read Secrets; or at addresses that are given."""

import base64
import json
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from bedplate.errors import BedplateError
from bedplate.smoke.targets import SecretKey, Target
from bedplate.smoke.web import PODS, Address, Broken

FORWARDED = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
SECONDS = 20.0  # until a port is forwarded
RIGHTS = "use a kubeconfig that may read Secrets and forward ports in this namespace"


class Reach(Protocol):
    """What a run is given: an address as long as a probe asks, and what the probe needs to know."""

    def address(self, target: Target) -> AbstractContextManager[Address]:
        """Where the component is. Raises Broken."""

    def secret(self, key: SecretKey) -> str:
        """One value. Raises Broken."""


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster by kubectl, as its configuration says (KUBECONFIG). ``given`` are addresses of
    components, by name, that are asked without it."""

    kubectl: str
    given: Mapping[str, Address] = field(default_factory=dict)

    @contextmanager
    def address(self, target: Target) -> Iterator[Address]:
        """The given address, or a port of this machine that is forwarded to the Service as long as it is
        asked."""
        if target.component in self.given:
            yield self.given[target.component]
            return
        command = [self.kubectl, "-n", target.namespace, "port-forward", f"svc/{target.service}"]
        with subprocess.Popen(
            [*command, f":{target.port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout
                yield Address("127.0.0.1", _port(process.stdout, target))
            finally:
                process.terminate()

    def secret(self, key: SecretKey) -> str:
        """Read by the API server."""
        command = [self.kubectl, "-n", key.namespace, "get", "secret", key.name, "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS * 3)
        if done.returncode != 0:
            raise Broken(
                f"its Secret {key.namespace}/{key.name} cannot be read: {_last(done.stderr)}", RIGHTS
            )
        data = json.loads(done.stdout).get("data", {})
        if key.key not in data:
            raise Broken(f"its Secret {key.namespace}/{key.name} lacks {key.key}", "run `pulumi up`")
        return base64.b64decode(data[key.key]).decode()


def _port(output: IO[str], target: Target) -> int:
    """The port that kubectl chose. Raises Broken with what it complains about."""
    said, end = "", time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0 and selector.select(left):
            line = output.readline()
            if found := FORWARDED.search(line):
                return int(found[1])
            if not line:
                break
            said = line
    reason = _last(said) or f"nothing is forwarded within {SECONDS:.0f} s"
    raise Broken(f"{target.namespace}/{target.service} cannot be reached: {reason}", PODS)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def cluster(given: Mapping[str, Address]) -> Cluster:
    """By the kubectl that is installed beside us, or the one on PATH. Raises BedplateError without one."""
    beside = Path(sys.executable).with_name("kubectl")
    program = str(beside) if beside.exists() else shutil.which("kubectl")
    if program is None:
        raise BedplateError("kubectl is not here", remedy="run `make setup`")
    return Cluster(program, given)
