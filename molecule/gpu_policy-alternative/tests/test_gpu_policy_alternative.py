"""Two GPUs with everything of role gpu_policy set, and one of them set otherwise."""

from xml.etree import ElementTree as Xml

import pytest
from shared import rerun


def gpus(host):
    """What nvidia-smi shows."""
    return list(Xml.fromstring(host.check_output("nvidia-smi -q -x")).iter("gpu"))


def instances(host):
    """MIG instances by GPU."""
    found = []
    for line in host.check_output("nvidia-smi -L").splitlines():
        if line.startswith("GPU"):
            found.append([])
        else:
            found[-1].append(line.split()[1])
    return [sorted(names) for names in found]


def as_said(host):
    """Everything that the scenario sets, read from nvidia-smi."""
    first, second = gpus(host)
    for gpu, watts in ((first, 500), (second, 300)):
        assert gpu.findtext("gpu_power_readings/requested_power_limit") == f"{watts}.00 W"
        assert gpu.findtext("compute_mode") == "Exclusive_Process"
        assert gpu.findtext("applications_clocks/graphics_clock") == "1755 MHz"
        assert gpu.findtext("clocks/sm_clock") == "1500 MHz"
        assert gpu.findtext("ecc_mode/current_ecc") == "Disabled"
    assert [gpu.findtext("mig_mode/current_mig") for gpu in (first, second)] == ["Enabled", "Disabled"]
    assert instances(host) == [["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"], []]
    return True


def test_each_gpu_is_as_its_policy_says(host):
    assert as_said(host)


def test_a_boot_forgets_it_and_the_unit_brings_all_of_it_back(host):
    host.check_output("nvidia-smi --stand-in-boot")
    assert instances(host) == [[], []]
    host.check_output("systemctl start gpu-policy")
    assert as_said(host)


@pytest.mark.parametrize("change", [{"gpu_policy_ecc": True}, {"gpu_policy_mig": "h100-sevenths"}])
def test_a_gpu_in_use_is_left_alone_and_its_user_named(host, change):
    host.check_output("nvidia-smi --stand-in-process vllm")
    try:
        result = rerun.converge(**change)
        ((_, _, message),) = result.failures
        assert "is in use by 4000 vllm" in message
        assert as_said(host)
    finally:
        host.check_output("nvidia-smi --stand-in-process")


def test_check_mode_names_each_change_and_makes_none(host):
    before = host.check_output("cat /var/lib/nvidia-smi-stand-in/state.json")
    result = rerun.converge(check=True, gpu_policy_power_limit=450, gpu_policy_overrides=[])
    assert result.rc == 0
    tasks = {task.rpartition(" : ")[2] for _, task in result.changed_tasks}
    assert tasks == {"Set the GPUs, and read every setting back", "Write the policy, and what applies it"}
    assert host.check_output("cat /var/lib/nvidia-smi-stand-in/state.json") == before
