"""A real SeaweedFS of the size of a small production: three masters, two of everything else, filers in
PostgreSQL."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_store.sigv4 import Credentials

from ai_platform import consumers, data_parts
from ai_platform import object_store_objects as render
from ai_platform.data_flows import FILER, GRPC, MASTER, STORE, VOLUME
from ai_platform.data_parts import member
from ai_platform.settings import Settings
from bedplate import paths
from bedplate.ports import free_ports
from tests.data_programs import Process, home, substitute

FILES = paths.PULUMI / "ai_platform/files"
sys.path.append(str(FILES))
import s3_setup  # noqa: E402 - the job's program, as a client too

PORTS = {MASTER: "s3_master", VOLUME: "s3_volume", FILER: "s3_filer", STORE: "s3"}
KEYS = {name: f"key-of-{name}" for name in render.identity_names()}
SIGNING = {variable: f"signing-{variable}" for variable in render.KEYS}


class Weed:
    """All processes of the store. ``filer_toml`` says where filers keep names; ``password`` is theirs."""

    def __init__(self, settings: Settings, folder: Path, filer_toml: str, password: str) -> None:
        self.settings, self.folder = settings, folder
        self.parts = data_parts.program_parts(settings)
        self.members = [(app, n) for app in PORTS for n in range(self.parts[app].pods)]
        free = free_ports(3 * len(self.members))
        self.ports = {who: free[3 * i : 3 * i + 3] for i, who in enumerate(self.members)}
        self.identities = folder / "identities.json"
        self.identities.write_text(render.identities(KEYS))
        (folder / "home/.seaweedfs").mkdir(parents=True)
        (folder / "home/.seaweedfs/filer.toml").write_text(filer_toml)
        self.env = {"HOME": str(folder / "home"), "WEED_POSTGRES2_PASSWORD": password, **SIGNING}
        self.processes = {who: self._process(*who) for who in self.members}

    @property
    def all(self) -> list[Process]:
        """In the order in which they find each other."""
        return list(self.processes.values())

    def endpoint(self, gateway: int = 0) -> str:
        """Address of one gateway."""
        return f"http://127.0.0.1:{self.ports[STORE, gateway][0]}"

    def _process(self, app: str, ordinal: int) -> Process:
        place = self.folder / f"{app}-{ordinal}"
        place.mkdir()
        http, grpc, metrics = self.ports[app, ordinal]
        named = self.settings.ports
        places = {f"-port={named[PORTS[app]]}": f"-port={http}", "=/data": f"={place}"}
        places |= {"0.0.0.0": "127.0.0.1"}
        places |= {f"-port.grpc={named[PORTS[app]] + GRPC}": f"-port.grpc={grpc}"}
        places |= {f"-metricsPort={named['s3_metrics']}": f"-metricsPort={metrics}"}
        places |= {f"-ip=$(POD_NAME).{app}-pods.data.svc": "-ip=127.0.0.1", "$(POD_NAME)": f"{app}-{ordinal}"}
        places[f"{render.IDENTITIES}/identities.json"] = str(self.identities)
        # The disk of a machine that tests is small and full; a share of it would be nothing.
        places |= {"-minFreeSpace=5": "-minFreeSpace=50MiB"}
        places |= {"-volumeSizeLimitMB=1024": "-volumeSizeLimitMB=16"}
        for other, number in self.members:
            address = f"{member(self.parts[other], number)}:{named[PORTS[other]]}"
            own = self.ports[other, number]
            places[address] = f"127.0.0.1:{own[0]}.{own[1]}"  # SeaweedFS' own way to say both ports
        words = substitute(render.arguments(app, self.settings, self.parts), places)
        return Process([home("services") / "bin/weed", *words], place / "log", self.env, cwd=place)


def client(endpoint: str, who: str, key: str = "") -> s3_setup.Store:
    """The store as one of its identities sees it."""
    return s3_setup.Store(endpoint, Credentials(who, key or KEYS.get(who, "no key"), "us-east-1"))


def setup(endpoint: str, key: str = KEYS[render.SETUP], **more: str) -> subprocess.CompletedProcess[str]:
    """The job, as the pod runs it."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(paths.MODULE_UTILS),
        "S3_ENDPOINT": endpoint,
        "S3_REGION": "us-east-1",
        "S3_BUCKETS": " ".join(consumers.buckets()),
        "S3_GATE": render.GATE,
        "S3_TRIES": str(render.TRIES),
        "AWS_ACCESS_KEY_ID": render.SETUP,
        "AWS_SECRET_ACCESS_KEY": key,
        "S3_PATIENCE": "90",
    } | more
    return subprocess.run(
        [sys.executable, FILES / "s3_setup.py"], env=env, capture_output=True, text=True, check=False
    )


def result(done: subprocess.CompletedProcess[str]) -> Mapping[str, Any]:
    """What a job that went well says."""
    assert done.returncode == 0, done.stdout + done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
