"""A host with the defaults of role cuda, as a person would check it."""

from shared import rerun
from shared.versions import VERSIONS

FIRST, SECOND = VERSIONS["version_cuda"]


def test_both_toolkits_are_there_side_by_side(host):
    for version in (FIRST, SECOND):
        said = host.check_output(f"/usr/local/cuda-{version}/bin/nvcc")
        assert f"release {version}," in said


def test_logins_find_the_first_one(host):
    assert f"release {FIRST}," in host.check_output("env -i bash -lc nvcc")
    assert host.check_output("env -i bash -lc 'echo $CUDA_HOME'") == "/usr/local/cuda"


def test_each_cuda_major_version_has_its_cudnn_at_the_wished_version(host):
    for major in {version.partition(".")[0] for version in (FIRST, SECOND)}:
        assert host.package(f"libcudnn9-cuda-{major}").version.startswith(VERSIONS["version_cudnn"] + ".")


def test_nccl_is_the_build_for_the_first_toolkit(host):
    version = host.package("libnccl2").version
    assert version == f"{VERSIONS['version_nccl']}-1+cuda{FIRST}"
    assert host.package("libnccl-dev").version == version


def test_everything_is_held(host):
    held = set(host.check_output("apt-mark showhold").split())
    dashed = FIRST.replace(".", "-")
    assert {f"cuda-toolkit-{dashed}", f"cuda-nvcc-{dashed}", "libnccl2"} <= held
    assert {f"libcudnn9-cuda-{FIRST.partition('.')[0]}", "libnccl-dev"} <= held


def test_no_driver_came_with_it(host):
    assert not host.package("nvidia-driver-cuda").is_installed
    assert not host.package("libcuda1").is_installed


def test_what_does_not_fit_is_refused_in_the_words_of_the_check_and_changes_nothing(host):
    before = host.check_output("dpkg-query -W")
    result = rerun.converge(version_cudnn="9.10.2")
    assert result.rc != 0
    assert "cuDNN 9.0 to 9.10 is built for CUDA 11 and 12" in result.failures[0][2]
    assert "the nearest that fits is >=9.17" in result.failures[0][2]
    assert host.check_output("dpkg-query -W") == before


def test_another_default_turns_the_link_and_keeps_both_toolkits(host):
    result = rerun.converge(cuda_default=SECOND)
    assert result.rc == 0, result.failures
    assert host.check_output("readlink -f /usr/local/cuda") == f"/usr/local/cuda-{SECOND}"
    assert rerun.converge(cuda_default=SECOND).changed == 0
    assert host.file(f"/usr/local/cuda-{FIRST}/bin/nvcc").exists
    assert rerun.converge(cuda_default=FIRST).rc == 0
    assert host.check_output("readlink -f /usr/local/cuda") == f"/usr/local/cuda-{FIRST}"


def test_a_default_that_is_not_installed_is_refused(host):
    result = rerun.converge(cuda_default="12.2")
    assert f"write one of {FIRST}, {SECOND}" in result.failures[0][2]
