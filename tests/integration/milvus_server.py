"""A real Milvus on loopback: real etcd, a real object store, and the configuration, the arguments and the
set-up job that the platform renders; only places and ports differ.

The package's server is release 2.3.5. It knows no Woodpecker, so its log lies in its own RocksDB beside
it, which is what the standalone's local log is in the platform; nothing is shown here of the cluster's
log."""

import json
import lzma
import os
import re
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import yaml

from ai_platform import milvus_config as config
from ai_platform import object_store_objects
from ai_platform.milvus_parts import ETCD, MILVUS
from ai_platform.reading import read
from ai_platform.settings import Settings
from bedplate import paths
from bedplate.ports import free_ports
from bedplate.tools import locate, spec
from tests.data_programs import Process, home, packages, substitute, wait
from tests.platform_samples import host, inventory

PROGRAMS = paths.PULUMI / "ai_platform/files"
FIRST = "".join(("Mil", "vus"))  # what this release's root is called upon first; ours is told another
SECRETS = {user: f"password-of-{user}" for user in config.PASSWORDS}
KEYS = {name: f"key-of-{name}" for name in object_store_objects.identity_names()}
TIER = {"storage_tiers": [{"name": "hot"}]}


def sample(**milvus: object) -> Settings:
    """An environment with a standalone Milvus."""
    data = {"postgresql": {"tier": "hot"}, "valkey": {"tier": "hot"}, "object_store": {"tier": "hot"}}
    hosts = {f"gpu{n}": host("h100-sxm5-80gb", **TIER) for n in range(1, 5)} | {"ctl1": host()}
    return read(inventory(hosts, data=data, milvus={"mode": "standalone", "tier": "hot"} | milvus))


@cache
def etcd_program() -> Path:
    """The etcd that the platform's control plane is rehearsed with."""
    (found,) = locate.find([spec.load()["etcd"]])
    if found.path is None:
        pytest.skip("etcd is not built: run `bedplate tools build`")
    return found.path


@cache
def unpacked() -> Path:
    """The server and its libraries, out of the wheel, once."""
    place = home("milvus") / "server"
    if not place.exists():
        partial = Path(tempfile.mkdtemp(dir=place.parent))
        for packed in (packages("milvus") / "milvus/data/bin").glob("*.lzma"):
            program = partial / packed.stem
            program.write_bytes(lzma.decompress(packed.read_bytes()))
            program.chmod(0o755)
        partial.rename(place)
    return place


@dataclass
class Milvus:
    """etcd, an object store and Milvus in a folder."""

    folder: Path
    settings: Settings = field(default_factory=sample)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = dict(
            zip(
                ("etcd", "peer", "etcd_metrics", "s3", "master", "volume", "filer"),
                free_ports(7),
                strict=True,
            )
        )
        names = ("root", "query", "data", "index", "proxy", "query_node", "data_node", "index_node")
        self.own = dict(zip((*names, "milvus", "metrics"), free_ports(10), strict=True))
        self.address = f"http://127.0.0.1:{self.own['milvus']}"
        self.store = f"http://127.0.0.1:{self.ports['s3']}"
        self.etcd, self.weed, self.server = self._etcd(), self._weed(), self._milvus()

    def _etcd(self) -> Process:
        places = {f":{self.settings.ports['etcd_client']}": f":{self.ports['etcd']}"}
        places |= {f":{self.settings.ports['etcd_peer']}": f":{self.ports['peer']}"}
        places |= {f":{self.settings.ports['etcd_metrics']}": f":{self.ports['etcd_metrics']}"}
        places |= {"$(POD_NAME)": f"{ETCD}-0", "0.0.0.0": "127.0.0.1", config.STATE: str(self.folder)}
        words = [
            re.sub(rf"{ETCD}-0\.{ETCD}-pods\.[a-z.]+svc", "127.0.0.1", word)
            for word in substitute(config.etcd_arguments(self.settings), places)
        ]
        return Process([etcd_program(), *words], self.folder / "etcd.log")

    def _weed(self) -> Process:
        identities, place = self.folder / "identities.json", self.folder / "objects"
        identities.write_text(object_store_objects.identities(KEYS))
        place.mkdir(exist_ok=True)
        grpc = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
        words = [
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={place}",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-filer",
            "-master.volumeSizeLimitMB=64",
        ]
        words += [
            f"-s3.config={identities}",
            "-volume.max=0",
            f"-s3.port={self.ports['s3']}",
            f"-s3.port.grpc={grpc['s3']}",
        ]
        for name in ("master", "volume", "filer"):
            words += [f"-{name}.port={self.ports[name]}", f"-{name}.port.grpc={grpc[name]}"]
        return Process(
            [home("services") / "bin/weed", *words], self.folder / "weed.log", {"HOME": str(self.folder)}
        )

    def _milvus(self) -> Process:
        folder, state = self.folder / "configs", self.folder / "milvus"
        folder.mkdir(exist_ok=True)
        (folder / "glog.conf").write_text("--minloglevel=1\n--logtostderr=true\n")
        made = yaml.safe_load(config.configuration(self.settings))
        made["etcd"]["endpoints"] = [f"127.0.0.1:{self.ports['etcd']}"]
        made["minio"] |= {"address": "127.0.0.1", "port": self.ports["s3"]}
        made["mq"], made["rocksmq"] = {"type": "rocksmq"}, {"path": str(state / "log")}
        made["localStorage"] = {"path": str(state / "data")}
        made["proxy"] |= {"port": self.own["milvus"], "internalPort": self.own["proxy"], "ip": "127.0.0.1"}
        for name in ("root", "query", "data", "index"):
            made[f"{name}Coord"] = {"port": self.own[name], "ip": "127.0.0.1"}
        for name in ("query", "data", "index"):
            made.setdefault(f"{name}Node", {}).update(port=self.own[f"{name}_node"], ip="127.0.0.1")
        (folder / "milvus.yaml").write_text(yaml.safe_dump(made))  # this release reads no user.yaml
        env = {"MILVUSCONF": str(folder), "LD_LIBRARY_PATH": str(unpacked()), "DEPLOY_MODE": "STANDALONE"}
        env |= {
            "MINIO_ACCESS_KEY_ID": "milvus",
            "MINIO_SECRET_ACCESS_KEY": KEYS["milvus"],
            "METRICS_PORT": str(self.own["metrics"]),
        }
        words = [unpacked() / "milvus", "run", *config.started_as(self.settings, MILVUS)]
        return Process(words, self.folder / "milvus.log", env | {"HOME": str(self.folder)}, cwd=self.folder)

    def healthy(self) -> bool:
        """What the readiness probe asks."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.own['metrics']}/healthz", timeout=5) as answer:
            return answer.status == 200

    def begin(self) -> None:
        """Everything, in the order of the platform; the bucket is the job's in the platform."""
        self.etcd.start()
        self.weed.start()
        wait(self._bucket, 60, self.weed)
        self.start()

    def start(self) -> None:
        """Milvus alone, until it is ready."""
        self.server.start()
        wait(self.healthy, 120, self.server)

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.server.end(signal.SIGKILL)

    def end(self) -> None:
        """All of it."""
        for process in (self.server, self.weed, self.etcd):
            process.end()

    def _bucket(self) -> bool:
        env = {
            "S3_ENDPOINT": self.store,
            "S3_REGION": "us-east-1",
            "S3_BUCKETS": "milvus documents knowledge",
            "S3_GATE": object_store_objects.GATE,
            "S3_TRIES": "4",
            "S3_PATIENCE": "60",
        }
        env |= {"AWS_ACCESS_KEY_ID": "setup", "AWS_SECRET_ACCESS_KEY": KEYS[object_store_objects.SETUP]}
        env |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(paths.MODULE_UTILS)}
        done = subprocess.run(
            ["python3", str(PROGRAMS / "s3_setup.py")], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(done.stdout[-500:] + done.stderr[-800:])
        return True

    def job(self, **more: str) -> subprocess.CompletedProcess[str]:
        """The set-up job, as its pod runs it."""
        grants = json.loads(config.grants(self.settings)) | {"address": self.address}
        file = self.folder / "grants.json"
        file.write_text(json.dumps(grants))
        env = {"GRANTS": str(file), "MILVUS_PATIENCE": "60", "MILVUS_FIRST_PASSWORD": FIRST}
        env |= {f"PASSWORD_{user.upper()}": value for user, value in SECRETS.items()} | more
        for _ in range(3):  # as often as a Job's pod is tried, and some
            done = python([PROGRAMS / "milvus_setup.py"], env)
            if done.returncode == 0 or "knows neither" in done.stderr:
                break
        return done


def python(
    words: Sequence[object], env: dict[str, str], seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """A program with the packages of the image `knowledge`."""
    command = [str(home("milvus") / "bin/python"), *map(str, words)]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | env
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=seconds)


@contextmanager
def running(folder: Path) -> Iterator[Milvus]:
    """One Milvus with its users, until the end of the block."""
    milvus = Milvus(folder)
    try:
        milvus.begin()
        done = milvus.job()
        assert done.returncode == 0, done.stdout + done.stderr
        yield milvus
    finally:
        milvus.end()
