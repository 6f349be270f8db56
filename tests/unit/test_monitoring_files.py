"""What an environment's inventory makes of the rules: expectations, thresholds of its own, files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bedplate.cli import app
from bedplate.errors import BadInput
from bedplate.inventory import Inventory
from bedplate.monitoring import expected, promtool, render, thresholds
from bedplate.monitoring.model import Group, Record
from tests import inventory_samples as samples


def numbers(inventory: Inventory) -> dict[str, dict[tuple[tuple[str, str], ...], str]]:
    """Series name to labels to value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], str]] = {}
    for record in expected.group(inventory).records:
        labels = tuple(sorted(record.labels.items()))
        found.setdefault(record.name.removeprefix("bedplate:expected_"), {})[labels] = record.expr
    return found


def test_the_inventory_says_what_is_expected() -> None:
    found = numbers(samples.base("lab"))
    host = ("node", "lab-gpu1")
    assert found["gpus"] == {(host,): "vector(8)"}
    assert found["nvlinks"] == {(host,): "vector(144)"}
    assert found["disks"][(host,)] == "vector(9)"
    assert found["target"] == {
        (("job", "node"), ("node", "lab-ctl1")): "vector(1)",
        (("job", "node"), host): "vector(1)",
        (("job", "dcgm"), host): "vector(1)",
    }
    assert found["mount"][(("mountpoint", "/srv/cold"), host, ("tier", "cold"))] == "vector(1)"
    assert found["tier_disks"][(("array", "bedplate-hot"), host, ("tier", "hot"))] == "vector(4)"
    assert found["vllm_replicas"][(("service", "chat"),)] == "vector(2)"
    assert found["triton_replicas"] == {(("service", "search"),): "vector(1)"}
    assert "rdma_ports" not in found


@pytest.mark.parametrize(
    ("gpus", "links"),
    [
        ({"model": "h100-sxm5-80gb", "count": 8}, 144),
        ({"model": "a100-sxm4-80gb", "count": 8}, 96),
        (
            {"model": "h100-sxm5-80gb", "count": 4},
            None,
        ),  # four are joined directly, no switch counts their links
        ({"model": "l40s", "count": 8}, None),
    ],
)
def test_links_are_expected_where_switches_are(gpus: dict[str, object], links: int | None) -> None:
    edited = samples.on("lab-gpu1", "hardware_gpus", to=gpus)(samples.base("lab"))
    found = numbers(edited).get("nvlinks", {})
    assert list(found.values()) == ([f"vector({links})"] if links else [])


def test_rdma_ports_are_those_of_infiniband_and_roce() -> None:
    nics = [
        {"name": "mgmt0", "kind": "ethernet"},
        {"name": "ib0", "kind": "infiniband"},
        {"name": "roce0", "kind": "roce"},
    ]
    edited = samples.on("lab-gpu1", "hardware_nics", to=nics)(samples.base("lab"))
    assert numbers(edited)["rdma_ports"] == {(("node", "lab-gpu1"),): "vector(2)"}


def test_what_is_expected_are_series_of_a_real_rule_engine(tmp_path: Path) -> None:
    """The lab's own rules with one GPU, one link, one disk and one mount too few: each is an alert."""
    inventory = samples.base("lab")
    render.write(render.rule_files("lab", render.groups(inventory)), tmp_path)
    host = 'node="lab-gpu1"'
    present = [(f'up{{job="{job}",{host}}}', "1x30") for job in ("node", "dcgm")]
    present += [(f'DCGM_FI_DEV_GPU_TEMP{{{host},gpu="{gpu}"}}', "40x30") for gpu in range(7)]
    present += [(f'DCGM_FI_DEV_NVSWITCH_LINK_STATUS{{{host},nvlink="{n}"}}', "2x30") for n in range(143)]
    present += [(f'smartctl_device{{{host},device="sd{n}"}}', "1x30") for n in range(8)]
    present += [
        (f'node_filesystem_size_bytes{{{host},mountpoint="/srv/{tier}",fstype="xfs"}}', "1x30")
        for tier in ("hot", "warm")
    ]
    missing = ("GpuLost", "NvlinkMissing", "DiskMissing", "TierMissing")
    fired = {name: "lab-gpu1" for name in missing} | {"HostDown": "lab-ctl1"}
    asked = [
        {
            "expr": f'count by (node) (ALERTS{{alertname="{name}",alertstate="firing",node="{node}"}})',
            "eval_time": "20m",
            "exp_samples": [{"labels": f'{{node="{node}"}}', "value": 1}],
        }
        for name, node in fired.items()
    ]
    asked.append({"expr": 'ALERTS{alertname="DcgmExporterDown"}', "eval_time": "20m", "exp_samples": []})
    test = {"interval": "1m", "promql_expr_test": asked}
    test["input_series"] = [{"series": series, "values": values} for series, values in present]
    files = sorted(file.name for file in tmp_path.glob("*.yml"))
    body = {"rule_files": files, "evaluation_interval": "1m", "tests": [test]}
    file = tmp_path / "all.test"
    file.write_text(yaml.safe_dump(body))
    assert promtool.test_rules([file]) == {file: ""}


def test_an_environment_has_thresholds_of_its_own() -> None:
    edited = samples.on("all", "monitoring_vllm_queue", to=25)(samples.base("lab"))
    [group] = [group for group in render.groups(edited) if group.name == "serving"]
    [alert] = [alert for alert in group.alerts if alert.key == "VllmQueue/ticket"]
    assert alert.expr == "sum by (service) (vllm:num_requests_waiting) >= 25"


def test_a_threshold_of_one_host_is_refused() -> None:
    edited = samples.on("lab-gpu1", "monitoring_vllm_queue", to=25)(samples.base("lab"))
    with pytest.raises(BadInput, match=r"monitoring_vllm_queue.*differs between hosts"):
        thresholds.read(edited)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("monitoring_disk_used_ratio", 85, "must be at most"),
        ("monitoring_xid_reset", ["79"], "whole number"),
        ("monitoring_vllm_que", 3, "nothing reads a variable of this name"),
    ],
)
def test_the_check_knows_the_thresholds(name: str, value: object, words: str) -> None:
    found = samples.outcome("lab", lambda inventory: _with(inventory, name, value)).errors
    assert [finding.key for finding in found if name in finding.key]
    assert [finding.why for finding in found if words in finding.why]


def _with(inventory: Inventory, name: str, value: object) -> Inventory:
    hosts = {host: {**values, name: value} for host, values in inventory.hosts.items()}
    return replace(inventory, hosts=hosts)


@pytest.mark.parametrize(
    ("rules", "names"), [(0, ["x"]), (4, ["x"]), (5, ["x-1", "x-2"]), (9, ["x-1", "x-2", "x-3"])]
)
def test_what_is_expected_of_many_hosts_is_several_groups(rules: int, names: list[str]) -> None:
    group = Group("x", tuple(Record(f"r{number}", "vector(1)") for number in range(rules)))
    found = render.parts(group, most=4)
    assert [part.name for part in found] == names
    assert tuple(rule for part in found for rule in part.rules) == group.rules


def test_no_rule_file_of_a_thousand_hosts_is_too_large_for_the_cluster() -> None:
    inventory = samples.base("production")
    [values] = [inventory.hosts[name] for name in inventory.groups["gpu_nodes"][:1]]
    fleet = replace(inventory, hosts={f"prod-gpu{number:04}": values for number in range(1000)})
    files = render.rule_files("production", render.parts(expected.group(fleet)))
    assert sum(map(len, files.values())) > 700_000
    assert max(map(len, files.values())) < 300_000


def test_the_command_writes_what_promtool_accepts(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["monitoring", "-i", "inventories/lab", "--to", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["alerts"] == 129
    assert promtool.check_rules(sorted((tmp_path / "rules").glob("*.yml"))) == ""
    assert len(list((tmp_path / "dashboards").glob("*.json"))) == said["dashboards"]
    assert (tmp_path / "dcgm-counters.csv").is_file()


def test_what_is_expected_is_said_seldom_and_not_forgotten_in_between() -> None:
    """Thousands of numbers that change with the inventory only; Prometheus forgets a series after 300 s."""
    body = yaml.safe_load(render.document(*render.parts(expected.group(samples.base("lab")), most=2)))
    paces = {int(group["interval"].rstrip("s")) for group in body["groups"]}
    assert len(body["groups"]) > 1
    assert min(paces) >= 60 and max(paces) * 2 < 300
