"""``bedplate backup`` and ``bedplate restore``: backups now, proved, listed, kept, and brought back."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate import console
from bedplate.backup import hosts, local
from bedplate.backup.hosts import Told
from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError

backup = typer.Typer(no_args_is_help=True, help="Backups: made, proved by restoring them, and kept.")

Inventory = Annotated[
    Path | None, typer.Option("-i", "--inventory", help="inventories/ENV: the backups of its hosts")
]
Config = Annotated[
    Path | None, typer.Option(help="This machine's own, by this configuration (JSON), instead")
]
Limit = Annotated[str, typer.Option(help="With -i: only these hosts, as Ansible names them")]
Names = Annotated[list[str] | None, typer.Argument(help="With --config: items by name or kind; else all")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(backup, name="backup")
    app.command("restore")(restore)


@backup.command("run")
def run(
    names: Names = None,
    inventory: Inventory = None,
    config: Config = None,
    limit: Limit = "",
    json: Json = False,
) -> None:
    """Back up now. Exit code 1 when an item failed."""
    _work("run", names, inventory=inventory, config=config, limit=limit, as_json=json)


@backup.command("drill")
def drill(
    names: Names = None,
    inventory: Inventory = None,
    config: Config = None,
    limit: Limit = "",
    json: Json = False,
) -> None:
    """Restore the newest backups into a scratch place, compare, and remove them there. Exit code 1 when one
    differs.
    """
    _work("drill", names, inventory=inventory, config=config, limit=limit, as_json=json)


@backup.command("verify")
def verify(inventory: Inventory = None, config: Config = None, limit: Limit = "", json: Json = False) -> None:
    """Read every byte of the repositories. Exit code 1 when one is broken; it is named."""
    _work("verify", None, inventory=inventory, config=config, limit=limit, as_json=json)


@backup.command("list")
def listing(
    names: Names = None,
    inventory: Inventory = None,
    config: Config = None,
    limit: Limit = "",
    json: Json = False,
) -> None:
    """List snapshots."""
    _work("list", names, inventory=inventory, config=config, limit=limit, as_json=json)


@backup.command("keep")
def keep(
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")], json: Json = False
) -> None:
    """Remove the snapshots that need not be kept, on the server. Exit code 1 when a snapshot says a time that
    cannot be.
    """
    _say(hosts.keep(inventory), json)


def restore(
    name: Annotated[str, typer.Argument(help="Item by name, or by kind where there is one of it")],
    *,
    config: Annotated[Path, typer.Option(help="The configuration that it was backed up by (JSON)")],
    into: Annotated[Path, typer.Option(help="Folder that is empty, or not there yet")],
    snapshot: Annotated[str, typer.Option(help="Beginning of an id; else the newest")] = "",
    load: Annotated[
        bool, typer.Option("--load", help="Put it to use: databases, objects, a stack's state")
    ] = False,
    word: Annotated[
        list[str] | None, typer.Option(help="With --load: KEY=VALUE, another word of the item (bucket=NAME)")
    ] = None,
    json: Json = False,
) -> None:
    """Bring an item back into a folder; nothing that is there is written over.

    Databases, buckets and a stack's state can be put to use as well; etcd as docs/backups.md says.
    """
    pairs = [text.partition("=") for text in word or []]
    if any(not middle for _, middle, _ in pairs) or (pairs and not load):
        raise BedplateError("--word is KEY=VALUE, and goes with --load", code=BAD_INPUT)
    use = {key: value for key, _, value in pairs} if load else None
    with console.progress(f"restore {name}"):
        told = local.restore(config, name, into, snapshot, use)
    _say([told], json)


def _work(
    action: str,
    names: list[str] | None,
    *,
    inventory: Path | None,
    config: Path | None,
    limit: str,
    as_json: bool,
) -> None:
    if inventory is not None and config is None and not names:
        told = hosts.work(inventory, action, limit)
    elif config is not None and inventory is None and not limit:
        with console.progress(f"backup {action}"):
            told = local.work(config, action, names or [])
    else:
        raise BedplateError(
            "say whose: -i inventories/ENV [--limit HOSTS], or --config FILE [ITEMS]", code=BAD_INPUT
        )
    _say(told, as_json)


def _say(told: list[Told], as_json: bool) -> None:
    if as_json:
        console.print_json([one.as_dict() for one in told])
    else:
        for one in told:
            name = f"{one.host} {one.item}".rstrip()
            line = f"{'✓' if one.ok else '✗'} {name}: {one.said}"
            console.out.print(line, highlight=False, markup=False, soft_wrap=True)
    if not all(one.ok for one in told):
        raise typer.Exit(VERDICT_NO)
