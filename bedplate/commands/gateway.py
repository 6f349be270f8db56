"""``bedplate gateway``: what the way in bears, on this machine."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bedplate import evidence
from bedplate.console import out, print_json, progress
from bedplate.errors import VERDICT_NO, BedplateError
from bedplate.gateway import bench as load
from bedplate.gateway import soak as steady
from bedplate.paths import environment_of

gateway = typer.Typer(
    no_args_is_help=True, help="The way in: real nginx with the role's configuration, measured."
)
LEAST_RATIO, LEAST_PER_SECOND = 0.9, 5000
Inventory = Annotated[Path, typer.Option("-i", "--inventory", help="whose evidence it is")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
Claim = tuple[str, str, float, str, str]  # name, claim, value, unit, goal
LAB = Path("inventories/lab")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(gateway, name="gateway")


@gateway.command("bench")
def bench(
    inventory: Inventory = LAB,
    pairs: Annotated[int, typer.Option(help="Pairs of runs", min=1)] = 5,
    requests: Annotated[int, typer.Option(help="Requests of each run", min=100)] = 20000,
    clients: Annotated[int, typer.Option(help="Connections at a time", min=1)] = 32,
    json: Json = False,
) -> None:
    """Load the gateway and a bare nginx with mutual TLS in turn, by one generator on one machine."""
    _needs("nginx", "ab")
    with (
        tempfile.TemporaryDirectory(prefix="bedplate-") as folder,
        progress("gateway and bare nginx in turn"),
    ):
        found = load.bench(Path(folder), pairs, requests, clients)
    command = f"bedplate gateway bench --pairs {pairs} --requests {requests} --clients {clients}"
    claims: list[Claim] = [
        (
            "ratio",
            "Requests per second, of those of a bare nginx",
            found.ratio,
            "",
            f">= {LEAST_RATIO}",
        ),
        (
            "requests",
            "Requests per second over kept connections",
            found.requests_per_second,
            "1/s",
            f">= {LEAST_PER_SECOND}",
        ),
        ("new_connections", "New connections per second", found.handshakes_per_second, "1/s", ""),
        ("p50", "Half of all answers come within", found.p50_ms, "ms", ""),
        ("p99", "99 of 100 answers come within", found.p99_ms, "ms", ""),
        ("failed", "Requests that failed under full load", found.failed, "requests", "== 0"),
    ]
    kept = [_record(inventory, command, claim) for claim in claims]
    _show(json, found.as_dict(), kept)


@gateway.command("soak")
def soak(
    inventory: Inventory = LAB,
    seconds: Annotated[float, typer.Option(help="How long", min=6)] = 600,
    clients: Annotated[int, typer.Option(help="Clients at a time", min=1)] = 8,
    json: Json = False,
) -> None:
    """Steady load while certificates renew, the configuration is reloaded every ten seconds, a server dies,
    and comes back, and a client is revoked."""
    _needs("nginx")
    with (
        tempfile.TemporaryDirectory(prefix="bedplate-") as folder,
        progress(f"steady load for {seconds:.0f} s") as step,
    ):
        found = steady.soak(Path(folder), seconds, clients, step)
    command = f"bedplate gateway soak --seconds {seconds:.0f} --clients {clients}"
    told = f"of {found.requests} requests in {found.seconds:.0f} s with {found.reloads} reloads"
    claims: list[Claim] = [
        ("soak_errors", f"Requests that failed, {told}", found.errors, "requests", "== 0"),
        (
            "soak_revoked",
            "A revoked client is refused after its list was written",
            found.revoked_after,
            "s",
            "< 10",
        ),
    ]
    kept = [_record(inventory, command, claim) for claim in claims]
    _show(json, found.as_dict(), kept)


def _record(inventory: Path, command: str, claim: Claim) -> evidence.Evidence:
    name, words, value, unit, goal = claim
    environment, number = environment_of(inventory), round(value, 3)
    return evidence.record(
        environment,
        f"gateway.{name}",
        words,
        number,
        unit=unit,
        goal=goal,
        proved_on="program",
        command=command,
    )


def _show(json: bool, figures: dict[str, object], kept: list[evidence.Evidence]) -> None:
    if json:
        print_json(figures)
    else:
        for one in kept:
            out.print(
                f"{one.verdict}: {one.claim}: {one.value} {one.unit} {one.goal}",
                highlight=False,
                soft_wrap=True,
            )
    if any(one.verdict == "fail" for one in kept):
        raise typer.Exit(VERDICT_NO)


def _needs(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        remedy = "apt install nginx libnginx-mod-http-js apache2-utils"
        raise BedplateError(f"{', '.join(missing)} is not installed", remedy=remedy)
