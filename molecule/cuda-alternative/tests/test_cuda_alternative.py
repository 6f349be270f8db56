"""A host with the oldest versions that can be chosen, and everything of role cuda set to something else."""


def test_libraries_of_both_toolkits_and_no_compiler(host):
    assert host.package("cuda-libraries-12-2").version == "12.2.2-1"
    assert host.package("cuda-libraries-11-8").version == "11.8.0-1"
    assert not host.file("/usr/local/cuda-12.2/bin/nvcc").exists


def test_each_cuda_major_version_has_another_cudnn(host):
    assert host.package("libcudnn8").version == "8.6.0.163-1+cuda11.8"
    assert host.package("libcudnn9-cuda-12").version == "9.10.2.21-1"
    assert not host.package("libcudnn8-dev").is_installed


def test_nccl_is_the_build_for_the_first_toolkit(host):
    assert host.package("libnccl2").version == "2.21.5-1+cuda12.4"


def test_the_older_toolkit_is_the_default_because_the_inventory_says_so(host):
    assert host.check_output("readlink -f /usr/local/cuda") == "/usr/local/cuda-11.8"
    assert "manual mode" in host.check_output("update-alternatives --display cuda")


def test_logins_are_left_alone(host):
    assert not host.file("/etc/profile.d/bedplate-cuda.sh").exists
