"""Made-up environments for the tests of the report: any number of hosts, and the records of a full run."""

from pathlib import Path
from typing import Any

from bedplate.errors import Finding
from bedplate.evidence import Evidence
from bedplate.inventory import Inventory, parse
from bedplate.report.sources import Records

SITE = {
    "site_domain": "example.internal",
    "site_networks": [
        {
            "name": "management",
            "subnet": "10.10.0.0/20",
            "gateway": "10.10.0.1",
            "mtu": 1500,
            "zone": "management",
        },
        {"name": "cluster", "vlan": 20, "subnet": "10.20.0.0/20", "mtu": 9000, "zone": "compute"},
        {"name": "business", "vlan": 30, "subnet": "10.30.0.0/20", "mtu": 1500, "zone": "business"},
    ],
    "vlan_network_links": [
        {"name": "mgmt0", "nics": ["mgmt0"], "networks": ["management"]},
        {"name": "bond0", "nics": ["data0", "data1"], "networks": ["cluster", "business"], "mode": "802.3ad"},
    ],
}
TIERS = [
    {
        "name": "hot",
        "class": "nvme",
        "count": 4,
        "raid": 5,
        "mount": "/srv/hot",
        "promise": {"read_iops": 500000},
    },
    {"name": "warm", "class": "ssd", "count": 2, "raid": 1, "mount": "/srv/warm", "encrypt": True},
]


def control(index: int) -> dict[str, Any]:
    """A control-plane host: one system disk."""
    return _host(index) | {
        "hardware_cpus": 32,
        "hardware_disks": [{"serial": f"SYS{index:04}", "class": "ssd", "size": "480GB", "use": "system"}],
    }


def gpu_node(index: int) -> dict[str, Any]:
    """A host with eight GPUs, four NVMe and three SSD, of which one is in no tier."""
    disks = [{"serial": f"SYS{index:04}", "class": "ssd", "size": "480GB", "use": "system"}]
    disks += [{"serial": f"NV{index:04}{n}", "class": "nvme", "size": "3.84TB"} for n in range(4)]
    disks += [{"serial": f"SD{index:04}{n}", "class": "ssd", "size": "1.92TB"} for n in range(2)]
    disks += [{"serial": f"HD{index:04}", "class": "hdd", "size": "20TB"}]
    return _host(index) | {
        "hardware_cpus": 128,
        "hardware_gpus": {"model": "h100-sxm5-80gb", "count": 8},
        "hardware_disks": disks,
        "storage_tiers": TIERS,
    }


def _host(index: int) -> dict[str, Any]:
    last = f"{index // 250}.{index % 250 + 2}"
    return {
        "hardware_memory": "2TiB",
        "hardware_nics": [
            {"name": "mgmt0", "mac": f"52:54:00:10:{index // 256:02x}:{index % 256:02x}", "speed": "1Gbit"},
            {"name": "data0", "mac": f"52:54:00:20:{index // 256:02x}:{index % 256:02x}", "speed": "100Gbit"},
            {"name": "data1", "mac": f"52:54:00:30:{index // 256:02x}:{index % 256:02x}", "speed": "100Gbit"},
        ],
        "hardware_rack": {"rack": f"r{index // 8 + 1:03}", "unit": index % 8 * 5 + 1, "height": 4},
        "vlan_network_addresses": {"management": f"10.10.{last}", "cluster": f"10.20.{last}"},
    }


def inventory(gpu_nodes: int = 1, environment: str = "sample") -> Inventory:
    """One control-plane host and ``gpu_nodes`` GPU nodes."""
    hosts = {"ctl1": SITE | control(0)}
    hosts |= {f"gpu{n}": SITE | gpu_node(n) for n in range(1, gpu_nodes + 1)}
    return inventory_of(hosts, {"control_plane": ["ctl1"], "gpu_nodes": list(hosts)[1:]}, environment)


def inventory_of(
    hosts: dict[str, dict[str, Any]], groups: dict[str, list[str]], environment: str = "sample"
) -> Inventory:
    """An inventory as ``ansible-inventory --list`` would give it."""
    listing: dict[str, Any] = {group: {"hosts": members} for group, members in groups.items()}
    listing |= {"_meta": {"hostvars": hosts}, "all": {"hosts": list(hosts), "children": list(groups)}}
    return parse(listing, environment, Path("inventories") / environment)


def run(hosts: list[str], *, changed: int = 0, rc: int = 0, seconds: float = 425.0) -> dict[str, Any]:
    """One line of runs.jsonl: site.yml on emulated machines."""
    stats = {h: {"ok": 30, "changed": changed, "failures": int(rc != 0), "unreachable": 0} for h in hosts}
    return {
        "time": "2026-11-23T05:30:00+00:00",
        "playbook": "playbooks/site.yml",
        "seconds": seconds,
        "stats": stats,
        "tasks": {host: 36 for host in hosts},
        "rc": rc,
        "accelerator": "tcg",
    }


def proof(id: str = "hosts.second_run.seconds", **fields: Any) -> Evidence:
    """One evidence record that passed on the twin."""
    values: dict[str, Any] = {
        "claim": "A second run of site.yml changes nothing",
        "value": 0,
        "unit": "changes",
        "goal": "== 0",
        "verdict": "pass",
        "proved_on": "twin",
        "machine": {"cores": 2, "arch": "x86_64", "accelerator": "tcg"},
        "command": "bedplate up -i inventories/sample",
        "time": "2026-11-23T05:30:00+00:00",
    }
    return Evidence(id=id, **(values | fields))


def acceptance(tier: str = "hot", mode: str = "absolute", **measure: Any) -> dict[str, Any]:
    """What role storage_tiers leaves on the controller for one host: one tier with one figure."""
    values = {"what": "read_iops", "value": 612000, "goal": 500000, "verdict": "pass", "note": ""}
    return {"storage_tiers": {"tiers": [{"name": tier, "mode": mode, "measures": [values | measure]}]}}


def verified(*faults: str, answers: bool = True, full: bool = True) -> dict[str, Any]:
    """What role vlan_network leaves on the controller for one host: a gateway and a peer."""
    gateway = {
        "address": "10.10.0.1",
        "device": "mgmt0",
        "role": "gateway",
        "answers": True,
        "full_frames": False,
    }
    peer = {
        "address": "10.20.0.2",
        "device": "cluster",
        "role": "peer",
        "answers": answers,
        "full_frames": full,
    }
    return {"vlan_network": {"backend": "networkd", "reachable": [gateway, peer], "faults": list(faults)}}


def finding(level: str) -> Finding:
    """Something that the inventory check found."""
    return Finding(
        "inventories/sample/hosts.yml:3", "groups.all", "gpu1", "it is odd", "say it in words", level
    )


def rehearsal(**fields: Any) -> dict[str, Any]:
    """What `bedplate rehearse` leaves: one model on eight GPUs, one on two, a batch job that may wait."""
    placed = {"namespace": "serving", "kind": "StatefulSet", "ready": True, "priority": 1000, "node": "gpu1"}
    document: dict[str, Any] = {
        "time": "2026-11-23T05:40:00+00:00",
        "verdict": "fits",
        "why": [],
        "scale": 0.01,
        "seconds": {"control_plane": 6.2, "first_up": 41.5},
        "nodes": [{"name": "gpu1"}, {"name": "gpu2"}],
        "placements": [
            placed | {"workload": "r1-70b", "pod": "r1-70b-0", "gpus": 8, "start_seconds": 372.0},
            placed
            | {"workload": "r1-8b", "pod": "r1-8b-0", "gpus": 1, "node": "gpu2", "start_seconds": 60.0},
            placed
            | {"workload": "r1-8b", "pod": "r1-8b-1", "gpus": 1, "node": "gpu2", "start_seconds": 61.0},
        ],
        "waiting": [{"workload": "nightly", "pods": 1, "sentence": "nightly wants 8 GPUs", "may_wait": True}],
        "refused": [],
        "headroom": [
            {"group": "gpu_nodes", "nodes": 2, "gpus": 16, "gpus_free": 6, "whole": 0, "cpus_free": 99.5}
        ],
        "losses": [
            {
                "node": "gpu1",
                "alike": ["gpu1"],
                "moved": {},
                "pushed": {"r1-8b": 2},
                "waiting": {"r1-70b": 1},
            },
            {"node": "gpu2", "alike": ["gpu2", "gpu3"], "moved": {"r1-8b": 2}, "pushed": {}, "waiting": {}},
        ],
        "picture": [
            {"nodes": ["gpu1"], "zone": "r001", "cells": ["r1-70b"] * 8, "others": 0},
            {"nodes": ["gpu2", "gpu3"], "zone": "r001", "cells": ["r1-8b"] * 2 + [""] * 6, "others": 0},
        ],
    }
    return document | fields


def records(**fields: Any) -> Records:
    """Records with the given parts; all others are missing."""
    return Records(**fields)
