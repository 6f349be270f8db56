"""The hosts' storage tiers as local volumes, the way production's volume discovery offers them."""

import sys
from collections import Counter
from typing import Any

from bedplate import paths
from bedplate.inventory import Inventory, Vars
from bedplate.units import parse_bytes, quantity

sys.path.append(str(paths.MODULE_UTILS))
from storage_tiers.layout import data_disks  # the arithmetic of arrays is Ansible's and stands there

GROUP = "kubernetes"
AVAILABLE = "Available"  # phase of a volume that nobody has claimed


def volumes(inventory: Inventory) -> list[dict[str, Any]]:
    """A PersistentVolume for every volume of every tier of every node; a tier is divided evenly."""
    return [
        _volume(name, tier, index, int(host["catalogue_local_volumes"]), capacity(host, tier))
        for name, host in inventory.members(GROUP).items()
        for tier in host.get("storage_tiers", [])
        for index in range(int(host["catalogue_local_volumes"]))
    ]


def capacity(host: Vars, tier: Vars) -> int:
    """Usable bytes of a tier: the disks it names, or those of its class, and its RAID level."""
    disks = host.get("hardware_disks", [])
    serials = tier.get("disks")
    if serials:
        members = [disk for disk in disks if disk["serial"] in serials]
    else:
        members = [
            disk for disk in disks if disk["class"] == tier.get("class") and disk.get("use") != "system"
        ]
        members = members[: tier.get("count", len(members))]
    sizes = Counter(parse_bytes(disk["size"]) for disk in members)
    return min(sizes) * data_disks(int(tier["raid"]), len(members)) if sizes else 0


def _volume(host: str, tier: Vars, index: int, parts: int, size: int) -> dict[str, Any]:
    on_host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"local-{tier['name']}-{host}-{index}"},
        "spec": {
            "capacity": {"storage": quantity(size // parts)},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": f"tier-{tier['name']}",
            "local": {"path": f"{tier['mount']}/volumes/{index}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_host]}]}},
        },
    }
