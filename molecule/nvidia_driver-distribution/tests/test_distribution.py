"""A real driver, really compiled against a real kernel's headers; no kernel loads it here."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "distribution"
KERNEL, VERSION = ((FOLDER / name).read_text() for name in ("kernel", "version"))
MODULES = f"/lib/modules/{KERNEL}/updates/dkms"


@pytest.mark.parametrize("name", ["nvidia-current", "nvidia-current-uvm", "nvidia-current-modeset"])
def test_the_module_is_built_for_that_kernel(host, name):
    said = host.check_output(f"modinfo {MODULES}/{name}.ko")
    fields = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    assert fields["vermagic"].split()[0] == KERNEL
    if name == "nvidia-current":
        assert fields["version"].strip() == VERSION
        assert fields["license"].strip() == "NVIDIA"
        assert "pci:v000010DEd*sv*sd*bc03sc02i00*" in said


def test_dkms_says_the_same(host):
    assert f"nvidia-current/{VERSION}, {KERNEL}, x86_64: installed" in host.check_output("dkms status")


def test_packages_are_the_distributions_and_held(host):
    held = host.check_output("apt-mark showhold").split()
    for name in ("nvidia-kernel-dkms", "nvidia-smi", "libcuda1"):
        assert host.package(name).version.startswith(f"{VERSION}-")
        assert name in held


def test_options_are_for_the_name_that_debian_gives_the_module(host):
    assert "options nvidia-current NVreg_RestrictProfilingToAdminUsers=0" in host.check_output(
        "cat /etc/modprobe.d/bedplate-nvidia.conf"
    )


def test_no_kernel_came_with_it(host):
    assert host.run("dpkg-query -W -f '${Status}\\n' 'linux-image-*' | grep '^install ok'").rc != 0


def test_persistence_daemon_waits_for_a_gpu(host):
    assert host.service("nvidia-persistenced").is_enabled
    assert not host.service("nvidia-persistenced").is_running
