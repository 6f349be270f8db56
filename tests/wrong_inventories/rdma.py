"""Mistakes in RDMA."""

from typing import Any

from tests.inventory_samples import on
from tests.wrong_inventories.case import NODES, case

ROCE = {"dscp": 26, "priority": 3, "cnp_dscp": 48, "cnp_priority": 6, "pfc": True, "ecn": True}


def soft(*nics: str) -> Any:
    return on(NODES, "rdma_soft", to=[{"name": f"rxe{i}", "nic": nic} for i, nic in enumerate(nics)])


CASES = [
    case(
        "soft-RoCE on a VLAN",
        soft("cluster"),
        at=("", "rdma_soft[0].nic"),
        value="cluster",
        why="this is a VLAN, which soft-RoCE refuses",
        remedy="name the NIC below it",
    ),
    case(
        "soft-RoCE on no NIC",
        soft("dta0"),
        at=("", "rdma_soft[0].nic"),
        value="dta0",
        why="hardware_nics has no such NIC",
        remedy="write data0",
    ),
    case(
        "two soft-RoCE devices on a NIC",
        soft("data0", "data0"),
        at=("", "rdma_soft[1].nic"),
        value="data0",
        why="has a soft-RoCE device already",
        remedy="a NIC of its own",
    ),
    case(
        "DOCA from nowhere",
        on(NODES, "rdma_stack", to="doca"),
        at=("", "rdma_stack"),
        value="doca",
        why="no repository is named",
        remedy="add rdma_repository",
    ),
    case(
        "code point of seven bits",
        on(NODES, "rdma_roce", to={**ROCE, "dscp": 64}),
        at=("", "rdma_roce.dscp"),
        value="64",
        why="this must be 0 to 63",
        remedy="what the switches say",
    ),
    case(
        "notifications behind their own traffic",
        on(NODES, "rdma_roce", to={**ROCE, "cnp_priority": 3}),
        at=("", "rdma_roce.cnp_priority"),
        value="3",
        why="would wait behind the very traffic",
        remedy="another priority",
    ),
]
