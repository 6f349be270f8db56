"""What hosts of a twin's cluster install: release archives, and images in OCI archives.

The programs are those of tools/ (`bedplate tools build`). The images bear upstream's names and are stand-ins
made here: they hold these programs and nothing else; kube-proxy's has this machine's nft, pause is ten lines
of C.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from bedplate import paths
from bedplate.tools import golang, locate, spec
from tests import oci_archive
from tests.container_runtime import write_release

HERE = Path(__file__).parent
REGISTRY = "registry.k8s.io"
PROBE = "registry.example.internal/bedplate/probe:1"


def content(root: Path) -> dict[str, str]:
    """``images`` and ``release`` in a folder, for a bundle; the archives' SHA-256 by name."""
    versions = yaml.safe_load((paths.COMMON / "versions.yml").read_text())
    programs = locate.require("rehearsal") | locate.require("cluster") | locate.require("runtime")
    _images(root / "images", programs, versions)
    return _releases(root / "release", programs, versions)


def _images(folder: Path, programs: Mapping[str, Path], versions: Mapping[str, str]) -> None:
    release = f"v{versions['version_kubernetes']}"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        _image(
            folder / "control_plane", f"{name}:{release}", {f"/usr/local/bin/{name}": programs[name]}, name
        )
    etcd = {f"/usr/local/bin/{name}": programs[name] for name in ("etcd", "etcdctl", "etcdutl")}
    _image(folder / "control_plane", f"etcd:{versions['version_etcd']}-0", etcd, "etcd")
    proxy = {"/usr/local/bin/kube-proxy": programs["kube-proxy"]}
    nft = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert nft, "kube-proxy calls nft: install nftables"
    _image(folder / "node", f"kube-proxy:{release}", proxy | oci_archive.libraries(Path(nft)), "kube-proxy")
    dns = {"/coredns": programs["coredns"]}
    _image(folder / "node", f"coredns/coredns:v{versions['version_coredns']}", dns, "/coredns")
    policies = {"/bin/netpol": programs["kube-network-policies"]}
    name = f"networking/kube-network-policies:v{versions['version_network_policies']}"
    _image(folder / "node", name, policies, "/bin/netpol")
    with tempfile.TemporaryDirectory() as built:
        pause, probe = Path(built) / "pause", Path(built) / "probe"
        subprocess.run(["gcc", "-Os", "-static", "-o", pause, HERE / "kubernetes_pause.c"], check=True)
        _image(folder / "node", f"pause:{versions['version_pause']}", {"/pause": pause}, "/pause")
        go = golang.find()
        assert go, "no Go: run `bedplate tools build`"
        subprocess.run(
            [str(go.path), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(probe), "."],
            cwd=HERE / "kubernetes_probe",
            env=go.environment() | {"CGO_ENABLED": "0"},
            check=True,
        )
        oci_archive.write(folder / "node" / "probe.tar", PROBE, {"/probe": probe}, ["/probe"])


def _image(folder: Path, name: str, files: Mapping[str, Path], command: str) -> None:
    file = name.partition(":")[0].rpartition("/")[2]
    path = command if command.startswith("/") else f"/usr/local/bin/{command}"
    oci_archive.write(folder / f"{file}.tar", f"{REGISTRY}/{name}", files, [path])


def _releases(folder: Path, programs: Mapping[str, Path], versions: Mapping[str, str]) -> dict[str, str]:
    kubernetes, etcd = versions["version_kubernetes"], versions["version_etcd"]
    node = {f"kubernetes/node/bin/{name}": programs[name] for name in ("kubelet", "kubeadm", "kubectl")}
    clients = {f"etcd-v{etcd}-linux-amd64/{name}": programs[name] for name in ("etcdctl", "etcdutl")}
    runtime = {name: programs[name] for name in ("containerd", "containerd-shim-runc-v2", "ctr")}
    write_release(folder / "containerd", runtime, spec.load()["containerd"].version)
    shutil.move(folder / "containerd" / "sha256", folder / "containerd.sha256")
    return {
        "containerd": (folder / "containerd.sha256").read_text(),
        "kubernetes": archive(folder / f"v{kubernetes}" / "kubernetes-node-linux-amd64.tar.gz", node),
        "etcd": archive(folder / f"v{etcd}" / f"etcd-v{etcd}-linux-amd64.tar.gz", clients),
    }


def archive(target: Path, programs: Mapping[str, Path]) -> str:
    """A release archive as the project publishes it; its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for name, path in programs.items():
            tar.add(path, name, filter=_executable)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _executable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode, entry.uid, entry.gid = 0o755, 0, 0
    return entry
