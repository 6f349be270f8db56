"""Which driver, CUDA and fabric packages a host gets: pure functions by tables, with the role's own rows."""

from pathlib import Path

import pytest
import yaml
from nvidia_packages import cuda, fabric, fabric_state, host
from nvidia_packages.driver import (
    Module,
    Situation,
    Wanted,
    module_problem,
    packages,
    reboot_reason,
    refusals,
)
from nvidia_packages.flavour import Device, choose, devices, gpus

from bedplate import paths

GPUS = yaml.safe_load((paths.COMMON / "gpus.yml").read_text())["catalogue_gpus"]
ROWS = yaml.safe_load((paths.ROLES / "nvidia_driver/vars/main.yml").read_text())["__nvidia_driver_packages"]
RECORDED = Path(__file__).parents[1] / "fixtures" / "nvidia" / "h100x4" / "nvidia-smi-q.xml"
KERNEL = "6.8.0-90-generic"


def gpu(device, address="0000:17:00.0"):
    return Device(address, device, "gpu")


def test_gpus_and_switches_are_found_by_vendor_and_class():
    bus = {
        "0000:00:1f.0": {"vendor": "0x8086", "device": "0x7a84", "class": "0x060100"},
        "0000:17:00.0": {"vendor": "0x10de", "device": "0x2330", "class": "0x030200\n"},
        "0000:18:00.0": {"vendor": "0x10DE", "device": "0x1db5", "class": "0x030000"},
        "0000:19:00.0": {"vendor": "0x10de", "device": "0x22a3", "class": "0x068000"},
        "0000:1a:00.1": {"vendor": "0x10de", "device": "0x10fa", "class": "0x040300"},  # its sound device
        "0000:1b:00.0": {"vendor": "", "device": "", "class": ""},
    }
    found = [(device.device, device.kind) for device in devices(bus)]
    assert found == [("2330", "gpu"), ("1db5", "gpu"), ("22a3", "nvswitch")]


def test_gpus_are_counted_on_the_bus_without_a_driver(tmp_path):
    cards = {
        "0000:17:00.0": ("0x10de", "0x2330", "0x030200"),
        "0000:19:00.0": ("0x10de", "0x22a3", "0x068000"),
        "0000:1c:00.0": ("0x15b3", "0x1021", "0x020000"),
    }
    for address, words in cards.items():
        folder = tmp_path / "bus/pci/devices" / address
        folder.mkdir(parents=True)
        for name, word in zip(("vendor", "device", "class"), words, strict=True):
            (folder / name).write_text(f"{word}\n")
    assert gpus(devices(host.bus(tmp_path))) == 1
    assert gpus(devices(host.bus(tmp_path / "nowhere"))) == 0


@pytest.mark.parametrize(
    ("wished", "model", "found", "module"),
    [
        ("auto", "h100-sxm5-80gb", [], "open"),
        ("auto", "v100-sxm2-32gb", [], "proprietary"),
        ("auto", "", [gpu("1db5")], "proprietary"),
        ("auto", "b200-sxm6-180gb", [gpu("2901")], "open"),
        ("auto", "", [], "open"),
        ("proprietary", "h100-sxm5-80gb", [gpu("2330")], "proprietary"),
        ("auto", "h100-sxm5-80gb", [gpu("ffff")], "open"),
        ("auto", "", [Device("0000:19:00.0", "22a3", "nvswitch")], "open"),
    ],
)
def test_kernel_module_by_inventory_and_by_what_is_there(wished, model, found, module):
    flavour = choose(wished, model, GPUS, found)
    assert (flavour.module, flavour.refusals) == (module, ())


def test_a_gpu_that_no_row_knows_is_newer_and_is_named():
    (warning,) = choose("auto", "", GPUS, [gpu("ffff")]).warnings
    assert "10de:ffff at 0000:17:00.0" in warning


@pytest.mark.parametrize(
    ("wished", "model", "found", "says"),
    [
        ("open", "v100-sxm2-32gb", [], "the open kernel module does not drive v100-sxm2-32gb (inventory)"),
        ("proprietary", "b200-sxm6-180gb", [], "write open, or auto"),
        ("auto", "h100-sxm5-80gb", [gpu("1db5"), gpu("2901", "0000:18:00.0")], "no kernel module drives all"),
        ("proprietary", "h100-sxm5-80gb", [gpu("ffff")], "does not drive 10de:ffff at 0000:17:00.0"),
    ],
)
def test_a_module_that_does_not_drive_a_gpu_is_refused_by_its_name(wished, model, found, says):
    flavour = choose(wished, model, GPUS, found)
    assert flavour.module == ""
    assert says in flavour.refusals[0]


@pytest.mark.parametrize("model", sorted(GPUS))
def test_every_gpu_of_the_catalogue_is_recognised_by_its_ids(model):
    for device in GPUS[model]["device_ids"]:
        flavour = choose("auto", model, GPUS, [gpu(device)])
        assert flavour.module in GPUS[model]["kernel_modules"]
        assert flavour.warnings == ()


def wanted(version, source, distribution, module, build="dkms"):
    return Wanted(version, source, distribution, build, module, KERNEL)


@pytest.mark.parametrize(
    ("asked", "exact", "other"),
    [
        (
            wanted("580.178.04", "vendor", "Debian", "open"),
            ["nvidia-driver-cuda", "nvidia-kernel-open-dkms"],
            [f"linux-headers-{KERNEL}", "nvidia-persistenced"],
        ),
        (
            wanted("535.309.01", "vendor", "Debian", "proprietary"),
            ["nvidia-smi", "libcuda1", "nvidia-kernel-dkms"],
            [f"linux-headers-{KERNEL}", "nvidia-persistenced"],
        ),
        (wanted("595.91.07", "vendor", "Ubuntu", "open"), ["nvidia-open"], [f"linux-headers-{KERNEL}"]),
        (
            wanted("580.178.04", "vendor", "Ubuntu", "proprietary"),
            ["cuda-drivers"],
            [f"linux-headers-{KERNEL}"],
        ),
        (
            wanted("525.85.12", "vendor", "Ubuntu", "proprietary"),
            ["libnvidia-compute-525", "nvidia-utils-525", "nvidia-dkms-525"],
            [f"linux-headers-{KERNEL}", "nvidia-compute-utils-525"],
        ),
        (
            wanted("535.309.01", "distribution", "Debian", "proprietary"),
            ["nvidia-smi", "libcuda1", "nvidia-kernel-dkms"],
            [f"linux-headers-{KERNEL}", "nvidia-persistenced"],
        ),
        (
            wanted("580.178.04", "distribution", "Ubuntu", "open", "precompiled"),
            ["nvidia-headless-no-dkms-580-server-open", "nvidia-utils-580-server"],
            ["nvidia-compute-utils-580-server", f"linux-modules-nvidia-580-server-open-{KERNEL}"],
        ),
        (
            wanted("580.178.04", "distribution", "Ubuntu", "proprietary", "precompiled"),
            ["nvidia-headless-no-dkms-580-server", "nvidia-utils-580-server"],
            [
                "nvidia-compute-utils-580-server",
                f"linux-objects-nvidia-580-server-{KERNEL}",
                f"linux-modules-nvidia-580-server-{KERNEL}",
            ],
        ),
    ],
)
def test_names_by_archive_distribution_branch_and_module(asked, exact, other):
    found, missing = packages(asked, ROWS)
    assert missing == ""
    assert [p["name"] for p in found if p.get("version") == asked.version] == exact
    assert [p["name"] for p in found if not p.get("version")] == other


@pytest.mark.parametrize(
    "asked",
    [
        wanted("580.178.04", "vendor", "Ubuntu", "open", "precompiled"),
        wanted("580.178.04", "distribution", "Debian", "open", "precompiled"),
        wanted("390.10", "vendor", "Debian", "proprietary"),
        wanted("580.178.04", "vendor", "Rocky", "open"),
    ],
)
def test_what_nobody_packages_is_refused_with_what_there_is(asked):
    found, missing = packages(asked, ROWS)
    assert found == []
    assert missing.startswith(f"there are no {asked.build} modules of branch {asked.branch}")
    assert ("none for this distribution" in missing) == (asked.distribution == "Rocky")


READY = wanted("580.178.04", "vendor", "Debian", "open")
SIGNED = wanted("580.178.04", "distribution", "Ubuntu", "open", "precompiled")


@pytest.mark.parametrize(
    ("asked", "host", "says"),
    [
        (READY, Situation(gpus=8), ""),
        (READY, Situation(secure_boot=True), "Secure Boot is on"),
        (READY, Situation(secure_boot=True, enrolled=True), ""),
        (SIGNED, Situation(secure_boot=True), ""),
        (READY, Situation(run_file=True), "nvidia-uninstall"),
        (READY, Situation(loaded="580.95.05", users=("python3 (77)",)), "in use by python3 (77)"),
        (READY, Situation(loaded="580.95.05", users=("python3 (77)",), users_allowed=True), ""),
        (READY, Situation(loaded="580.178.04", users=("python3 (77)",)), ""),
    ],
)
def test_a_host_on_which_it_could_not_work_is_refused(asked, host, says):
    found = refusals(asked, host)
    assert (len(found) == 1 and says in found[0]) if says else found == []


@pytest.mark.parametrize(
    ("host", "says"),
    [
        (Situation(), ""),
        (Situation(loaded="580.178.04"), ""),
        (Situation(loaded="580.95.05"), "driver 580.95.05 is loaded and 580.178.04 is installed"),
        (Situation(nouveau=True), "nouveau is loaded and holds the GPUs"),
    ],
)
def test_a_boot_is_asked_for_with_its_reason(host, says):
    assert reboot_reason("580.178.04", host) == says


OPEN = Module("/lib/modules/k/updates/dkms/nvidia.ko", "580.178.04", "Dual MIT/GPL")
CLOSED = Module("/lib/modules/k/updates/dkms/nvidia-current.ko", "535.309.01", "NVIDIA")


@pytest.mark.parametrize(
    ("version", "flavour", "found", "says"),
    [
        ("580.178.04", "open", [OPEN], ""),
        ("535.309.01", "proprietary", [CLOSED, OPEN], ""),
        ("580.178.04", "open", [], "kernel k has no NVIDIA module 580.178.04; found: none"),
        ("580.178.04", "open", [CLOSED], "found: 535.309.01 (/lib/modules/k/updates/dkms/nvidia-current.ko)"),
        ("580.178.04", "proprietary", [OPEN], "is the open module, and proprietary is wanted"),
    ],
)
def test_the_kernel_has_the_module_or_it_is_said_what_it_has(version, flavour, found, says):
    problem = module_problem(version, flavour, "k", found)
    assert says in problem if says else problem == ""


@pytest.mark.parametrize(
    ("model", "count", "version", "names"),
    [
        ("h100-sxm5-80gb", 8, "580.178.04", ["nvidia-fabricmanager", "libnvidia-nscq"]),
        ("h100-sxm5-80gb", 4, "580.178.04", []),
        ("h100-sxm5-80gb", 8, "535.309.01", ["nvidia-fabricmanager-535", "libnvidia-nscq-535"]),
        ("l40s", 8, "580.178.04", []),
        ("unheard-of", 8, "580.178.04", []),
        (
            "b200-sxm6-180gb",
            8,
            "595.91.07",
            ["nvidia-fabricmanager", "libnvidia-nscq", "nvlsm", "libibumad3", "infiniband-diags"],
        ),
    ],
)
def test_fabric_packages_only_where_switches_are(model, count, version, names):
    found = fabric.packages(fabric.kind({"model": model, "count": count}, GPUS), version)
    assert [package["name"] for package in found] == names
    assert {p["version"] for p in found if p["name"].startswith(("nvidia", "libnvidia"))} <= {version}


def test_a_host_without_gpus_has_no_fabric():
    assert fabric.kind({}, GPUS) == "none"


def names(found):
    return [f"{package['name']}={package['version']}" for package in found]


def test_cudnn_for_every_major_version_once():
    found, refused = cuda.cudnn("9.17.0", ["13.0", "12.9", "12.6"], "toolkit")
    assert names(found) == ["cudnn9-cuda-13=9.17.0", "cudnn9-cuda-12=9.17.0"]
    assert refused == []
    assert names(cuda.cudnn("9.17.0", ["13.0"], "libraries")[0]) == ["libcudnn9-cuda-13=9.17.0"]
    assert cuda.cudnn("", ["13.0"], "toolkit") == ([], [])


def test_the_original_wish_can_be_had_side_by_side():
    found, refused = cuda.cudnn({"11": "8.6.0", "12": "9.10.2"}, ["11.8", "12.2"], "toolkit")
    assert names(found) == [
        "cudnn9-cuda-12=9.10.2",
        "libcudnn8=8.6.0*+cuda11*",
        "libcudnn8-dev=8.6.0*+cuda11*",
    ]
    assert refused == []


def test_two_cudnn_8_cannot_be_had():
    found, (refusal,) = cuda.cudnn({"11": "8.6.0", "12": "8.9.7"}, ["11.8", "12.2"], "toolkit")
    assert found == []
    assert "8.6.0 for CUDA 11 and 8.9.7 for CUDA 12" in refusal


def test_nccl_is_the_build_for_the_first_toolkit():
    assert names(cuda.nccl("2.30.4", ["13.0", "12.9"], "libraries")) == ["libnccl2=2.30.4-*+cuda13*"]
    by_major = {"12": "2.21.5", "11": "2.21.5"}
    assert names(cuda.nccl(by_major, ["12.2", "11.8"], "toolkit")) == [
        "libnccl2=2.21.5-*+cuda12*",
        "libnccl-dev=2.21.5-*+cuda12*",
    ]
    assert cuda.nccl("", ["13.0"], "toolkit") == []


def test_toolkits_at_their_minor_version_or_at_an_exact_update():
    found = cuda.toolkits(["13.0", "12.9"], {"13.0": "13.0.2"}, "toolkit")
    assert names(found) == ["cuda-toolkit-13-0=13.0.2", "cuda-toolkit-12-9=12.9"]


HEALTHY = RECORDED.read_text()


def test_the_recorded_host_is_whole():
    gpus = fabric_state.parse(HEALTHY)
    assert len(gpus) == 4
    assert fabric_state.problems(gpus, 4) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "<state>Completed</state>",
            "<state>In Progress</state>",
            "fabric In Progress, Success; see `systemctl",
        ),
        ("<state>Completed</state>", "<state>Not Started</state>", "fabric Not Started"),
        ("<state>Completed</state>", "<state>N/A</state>", "on no NVSwitch board"),
        ("<status>Success</status>", "<status>Insufficient Resources</status>", "Completed, Insufficient"),
        ("<summary>N/A</summary>", "<summary>Unhealthy</summary>", "reset all GPUs together"),
    ],
)
def test_one_gpu_that_is_not_on_the_fabric_is_named_with_the_remedy(old, new, says):
    assert old in HEALTHY
    (problem,) = fabric_state.problems(fabric_state.parse(HEALTHY.replace(old, new, 1)), 4)
    assert problem.startswith(f"GPU {fabric_state.parse(HEALTHY)[0].address}: ")
    assert says in problem


def test_a_gpu_that_fell_off_the_bus_is_counted():
    assert fabric_state.problems(fabric_state.parse(HEALTHY), 8)[0].startswith("nvidia-smi shows 4 GPUs")


@pytest.mark.parametrize("text", ["", "NVIDIA-SMI has failed", "<html/>"])
def test_other_output_is_not_understood(text):
    with pytest.raises(fabric_state.NotUnderstood):
        fabric_state.parse(text)
