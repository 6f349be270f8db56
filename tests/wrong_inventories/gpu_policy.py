"""Mistakes in how GPUs are set."""

from tests.inventory_samples import on
from tests.wrong_inventories.case import NODES, SITE, case

CASES = [
    case(
        "power limit above the board's",
        on(NODES, "gpu_policy_power_limit", to=800),
        at=(SITE, "gpu_policy_power_limit"),
        value="800",
        why="h100-sxm5-80gb takes a power limit of 200 to 700 W",
        remedy="write 700, or 0 for its default",
    ),
    case(
        "power limit of one GPU below the board's",
        on(NODES, "gpu_policy_overrides", to=[{"gpus": [3], "power_limit": 150}]),
        at=(SITE, "gpu_policy_overrides[0].power_limit"),
        value="150",
        why="200 to 700 W",
        remedy="write 200",
    ),
    case(
        "MIG layout that nobody knows",
        on(NODES, "gpu_policy_mig", to="h100-seventh"),
        at=(SITE, "gpu_policy_mig"),
        value="h100-seventh",
        why="no such layout",
        remedy="write h100-sevenths",
    ),
    case(
        "MIG layout of another GPU",
        on(NODES, "gpu_policy_mig", to="h200-sevenths"),
        at=(SITE, "gpu_policy_mig"),
        value="h200-sevenths",
        why="h100-sxm5-80gb cannot be cut into h200-sevenths, which is for h200-sxm5-141gb",
        remedy="write one of h100-sevenths, h100-halves, h100-mixed",
    ),
    case(
        "override of a GPU that is not there",
        on(NODES, "gpu_policy_overrides", to=[{"gpus": [0, 8], "ecc": False}]),
        at=(SITE, "gpu_policy_overrides[0].gpus"),
        value="8",
        why="GPUs 0 to 7",
        remedy="take 8 out",
    ),
    case(
        "override without GPUs",
        on(NODES, "gpu_policy_overrides", to=[{"ecc": False}]),
        at=(SITE, "gpu_policy_overrides[0].gpus"),
        value=None,
        why="an item of gpu_policy_overrides needs gpus",
        remedy="add gpus",
    ),
    case(
        "lock with its clocks the wrong way round",
        on(NODES, "gpu_policy_locked_clocks", to={"graphics": [1500, 345]}),
        at=(SITE, "gpu_policy_locked_clocks.graphics"),
        value="1500, 345",
        why="the lowest and the highest clock",
        remedy="write [345, 1500]",
    ),
    case(
        "application clocks without memory",
        on(NODES, "gpu_policy_application_clocks", to={"graphics": 1755}),
        at=(SITE, "gpu_policy_application_clocks.memory"),
        value=None,
        why="belong together",
        remedy="add memory",
    ),
    case(
        "compute mode of old",
        on(NODES, "gpu_policy_compute_mode", to="exclusive_thread"),
        at=(SITE, "gpu_policy_compute_mode"),
        value="exclusive_thread",
        why="not one of the choices",
        remedy="write exclusive_process",
    ),
    case(
        "GPUs cut by the host and by Kubernetes",
        on("all", "platform_mig", to={"gpu_nodes": "h100-halves"}),
        on(NODES, "gpu_policy_mig", to="h100-halves"),
        at=(SITE, "gpu_policy_mig"),
        value="h100-halves",
        why="two masters",
        remedy="write leave, or take gpu_nodes out of platform_mig",
    ),
]
