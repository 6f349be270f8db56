"""Files and lines, through Ansible and real files: the place that is named is the place to edit."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bedplate import paths
from bedplate.check.run import check
from bedplate.check.source import read
from bedplate.cli import app
from bedplate.errors import BadInput
from bedplate.inventory import load
from tests.inventory_samples import base


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A copy of the lab, to be spoilt."""
    folder = tmp_path / "lab"
    shutil.copytree(paths.INVENTORIES / "lab", folder, symlinks=True)
    link = folder / "group_vars" / "all" / "common"
    link.unlink()
    link.symlink_to(paths.COMMON)
    return folder


def replace(file: Path, old: str, new: str) -> int:
    """Replace text that stands once; the number of its line."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def append(file: Path, text: str) -> int:
    """Add a line; its number."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text() if file.exists() else "---\n"
    file.write_text(before + text + "\n")
    return before.count("\n") + 1


def errors(*folders: Path) -> list[tuple[str, str]]:
    """(place, key) of every error."""
    return [(error.file, error.key) for error in check(read(*folders)).errors]


def test_values_are_those_of_ansible_inventory():
    """The reader and the listing agree on every host, group and value."""
    for name in ("lab", "production"):
        listed, ours = load(paths.INVENTORIES / name), base(name)
        assert ours.groups == {"ungrouped": (), **listed.groups}
        for host, values in listed.hosts.items():
            values.pop("ansible_local")  # Ansible's own, on every host
            assert ours.hosts[host] == values


def test_nested_value_in_a_host_file(lab):
    file = lab / "host_vars" / "lab-gpu1" / "hardware.yml"
    line = replace(file, "PHAB1000003K3P8, class: nvme", "PHAB1000003K3P8, class: nvm")
    assert errors(lab) == [(f"{file}:{line}", "hardware_disks[3].class")]


def test_missing_key_is_placed_at_its_item(lab):
    file = lab / "group_vars" / "all" / "site.yml"
    line = replace(file, ", mtu: 9000, zone: compute", ", mtu: 9000")
    assert errors(lab) == [(f"{file}:{line}", "site_networks[1].zone")]


def test_the_more_specific_source_is_named(lab):
    """The mistake is in a group's file that wins over all's, and over _common's."""
    file = lab / "group_vars" / "gpu_nodes" / "versions.yml"
    line = append(file, 'version_nvidia_fabric_manager: "580.95.05"')
    append(lab / "group_vars" / "all" / "site.yml", 'version_nvidia_fabric_manager: "580.178.04"')
    assert errors(lab) == [(f"{file}:{line}", "version_nvidia_fabric_manager")]


def test_variables_beside_the_host_are_found(lab):
    file = lab / "hosts.yml"
    replace(file, "        lab-gpu1:\n", "        lab-gpu1:\n          base_upgrades: never\n")
    line = 1 + file.read_text()[: file.read_text().index("base_upgrades")].count("\n")
    assert errors(lab) == [(f"{file}:{line}", "base_upgrades")]


def test_a_host_file_wins_over_a_group_and_the_group_is_innocent(lab):
    """The group's wrong value is overridden: nothing is wrong on this host."""
    append(lab / "group_vars" / "all" / "base.yml", "base_upgrades: never")
    for host in ("lab-ctl1", "lab-gpu1"):
        append(lab / "host_vars" / host / "base.yml", "base_upgrades: security")
    assert errors(lab) == []


def test_an_overlay_wins_and_is_named(lab, tmp_path):
    overlay = tmp_path / "overlay.yml"
    overlay.write_text("all:\n  hosts:\n    lab-gpu1:\n      port_ssh: 99999\n")
    assert errors(lab, overlay) == [(f"{overlay}:4", "port_ssh")]


def test_mistyped_name_of_a_whole_variable(lab):
    file = lab / "group_vars" / "gpu_nodes" / "storage_tiers.yml"
    line = replace(file, "storage_tiers:", "storage_teirs:")
    (error,) = check(read(lab)).errors
    assert (error.file, error.key) == (f"{file}:{line + 1}", "storage_teirs")
    assert error.remedy == "write storage_tiers"


def test_shared_truth_is_named_by_its_own_file(lab):
    """_common is read through a link; the finding names the file behind it."""
    outcome = check(read(lab))
    places = {warning.file.split(":")[0] for warning in outcome.warnings}
    assert places <= {"inventories/_common/versions.yml"}


def test_every_broken_file_is_reported_at_once(lab):
    one = append(lab / "group_vars" / "all" / "site.yml", "site_domain: [unclosed")
    two = append(lab / "host_vars" / "lab-gpu1" / "network.yml", "\tvlan: 1")
    with pytest.raises(BadInput) as raised:
        read(lab)
    files = {
        finding.file.rsplit(":", 1)[0]: int(finding.file.rsplit(":", 1)[1])
        for finding in raised.value.findings
    }
    assert set(files) == {
        str(lab / "group_vars" / "all" / "site.yml"),
        str(lab / "host_vars" / "lab-gpu1" / "network.yml"),
    }
    assert files[str(lab / "group_vars" / "all" / "site.yml")] in (one, one + 1)
    assert files[str(lab / "host_vars" / "lab-gpu1" / "network.yml")] == two


def test_vault_values_and_templates_are_taken_on_trust(lab):
    secret = "\n  ".join(
        [
            "base_limit_memlock: !vault |",
            "$ANSIBLE_VAULT;1.1;AES256",
            "61616161616161616161616161616161616161616161616161616161616161616161616161616161",
        ]
    )
    append(lab / "group_vars" / "all" / "base.yml", secret)
    append(lab / "group_vars" / "all" / "base.yml", 'base_limit_nofile: "{{ 1024 * 1024 }}"')
    assert errors(lab) == []


def test_values_of_private_names_are_not_printed(lab):
    append(lab / "group_vars" / "all" / "site.yml", "site_admin_password: hunter2")
    (error,) = check(read(lab)).errors
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(("spoil", "code", "verdict"), [(False, 0, "pass"), (True, 1, "fail")])
def test_command_prints_one_document_and_exits_by_verdict(lab, spoil, code, verdict):
    if spoil:
        append(lab / "group_vars" / "all" / "site.yml", "site_timeservers: []")
    result = CliRunner().invoke(app, ["check", "-i", str(lab), "--json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verdict"]) == (code, verdict)
    assert document["counts"]["hosts"] == 2
    assert [f["key"] for f in document["findings"] if f["level"] == "error"] == ["site_timeservers"] * spoil


def test_no_such_inventory_names_those_that_exist(tmp_path):
    with pytest.raises(BadInput) as raised:
        read(tmp_path / "nowhere")
    assert "lab" in raised.value.findings[0].remedy


def test_no_host_is_touched(lab, monkeypatch):
    """No program at all is started: the check cannot reach a host."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process was started"))
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: pytest.fail("a program was started"))
    assert check(read(lab)).errors == ()
