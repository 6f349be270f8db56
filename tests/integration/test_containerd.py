"""The real containerd (tools/) with the configuration that role container_runtime renders: all files together
say what they shall, and a container sees the devices that a CDI description names, and no others."""

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible.plugins.test.core import version_compare

from bedplate import evidence, paths
from bedplate.errors import BedplateError
from bedplate.tools import locate, spec

TEMPLATES = paths.ROLES / "container_runtime" / "templates"
MAKE_IMAGE = paths.ROOT / "molecule" / "shared" / "files" / "make_image.py"
IMAGE = "docker.io/library/stand-in:1"
COMMAND = "pytest tests/integration/test_containerd.py"
KIND = "vendor.example/gpu"
CDI = Path("/var/run/cdi")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with containerd's programs."""
    try:
        found = locate.require("runtime")
    except BedplateError as missing:
        pytest.skip(f"{missing}: {missing.remedy}")
    folder = tmp_path_factory.mktemp("bin")
    for name, path in found.items():
        (folder / name).symlink_to(path)
    return folder


def configure(folder: Path, **change: Any) -> Path:
    """The role's files in ``folder``; the path of the root file."""
    values = {
        "version_containerd": spec.load()["containerd"].version,
        "__container_runtime_config_version": 4,
        "__container_runtime_folder": str(folder),
        "__container_runtime_dropins": str(folder / "conf.d"),
        "container_runtime_root": str(folder / "root"),
        "container_runtime_cni_dirs": ["/opt/cni/bin"],
        "container_runtime_cdi_dirs": ["/etc/cdi", "/var/run/cdi"],
        "container_runtime_sandbox_image": "registry.example.internal/pause:3.10.2",
        "container_runtime_nvidia_default": False,
        **change,
    }
    words = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    words.filters["to_json"] = json.dumps
    words.tests["version"] = version_compare
    (folder / "conf.d").mkdir(parents=True)
    for name, target in (
        ("config.toml.j2", "config.toml"),
        ("10-bedplate.toml.j2", "conf.d/10-bedplate.toml"),
        ("99-nvidia.toml.j2", "conf.d/99-nvidia.toml"),
    ):
        (folder / target).write_text(words.get_template(name).render(values))
    return folder / "config.toml"


def dump(programs: Path, file: Path) -> dict[str, Any]:
    """What containerd makes of all files together."""
    command = [programs / "containerd", "--config", file, "config", "dump"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)


def test_all_files_together_say_what_they_shall(programs: Path, tmp_path: Path) -> None:
    said = dump(programs, configure(tmp_path / "etc"))
    runtime = said["plugins"]["io.containerd.cri.v1.runtime"]
    runtimes = runtime["containerd"]["runtimes"]
    assert said["root"] == str(tmp_path / "etc" / "root")
    assert runtime["enable_cdi"] is True
    assert runtime["stats_collect_period"] == "30s"
    assert runtime["cdi_spec_dirs"] == ["/etc/cdi", "/var/run/cdi"]
    assert runtime["containerd"]["default_runtime_name"] == "runc"
    assert runtimes["runc"]["options"]["SystemdCgroup"] is True
    assert runtimes["nvidia"]["options"] | {"SystemdCgroup": True} == runtimes["nvidia"]["options"]
    assert runtimes["nvidia"]["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"
    images = said["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == "registry.example.internal/pause:3.10.2"
    assert images["registry"]["config_path"] == str(tmp_path / "etc" / "certs.d")


def test_nvidia_can_be_everybodys_runtime(programs: Path, tmp_path: Path) -> None:
    said = dump(programs, configure(tmp_path / "etc", container_runtime_nvidia_default=True))
    assert said["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["default_runtime_name"] == "nvidia"


class Containerd:
    """A containerd of its own, with folders of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.socket = folder / "containerd.sock"
        path = f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
        self.environment = {**os.environ, "PATH": path, "CONTAINERD_ADDRESS": str(self.socket)}

    def start(self, file: Path) -> subprocess.Popen[bytes]:
        """Start it and wait until it answers."""
        places = ["--root", self.folder / "root", "--state", self.folder / "state", "--address", self.socket]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["containerd", "--config", file, *places], env=self.environment, stdout=log, stderr=log
            )
        for _ in range(120):
            if self.ctr("version").returncode == 0:
                return process
            time.sleep(0.5)
        process.kill()
        pytest.fail((self.folder / "log").read_text()[-2000:])

    def ctr(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        return subprocess.run(
            ["ctr", *words], env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """A container that runs a command of the shell."""
        name = f"bedplate-{os.getpid()}-{time.time_ns()}"
        return self.ctr("run", "--rm", "--net-host", *options, IMAGE, name, "/bin/sh", "-c", command)


@pytest.fixture(scope="module")
def containerd(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """It runs, knows an image of this machine's own programs, and devices are described."""
    if os.geteuid() != 0:
        pytest.skip("containers and devices need root")
    folder = tmp_path_factory.mktemp("containerd")
    daemon = Containerd(folder, programs)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256M", "tmpfs", folder], check=True)
    described = CDI / f"bedplate-test-{os.getpid()}.json"
    try:
        file = configure(folder / "etc")
        _devices(folder, described)
        process = daemon.start(file)
        try:
            made = subprocess.run(
                [sys.executable, MAKE_IMAGE, IMAGE, "/bin/sh", "/bin/ls"],
                env={**daemon.environment, "IMAGE_FILE": str(folder / "image.tar")},
                capture_output=True,
                text=True,
                check=False,
            )
            assert made.returncode == 0, made.stderr
            yield daemon
        finally:
            process.terminate()
            process.wait(30)
    finally:
        described.unlink(missing_ok=True)
        subprocess.run(["umount", "--lazy", folder], check=True)


def _devices(folder: Path, described: Path) -> None:
    """Two devices, like /dev/zero and /dev/null, and their description."""
    devices = []
    for number, minor in ((0, 5), (1, 3)):
        node = folder / f"node{number}"
        os.mknod(node, 0o020666, os.makedev(1, minor))
        inside = {"path": f"/dev/stand-in{number}", "hostPath": str(node)}
        devices.append({"name": str(number), "containerEdits": {"deviceNodes": [inside]}})
    edits = {"env": ["STAND_IN=yes"]}
    described.parent.mkdir(exist_ok=True)
    document = {"cdiVersion": "0.6.0", "kind": KIND, "containerEdits": edits, "devices": devices}
    described.write_text(json.dumps(document))


def test_a_container_sees_the_devices_that_a_description_names(containerd: Containerd) -> None:
    said = containerd.run("ls /dev; echo $STAND_IN; : </dev/stand-in0 && echo opened", f"--device={KIND}=0")
    words = said.stdout.split()
    seen = [word for word in words if word.startswith("stand-in")]
    wrong = int(seen != ["stand-in0"]) + int("yes" not in words) + int("opened" not in words)
    claim = "Things that a container sees otherwise than its CDI description says (device, variable, opening)"
    evidence.record("lab", "hosts.cdi.wrong", claim, wrong, goal="== 0", proved_on="program", command=COMMAND)
    assert wrong == 0, said.stdout + said.stderr


def test_a_container_that_asks_for_none_sees_none(containerd: Containerd) -> None:
    said = containerd.run("ls /dev; echo [$STAND_IN]")
    assert said.returncode == 0, said.stderr
    assert "stand-in" not in said.stdout and "[]" in said.stdout


def test_a_device_that_nobody_describes_is_refused(containerd: Containerd) -> None:
    said = containerd.run("ls /dev", f"--device={KIND}=7")
    assert said.returncode != 0 and f"{KIND}=7" in said.stderr


def test_nothing_deprecated_is_in_use(containerd: Containerd) -> None:
    """The version of cgroups is the machine's, not the configuration's."""
    said = containerd.ctr("deprecations", "list", "--format", "json")
    found = {warning["id"].rpartition("/")[2] for warning in json.loads(said.stdout or "[]")}
    assert found - {"cgroup-v1"} == set()
