"""Module package_holds: the planner from tables of cases; it really holds in molecule/base-alternative."""

import pytest
from package_holds import Package, parse, plan

from tests.ansible_module import Module

LISTING = """\
cuda-toolkit-13-0\tinstall\tinstalled
libc6:amd64\tinstall\tinstalled
libnvidia-compute-580\thold\tinstalled
linux-image-6.1.0-40\thold\tinstalled
linux-image-6.1.0-50\tinstall\tinstalled
linux-image-old\tdeinstall\tconfig-files
linux-image-wanted\tunknown\tnot-installed
nvidia-driver\tinstall\thalf-configured
"""
PACKAGES = parse(LISTING)


def test_listing_is_read_line_by_line():
    assert PACKAGES[2] == Package("libnvidia-compute-580", "hold", "installed")
    assert len(PACKAGES) == 8
    assert parse("") == []


@pytest.mark.parametrize(
    ("held", "released", "holds", "releases"),
    [
        pytest.param([], [], [], [], id="nothing asked"),
        pytest.param(["linux-image-*"], [], ["linux-image-6.1.0-50"], [], id="only installed, not yet held"),
        pytest.param(["linux-image-6.1.0-40"], [], [], [], id="held already"),
        pytest.param(["absent-*"], [], [], [], id="matches nothing"),
        pytest.param(["libc6"], [], ["libc6:amd64"], [], id="without its architecture"),
        pytest.param(["libc6:amd64"], [], ["libc6:amd64"], [], id="with its architecture"),
        pytest.param(["libc6:arm64"], [], [], [], id="of another architecture"),
        pytest.param(["Linux-Image-*"], [], [], [], id="case counts"),
        pytest.param(["cuda-toolkit-1[23]-?"], [], ["cuda-toolkit-13-0"], [], id="shell patterns"),
        pytest.param([], ["libnvidia-*"], [], ["libnvidia-compute-580"], id="released"),
        pytest.param([], ["libc6"], [], [], id="released though it was not held"),
        pytest.param([], ["*"], [], ["libnvidia-compute-580", "linux-image-6.1.0-40"], id="all released"),
        pytest.param(
            ["linux-image-*"],
            ["*"],
            ["linux-image-6.1.0-50"],
            ["libnvidia-compute-580"],
            id="held wins over released",
        ),
        pytest.param(["nvidia-*"], [], ["nvidia-driver"], [], id="unpacked but not configured"),
    ],
)
def test_what_is_held_and_released(held, released, holds, releases):
    assert plan(PACKAGES, held, released) == (holds, releases)


def test_once_done_nothing_is_left_to_do():
    hold, release = plan(PACKAGES, ["linux-*", "cuda-*"], ["libnvidia-*"])
    wants = dict.fromkeys(hold, "hold") | dict.fromkeys(release, "install")
    after = [Package(p.name, wants.get(p.name, p.want), p.status) for p in PACKAGES]
    assert plan(after, ["linux-*", "cuda-*"], ["libnvidia-*"]) == ([], [])


def test_module_reads_dpkg_and_in_check_mode_changes_nothing():
    module = Module("package_holds")
    first = module({"held": ["dpkg"]}, check=True)
    assert (first["held"], first["released"]) == (["dpkg"], [])
    assert module({"held": ["dpkg"]}, check=True)["held"] == ["dpkg"]
