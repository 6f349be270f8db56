"""Mistakes in backups."""

from tests.inventory_samples import on
from tests.wrong_inventories.case import NODES, case

CASES = [
    case(
        "backups to a host that is not there",
        on("all", "backup_server", to="attic"),
        at=("", "backup_server"),
        value="attic",
        why="there is no such host in this inventory",
        remedy="or write backup_repository",
    ),
    case(
        "an etcd that is backed up from nowhere",
        on(NODES, "backup_items", to=[{"name": "cluster", "kind": "etcd"}]),
        at=("", "backup_items[0].name"),
        value="cluster",
        why="does not say endpoint",
        remedy="add one of them",
    ),
    case(
        "two items of one name",
        on(NODES, "backup_items", to=[{"name": "a", "kind": "files", "paths": ["/etc"]}] * 2),
        at=("", "backup_items[1].name"),
        value="a",
        why="another item is called so",
        remedy="a name of its own",
    ),
]
