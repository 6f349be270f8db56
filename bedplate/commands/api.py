"""`bedplate api`: keys of the API gateway's consumers, and what the gateway costs."""

import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bedplate import evidence
from bedplate.api.bench import bench as measure
from bedplate.api.identity import digest
from bedplate.console import out, print_json, progress
from bedplate.paths import environment_of

KEY_BYTES = 32

api = typer.Typer(name="api", help="Keys of the API gateway's consumers, and what the gateway costs.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document")]
Inventory = Annotated[Path, typer.Option("-i", "--inventory", help="Whose evidence this is")]
LAB = Path("inventories/lab")


@api.command("key")
def key(
    consumer: Annotated[str, typer.Argument(help="Whose key it will be")],
    expires: Annotated[str, typer.Option(help="Its last day, as 2027-12-31")] = "",
    json: Json = False,
) -> None:
    """Make a key. It is shown once and kept nowhere; its hash goes into the inventory."""
    word = f"bp-{secrets.token_urlsafe(KEY_BYTES)}"
    entry = {"id": f"{consumer}-{datetime.now(UTC):%y%m%d%H%M}", "sha256": digest(word)}
    entry |= {"expires": expires} if expires else {}
    if json:
        print_json({"key": word, "entry": entry})
        return
    out.print(f"the key, now and never again: {word}", highlight=False, soft_wrap=True)
    text = ", ".join(f"{name}: {value}" for name, value in entry.items())
    out.print(f"under keys of {consumer} in platform_api: {{{text}}}", highlight=False, soft_wrap=True)


@api.command("bench")
def bench(  # noqa: PLR0917 - options of a command, given by name
    inventory: Inventory = LAB,
    pairs: Annotated[int, typer.Option(help="Pairs of runs", min=1)] = 5,
    requests: Annotated[int, typer.Option(help="Requests of a run", min=50)] = 5000,
    clients: Annotated[int, typer.Option(help="Clients at a time", min=1)] = 16,
    record: Annotated[bool, typer.Option("--record", help="Keep the figures as evidence")] = False,
    json: Json = False,
) -> None:
    """Requests per second and latency through the gateway and without it, in one run, on loopback."""
    with tempfile.TemporaryDirectory(prefix="bedplate-") as folder, progress("pairs of runs"):
        found = measure(Path(folder), pairs, requests, clients)
    command = f"bedplate api bench --pairs {pairs} --requests {requests} --clients {clients} --record"
    claims = [
        ("requests", "requests a second through one replica of the API gateway", found.per_second, "1/s", ""),
        ("requests_direct", "requests a second without it, same run", found.direct_per_second, "1/s", ""),
        ("p50", "half of all answers come within, at full load", found.p50_ms, "ms", ""),
        ("p99", "99 of 100 answers come within, at full load", found.p99_ms, "ms", ""),
        ("p99_direct", "99 of 100 answers without it, same run", found.direct_p99_ms, "ms", ""),
        ("added", "what the gateway adds to a request, one at a time", found.added_ms, "ms", ""),
        ("failed", "requests that failed under full load", found.failed, "requests", "== 0"),
    ]
    for name, claim, value, unit, goal in claims if record else ():
        evidence.record(
            environment_of(inventory),
            f"api.{name}",
            claim,
            round(value, 2),
            unit=unit,
            goal=goal,
            proved_on="program",
            command=command,
        )
    if json:
        print_json(found.as_dict())
        return
    for _, claim, value, unit, _ in claims:
        out.print(f"{claim}: {value:.2f} {unit}", highlight=False)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.add_typer(api)
