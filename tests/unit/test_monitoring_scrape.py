"""What is scraped: every host, every job that an alert expects, with the labels that rules count on."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_platform import names
from bedplate.monitoring import expected, metrics, scrape
from tests import inventory_samples as samples

ENVIRONMENTS = ("lab", "staging", "production")
# Components that bring their own label bedplate.io/metrics, and what Prometheus knows by itself.
LABELLED = {
    "milvus",
    "seaweedfs",
    "postgres",
    "valkey",
    "log-collector",
    "elasticsearch",
    "argocd",
}


def jobs(environment: str) -> dict[str, dict[str, Any]]:
    config = scrape.config(samples.base(environment))
    return {job["job_name"]: job for job in config["scrape_configs"]}


def nodes(job: dict[str, Any]) -> dict[str, str]:
    """Host to address of a job that the inventory lists."""
    return {entry["labels"]["node"]: entry["targets"][0] for entry in job["static_configs"]}


def test_every_host_is_read_at_its_management_address_inside_kubernetes_or_not() -> None:
    inventory = samples.base("production")
    found = nodes(jobs("production")["node"])
    assert set(found) == set(inventory.hosts)
    outside = set(inventory.groups["gateways"]) - set(inventory.groups["kubernetes"])
    assert outside
    for host, values in inventory.hosts.items():
        assert found[host] == f"{values['vlan_network_addresses']['management']}:9100"


def test_collectors_of_logs_outside_kubernetes_are_read_and_only_those() -> None:
    inventory = samples.base("production")
    found = nodes(jobs("production")["log-collector"])
    assert set(found) == set(inventory.hosts) - set(inventory.groups["kubernetes"])
    port = inventory.shared["port_log_collector_metrics"]
    assert all(address.endswith(f":{port}") for address in found.values())
    without = {
        host: {k: v for k, v in values.items() if k != "platform_logs"}
        for host, values in inventory.hosts.items()
    }
    config = scrape.config(replace(inventory, hosts=without))
    assert "log-collector" not in {job["job_name"] for job in config["scrape_configs"]}


@pytest.mark.parametrize(
    ("addresses", "zone", "expected_address"),
    [
        ({"management": "10.10.0.9", "cluster": "10.20.0.9"}, "management", "10.10.0.9"),
        ({"management": "10.10.0.9", "cluster": "10.20.0.9"}, "compute", "10.20.0.9"),
        ({"cluster": "10.20.0.9"}, "management", "10.20.0.9"),
        ({}, "management", "host1"),
    ],
)
def test_a_host_without_an_address_in_the_zone_is_reached_otherwise(
    addresses: dict[str, str], zone: str, expected_address: str
) -> None:
    networks = [{"name": "management", "zone": "management"}, {"name": "cluster", "zone": "compute"}]
    values = {"vlan_network_addresses": addresses, "site_networks": networks}
    assert scrape.address("host1", values, zone) == expected_address


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_expected_has_a_job_that_can_be_seen(environment: str) -> None:
    inventory = samples.base(environment)
    wanted = {record.labels["job"] for record in expected.group(inventory).records if "job" in record.labels}
    assert wanted == {"node", "dcgm"}
    assert wanted <= set(jobs(environment))


def test_every_exporter_has_a_job() -> None:
    exporters = {metric.exporter for metric in metrics.known().values()}
    assert exporters - {"scrape"} == (set(jobs("production")) & exporters) | LABELLED


@pytest.mark.parametrize("job", ["vllm", "triton", "dcgm", "kubelet", "gateway", "gate", "pods"])
def test_what_the_api_names_gets_the_hosts_name(job: str) -> None:
    targets = [rule.get("target_label") for rule in jobs("lab")[job]["relabel_configs"]]
    assert "node" in targets


def test_labels_of_pods_are_not_those_of_their_exporter() -> None:
    found = jobs("lab")
    assert {name for name, job in found.items() if job.get("honor_labels")} == {
        "dcgm",
        "kubelet",
        "kube-state-metrics",
    }
    dcgm = [rule.get("target_label") for rule in found["dcgm"]["relabel_configs"]]
    assert not {"pod", "namespace", "service"} & set(dcgm)


def test_of_kubelets_thousands_of_series_only_those_that_are_read_are_kept() -> None:
    [rule] = jobs("lab")["kubelet"]["metric_relabel_configs"]
    assert (rule["action"], rule["regex"]) == ("keep", "container_memory_working_set_bytes")


def test_of_the_gateways_series_those_that_are_read_are_kept_of_both_programs() -> None:
    found = jobs("lab")
    assert {name: found[name]["metrics_path"] for name in ("gateway", "gate")} == {
        "gateway": "/stats/prometheus",
        "gate": "/metrics",
    }
    [proxy], [gate] = (found[name]["metric_relabel_configs"] for name in ("gateway", "gate"))
    assert "envoy_http_downstream_rq_xx" in proxy["regex"].split("|")
    assert "gateway_decisions_total" in gate["regex"].split("|")


def test_probes_follow_the_inventory() -> None:
    found = {scope: targets for scope, _, targets in scrape.probed(samples.base("production"))}
    assert found["gateway"] == ["https://10.140.0.21:443/", "https://10.140.0.22:443/"]
    assert len(found["fabric"]) == 8
    assert found["site"] == []
    assert len(found["control-plane"]) == 3
    edited = samples.on("all", "monitoring_probe_gateways", to=["https://ai.example.com/"])
    found = {scope: targets for scope, _, targets in scrape.probed(edited(samples.base("production")))}
    assert found["gateway"] == ["https://ai.example.com/"]
    [blackbox] = [job for job in [jobs("production")["blackbox"]] if job]
    assert "site" not in [entry["labels"]["scope"] for entry in blackbox["static_configs"]]


def test_modules_of_probes_exist() -> None:
    used = {module for _, module, _ in scrape.probed(samples.base("production"))}
    assert used == set(scrape.blackbox()["modules"])


def test_alerts_go_to_every_alertmanager_and_each_of_them_is_watched() -> None:
    config = scrape.config(samples.base("production"))
    [told] = config["alerting"]["alertmanagers"][0]["static_configs"]
    [watched] = jobs("production")["alertmanager"]["static_configs"]
    assert told == watched
    assert len(told["targets"]) == samples.base("production").shared["monitoring_alertmanagers"] == 3


def test_the_namespace_is_the_platforms() -> None:
    assert scrape.NAMESPACE == names.MONITORING


def test_both_prometheus_say_the_same() -> None:
    """A label that tells the two apart would make two alerts of one."""
    assert scrape.config(samples.base("lab"))["global"]["external_labels"] == {"environment": "lab"}


def complaint(config: dict[str, Any], folder: Path) -> str:
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    command = ["promtool", "check", "config", "--syntax-only", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


def without_discovery(config: dict[str, Any]) -> dict[str, Any]:
    """Debian's build knows no Kubernetes; discovery is judged in tests/e2e/test_monitoring_discovery.py."""
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = []
    return config


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_promtool_accepts_the_configuration(environment: str, tmp_path: Path) -> None:
    assert complaint(without_discovery(scrape.config(samples.base(environment))), tmp_path) == ""


def test_promtool_can_say_no(tmp_path: Path) -> None:
    config = without_discovery(scrape.config(samples.base("lab")))
    config["scrape_configs"][0]["scrape_intervall"] = "5s"
    assert "scrape_intervall" in complaint(config, tmp_path)
    twice = without_discovery(scrape.config(samples.base("lab")))
    twice["scrape_configs"].append(twice["scrape_configs"][0])
    assert "node" in complaint(twice, tmp_path)
