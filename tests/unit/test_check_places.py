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


ODD = {
    "hosts.yml": """
all:
  vars: {inline: all, both: inline, port_x: 1}
  children:
    gpu_nodes:
      vars: {inline: group, both: inline of group}
      hosts:
        a[1:2]: {beside: yes, both: beside}
        b.example: {ansible_port: 2222, since: 2026-11-06}
    racks: {children: {gpu_nodes: null, late: null}}
    late: {vars: {ansible_group_priority: 10, rank: late}, hosts: {a1: null}}
    early: {vars: {rank: early}, hosts: {a1: null, a2: null}}
""",
    "group_vars/all.yml": "both: file of all\nfile: all\nnumbers: {7: one, yes: true, null: none}\n",
    "group_vars/gpu_nodes/one.yml": "file: one\nbase: &it {a: 1}\nuser: {<<: *it, b: 0x1F, c: 1_0, d: 017}\n",
    "group_vars/gpu_nodes/two.json": '{"file": "two", "list": [1, 2.5, "3", null, false]}',
    "group_vars/gpu_nodes/deep/er/three": "file: three\nempty:\ntext: >-\n  a\n  b\n",
    "group_vars/gpu_nodes/.hidden.yml": "file: hidden\n",
    "group_vars/gpu_nodes/kept.yml~": "file: backup\n",
    "group_vars/gpu_nodes/note.txt": "file: text\n",
    "group_vars/racks.yaml": "file: racks\nmark: !unsafe '{{ x }}'\nrendered: '{{ file }}'\n",
    "group_vars/empty.yml": "",
    "host_vars/a1.yml": "both: file of a1\nover: 12:30:45\nlong: 1e3\n",
    "host_vars/a2/x.yml": "---\n",
}


def test_odd_inventories_are_read_as_ansible_reads_them(tmp_path):
    """Ranges, priorities, files without an ending, folders in folders, aliases, an overlay."""
    for name, text in ODD.items():
        append(tmp_path / "odd" / name, "")
        (tmp_path / "odd" / name).write_text(text)
    overlay = tmp_path / "overlay" / "hosts.yml"
    append(overlay, "all: {hosts: {a2: {beside: overlay}}, vars: {both: overlay, new: 1}}")
    append(tmp_path / "overlay" / "group_vars" / "racks.yml", "file: racks of the overlay")
    listed, ours = load(tmp_path / "odd", overlay), read(tmp_path / "odd", overlay).inventory
    members = {group: sorted(hosts) for group, hosts in ours.groups.items()}
    assert members == {"ungrouped": [], **{group: sorted(hosts) for group, hosts in listed.groups.items()}}
    for host, values in listed.hosts.items():
        values.pop("ansible_local")
        if "mark" in values:  # the listing's way to say that this is no template
            values["mark"] = values["mark"]["__ansible_unsafe"]
        assert ours.hosts[host] == values


LIST = "(a list or dictionary)"


@pytest.mark.parametrize(
    ("where", "text", "expected"),
    [
        ("group_vars/all/site.yml", "site_domain: other.example", ("site_domain", "other.example", 0)),
        ("group_vars/all/new.yml", "base_users: [{name: ada, name: eve}]", ("base_users[0].name", "eve", 0)),
        ("group_vars/all/new.yml", "base_sysctl:\n  a.b: 1\n  a.b: 1", ("base_sysctl.a.b", "1", 2)),
        ("group_vars/all/new.yml", "base_users: []\nbase_users:\n  - name: ada", ("base_users", LIST, 1)),
        ("group_vars/all/new.yml", "x_password: a\nx_password: b", ("x_password", "(not shown)", 1)),
        ("host_vars/lab-gpu1/network.yml", "vlan_network_addresses: {}", ("vlan_network_addresses", LIST, 0)),
        ("hosts.yml", "all: {}", ("all", LIST, 0)),
    ],
)
def test_a_key_that_stands_twice_is_one_error(lab, where, text, expected):
    """Ansible would take the last one, and print a warning that nobody reads."""
    key, value, below = expected
    line = append(lab / where, text) + below
    (error,) = [error for error in check(read(lab)).errors if "sets this key already" in error.why]
    assert (error.file, error.key, error.value) == (f"{lab / where}:{line}", key, value)
    assert error.remedy == "keep one of the two lines"


def test_a_key_twice_is_found_beside_every_other_error(lab):
    append(lab / "group_vars" / "all" / "site.yml", "site_domain: other.example\nsite_timeservers: []")
    assert sorted(key for _, key in errors(lab)) == ["site_domain", "site_timeservers"]


@pytest.mark.parametrize("text", ["- a list\n", "just text\n", "base_users: 2026-13-45\n", "{[1]: 2}\n"])
def test_a_file_that_holds_no_variables_is_named(lab, text):
    (lab / "group_vars" / "all" / "new.yml").write_text(text)
    with pytest.raises(BadInput) as raised:
        read(lab)
    assert [finding.value for finding in raised.value.findings] == ["new.yml"]


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
    assert (error.file, error.key) == (f"{file}:{line}", "storage_teirs")
    assert error.remedy == "write storage_tiers"


def test_shared_truth_is_named_by_its_own_file(lab, tmp_path):
    """_common is read through a link; the finding names the file behind it."""
    shared = tmp_path / "shared"
    shutil.copytree(paths.COMMON, shared)
    link = lab / "group_vars" / "all" / "common"
    link.unlink()
    link.symlink_to(shared)
    line = replace(shared / "ports.yml", "port_ssh: 22", "port_ssh: 99999")
    assert errors(lab) == [(f"{shared / 'ports.yml'}:{line}", "port_ssh")]


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


def test_a_folder_without_hosts_is_no_inventory(lab):
    with pytest.raises(BadInput, match=r"this folder has no hosts.yml"):
        read(lab / "group_vars")


def test_what_ansible_would_skip_is_an_error(lab, capfd):
    """`host` for `hosts`: without a word in the end, the group would be empty."""
    (lab / "hosts.yml").write_text((lab / "hosts.yml").read_text().replace("hosts:", "host:"))
    (error, *_) = [error for error in check(read(lab)).errors if "Skipping" in error.why]
    assert (error.file, error.key) == (str(lab / "hosts.yml"), "groups")
    assert "host" in error.why
    assert capfd.readouterr().err == ""


def test_no_such_inventory_names_those_that_exist(tmp_path):
    with pytest.raises(BadInput) as raised:
        read(tmp_path / "nowhere")
    assert "lab" in raised.value.findings[0].remedy


def test_no_host_is_touched(lab, monkeypatch):
    """No program at all is started: the check cannot reach a host."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process was started"))
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: pytest.fail("a program was started"))
    assert check(read(lab)).errors == ()
