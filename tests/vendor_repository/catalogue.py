"""What the stand-in offers: names, versions and dependencies as in NVIDIA's repository for Debian 12."""

from collections.abc import Iterator

from tests.vendor_repository.debian import Package
from tests.vendor_repository.kernel_module import kernel_module

KERNEL, OTHER_KERNEL = "6.1.0-49-amd64", "6.1.0-50-amd64"
OLD = ("525.85.12", "535.309.01")  # names of Debian's packages of that time
NEW = ("580.95.05", "580.178.04", "595.91.07")
GREEDY = "590.44.01"  # wants another kernel: no driver of NVIDIA's does, a metapackage of headers may
LICENCES = {"open": "Dual MIT/GPL", "proprietary": "NVIDIA"}
PARTS = ("libcuda1", "libnvidia-ml1", "nvidia-modprobe", "nvidia-kernel-support", "firmware-nvidia-gsp")
METAPACKAGES = {"nvidia-open": "nvidia-kernel-open-dkms", "cuda-drivers": "nvidia-kernel-dkms"}
SPLIT = 560  # first branch with the new names
TOOLKITS = {"13.0": "13.0.2", "12.9": "12.9.1", "12.2": "12.2.2", "11.8": "11.8.0"}
CUDNN9 = (("9.17.0.29", "13"), ("9.17.0.29", "12"), ("9.10.2.21", "12"), ("9.10.2.21", "11"))
CUDNN8 = ("8.6.0.163-1+cuda11.8", "8.9.7.29-1+cuda12.2")
DOCA = ("3.2.3-019000", "3.3.0-012000")
CONTAINER_TOOLKITS = ("1.19.1", "1.20.0")
NCCL = ("2.30.4-1+cuda13.0", "2.30.4-1+cuda12.9", "2.21.5-1+cuda12.4", "2.21.5-1+cuda11.0")
# Where DKMS finds headers it builds; here the finished file is copied, so that modinfo has something to read.
# A test that wants the power cut in the middle says so by a file.
BUILD = """if [ -e /run/cut-the-power ]; then rm /run/cut-the-power; kill -KILL $PPID; sleep 2; exit 1; fi
for folder in /lib/modules/*/build; do
  [ -e "$folder" ] || continue
  mkdir -p "${folder%/build}/updates/dkms"
  cp SOURCE/nvidia.ko "${folder%/build}/updates/dkms/nvidia.ko"
done"""
UNIT = """[Unit]
Description={0}
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
# What debhelper puts into a package with a unit.
ENABLE = """deb-systemd-helper enable nvidia-persistenced.service >/dev/null
systemctl --system daemon-reload
deb-systemd-invoke start nvidia-persistenced.service >/dev/null || true"""


def packages() -> Iterator[Package]:
    """All of them."""
    yield Package("cuda-keyring", "1.1-1")
    yield Package("dkms", "3.0.10-8", files={"/usr/sbin/dkms": (b"#!/bin/sh\nexit 0\n", 0o755)})
    for kernel in (KERNEL, OTHER_KERNEL):
        files = {f"/lib/modules/{kernel}/build/Makefile": (b"", 0o644)}
        yield Package(f"linux-headers-{kernel}", "6.1.1-1", files=files)
    yield Package(f"linux-image-{OTHER_KERNEL}", "6.1.1-1")
    for version in (*OLD, *NEW, GREEDY):
        yield from driver(version)
    yield from fabric_tools()
    for version, update in TOOLKITS.items():
        yield from toolkit(version, update)
    yield from libraries()
    for version in CONTAINER_TOOLKITS:
        yield from container_toolkit(version)
    for version in DOCA:
        yield from doca(version)


def driver(version: str) -> Iterator[Package]:
    """One driver with everything that has its version."""
    branch, same = version.partition(".")[0], f"(= {version}-1)"
    new = int(branch) >= SPLIT
    for name in PARTS:
        yield Package(name, f"{version}-1")
    kernel = f", linux-image-{OTHER_KERNEL}" if version == GREEDY else ""
    needs = f"dkms, nvidia-kernel-support {same}, firmware-nvidia-gsp {same}{kernel}"
    yield from modules(version, needs)
    libraries = f"libcuda1 {same}, libnvidia-ml1 {same}, nvidia-modprobe {same}"
    if new:
        either = f"nvidia-kernel-dkms {same} | nvidia-kernel-open-dkms {same}"
        yield Package(
            "nvidia-driver-cuda", f"{version}-1", f"{libraries}, nvidia-persistenced {same}, {either}"
        )
        for name, module in METAPACKAGES.items():
            yield Package(name, f"{version}-1", f"nvidia-driver-cuda {same}, {module} {same}")
    else:
        yield Package("nvidia-smi", f"{version}-1", f"libnvidia-ml1 {same}")
    unit = {"/lib/systemd/system/nvidia-persistenced.service": (UNIT.format("persistence").encode(), 0o644)}
    yield Package("nvidia-persistenced", f"{version}-1", files=unit, postinst=ENABLE)
    yield from fabric(version, "" if new else f"-{branch}")
    for name in (version, branch) if new else ():
        pin = f"Package: nvidia-* libnvidia-* libcuda1\nPin: version {name}*\nPin-Priority: 1001\n"
        path = f"/etc/apt/preferences.d/nvidia-driver-pinning-{name}"
        yield Package(f"nvidia-driver-pinning-{name}", f"{version}-1", files={path: (pin.encode(), 0o644)})


def modules(version: str, needs: str) -> Iterator[Package]:
    """The two kinds of kernel module, of which a host can have one."""
    for name, kind in {"nvidia-kernel-open-dkms": "open", "nvidia-kernel-dkms": "proprietary"}.items():
        other = "nvidia-kernel-dkms" if kind == "open" else "nvidia-kernel-open-dkms"
        source = f"/usr/src/nvidia-{version}-{kind}"
        content = kernel_module(version=version, license=LICENCES[kind])
        yield Package(
            name,
            f"{version}-1",
            needs,
            files={f"{source}/nvidia.ko": (content, 0o644)},
            postinst=BUILD.replace("SOURCE", source),
            fields={"Conflicts": other},
        )


def fabric(version: str, suffix: str) -> Iterator[Package]:
    """Fabric manager and what reads the switches, each of the driver's version."""
    unit = UNIT.format("fabric manager").encode()
    files = {
        "/lib/systemd/system/nvidia-fabricmanager.service": (unit, 0o644),
        "/usr/share/nvidia/nvswitch/fabricmanager.cfg": (b"LOG_LEVEL=4\nFABRIC_MODE=0\n", 0o644),
    }
    yield Package(f"nvidia-fabricmanager{suffix}", f"{version}-1", files=files)
    yield Package(f"libnvidia-nscq{suffix}", f"{version}-1")
    yield Package("nvidia-imex", f"{version}-1")


def fabric_tools() -> Iterator[Package]:
    """NVLink 5: the subnet manager, with a version of its own, and what it talks through."""
    yield Package("libibumad3", "44.0-2")
    yield Package("infiniband-diags", "44.0-2", "libibumad3")
    yield Package("nvlsm", "2025.10.11-1", "libibumad3")


def toolkit(version: str, update: str) -> Iterator[Package]:
    """One CUDA toolkit; its nvcc says its version and nothing else."""
    dashed, home = version.replace(".", "-"), f"/usr/local/cuda-{version}"
    priority = version.replace(".", "")
    text = f'#!/bin/sh\necho "Cuda compilation tools, release {version}, V{update}"\n'.encode()
    yield Package(f"cuda-nvcc-{dashed}", f"{update}-1", files={f"{home}/bin/nvcc": (text, 0o755)})
    yield Package(f"cuda-cudart-{dashed}", f"{update}-1")
    yield Package(
        f"cuda-toolkit-{dashed}-config-common",
        f"{update}-1",
        files={f"{home}/version.json": (b"{}\n", 0o644)},
        postinst=f"update-alternatives --install /usr/local/cuda cuda {home} {priority}",
    )
    common = f"cuda-toolkit-{dashed}-config-common (= {update}-1), cuda-cudart-{dashed} (= {update}-1)"
    yield Package(f"cuda-libraries-{dashed}", f"{update}-1", common)
    parts = f"cuda-libraries-{dashed} (= {update}-1), cuda-nvcc-{dashed} (= {update}-1)"
    yield Package(f"cuda-toolkit-{dashed}", f"{update}-1", parts)


def libraries() -> Iterator[Package]:
    """cuDNN and NCCL."""
    for version, major in CUDNN9:
        same = f"(= {version}-1)"
        yield Package(f"libcudnn9-cuda-{major}", f"{version}-1")
        yield Package(f"libcudnn9-dev-cuda-{major}", f"{version}-1", f"libcudnn9-cuda-{major} {same}")
        needs = f"libcudnn9-cuda-{major} {same}, libcudnn9-dev-cuda-{major} {same}"
        yield Package(f"cudnn9-cuda-{major}", f"{version}-1", needs)
    for version in CUDNN8:
        yield Package("libcudnn8", version)
        yield Package("libcudnn8-dev", version, f"libcudnn8 (= {version})")
    for version in NCCL:
        yield Package("libnccl2", version)
        yield Package("libnccl-dev", version, f"libnccl2 (= {version})")


def container_toolkit(version: str) -> Iterator[Package]:
    """NVIDIA's runtime for containers, with the units that renew the description of the GPUs."""
    same = f"(= {version}-1)"
    folder = "/lib/systemd/system/nvidia-cdi-refresh"
    service = "[Unit]\nDescription=CDI stand-in\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    install = "[Install]\nWantedBy=multi-user.target\n"
    path = f"[Unit]\nDescription=CDI stand-in\n[Path]\nPathChanged=/lib/modules\n{install}"
    files = {
        "/usr/bin/nvidia-container-runtime": (b'#!/bin/sh\nexec runc "$@"\n', 0o755),
        f"{folder}.service": (service.encode(), 0o644),
        f"{folder}.path": (path.encode(), 0o644),
    }
    yield Package("libnvidia-container1", f"{version}-1")
    yield Package("libnvidia-container-tools", f"{version}-1", f"libnvidia-container1 {same}")
    yield Package("nvidia-container-toolkit-base", f"{version}-1", files=files)
    needs = f"libnvidia-container-tools {same}, nvidia-container-toolkit-base {same}"
    yield Package("nvidia-container-toolkit", f"{version}-1", needs)


def doca(version: str) -> Iterator[Package]:
    """DOCA's network stack: a metapackage that wants exactly the tools of its release, and its own driver."""
    same = f"(= {version}-1)"
    yield Package("mlnx-tools", f"{version}-1")
    yield Package("mlnx-ofed-kernel-dkms", f"{version}-1", "dkms")
    needs = f"mlnx-tools {same}, mlnx-ofed-kernel-dkms {same}"
    yield Package("doca-ofed", version, needs)
