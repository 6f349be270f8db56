"""Mistakes in names and groups of hosts."""

from tests.inventory_samples import regroup, rename
from tests.wrong_inventories.case import GPU, HOSTS, STO, case

CASES = [
    case(
        "host name with an underscore",
        rename(GPU, "prod_gpu1"),
        at=(HOSTS, "groups"),
        value="prod_gpu1",
        why="1 to 63 of a-z, 0-9 and -",
        remedy="prod-gpu1",
    ),
    case(
        "host in no group",
        regroup(gateways=["prod-gw2"]),
        at=(HOSTS, "groups"),
        value="prod-gw1",
        why="in no group that says what it is for",
        remedy="put it into one of control_plane",
    ),
    case(
        "GPU node that is a gateway",
        regroup(gateways=["prod-gw1", "prod-gw2", GPU]),
        at=(HOSTS, "groups"),
        value=GPU,
        why="a gateway faces the business network",
        remedy="use two machines",
    ),
    case(
        "node outside kubernetes",
        regroup(
            kubernetes=[f"prod-ctl{n}" for n in (1, 2, 3)]
            + [f"prod-gpu{n}" for n in range(1, 9)]
            + ["prod-sto1", "prod-sto2"]
        ),
        at=(HOSTS, "groups"),
        value="prod-sto3",
        why="not in group kubernetes",
        remedy="a child of kubernetes",
    ),
    case(
        "even control plane",
        regroup(control_plane=["prod-ctl1", "prod-ctl2", "prod-ctl3", STO]),
        at=(HOSTS, "groups"),
        value="control_plane: 4 hosts",
        why="survives no more failures",
        remedy="3 or 5 machines",
    ),
    case(
        "no control plane",
        regroup(control_plane=[], gateways=["prod-gw1", "prod-gw2", "prod-ctl1", "prod-ctl2", "prod-ctl3"]),
        at=(HOSTS, "groups"),
        value="control_plane: no hosts",
        why="nobody runs the control plane",
        remedy="one or three hosts",
    ),
    case(
        "mistyped group",
        regroup(gpu_node=[GPU]),
        at=(HOSTS, "groups"),
        value="gpu_node",
        why="no playbook knows group gpu_node",
        remedy="write gpu_nodes",
    ),
]
