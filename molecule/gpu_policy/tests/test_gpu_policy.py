"""A host whose GPUs nobody said anything about: the boards' own values, and they come back after a boot."""

import json
import re
from xml.etree import ElementTree as Xml

from shared import rerun

PROGRAM = "PYTHONPATH=/usr/local/lib/bedplate python3 -m gpu_policy"


def gpus(host):
    """What nvidia-smi shows."""
    return list(Xml.fromstring(host.check_output("nvidia-smi -q -x")).iter("gpu"))


def test_gpus_have_their_board_s_values_and_keep_the_driver_s_state(host):
    (gpu,) = gpus(host)
    assert gpu.findtext("persistence_mode") == "Enabled"
    assert gpu.findtext("compute_mode") == "Default"
    assert gpu.findtext("gpu_power_readings/requested_power_limit") == "700.00 W"
    assert gpu.findtext("ecc_mode/current_ecc") == "Enabled"
    assert gpu.findtext("mig_mode/current_mig") == "Disabled"


def test_after_a_boot_they_are_set_again(host):
    host.check_output("nvidia-smi --stand-in-boot")
    assert gpus(host)[0].findtext("persistence_mode") == "Disabled"
    assert host.service("gpu-policy").is_enabled
    host.check_output("systemctl start gpu-policy")
    assert gpus(host)[0].findtext("persistence_mode") == "Enabled"


def test_a_loaded_driver_starts_it_too(host):
    rule = host.file("/etc/udev/rules.d/90-gpu-policy.rules").content_string.splitlines()[-1]
    assert 'KERNEL=="nvidia"' in rule
    assert 'SYSTEMD_WANTS}+="gpu-policy.service"' in rule
    assert host.run("udevadm verify /etc/udev/rules.d/90-gpu-policy.rules").rc in (0, 1, 127)


def test_a_limit_that_the_board_does_not_take_is_refused_and_nothing_changes(host):
    both = "cat /var/lib/nvidia-smi-stand-in/state.json /etc/bedplate/gpu_policy.json"
    before = host.check_output(both)
    result = rerun.converge(gpu_policy_power_limit=900)
    ((_, task, message),) = result.failures
    assert "Set the GPUs" in task
    assert "takes no power limit of 900 W: set gpu_policy_power_limit to 200 to 700 W" in message
    assert host.check_output(both) == before


def test_ecc_waits_for_a_boot_and_the_boot_brings_it(host):
    result = rerun.converge(gpu_policy_ecc=False)
    assert result.rc == 0
    assert gpus(host)[0].findtext("ecc_mode/pending_ecc") == "Enabled"
    said = json.loads(host.check_output(f"{PROGRAM} --check /etc/bedplate/gpu_policy.json"))
    assert said["would_do"] == ["GPU 0 (00000000:00:06.0): ECC on -> off"]
    host.check_output("nvidia-smi --stand-in-boot && systemctl start gpu-policy")
    assert gpus(host)[0].findtext("ecc_mode/current_ecc") == "Disabled"
    rerun.converge()
    host.check_output("nvidia-smi --stand-in-boot && systemctl start gpu-policy")
    assert gpus(host)[0].findtext("ecc_mode/current_ecc") == "Enabled"


def test_what_sets_them_may_touch_little_else(host):
    """systemd's own judge: 0 is safe, 10 is not; a service without hardening gets 9.6."""
    report = host.check_output("systemd-analyze security gpu-policy.service --no-pager")
    exposure = float(re.search(r"Overall exposure level for gpu-policy.service: ([\d.]+)", report)[1])
    assert exposure < 7, report
