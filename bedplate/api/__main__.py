"""The program beside the proxy: decides, counts, records. `python3 -m bedplate.api --help`."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from bedplate.api import policy, server
from bedplate.api.accounts import Accounts
from bedplate.api.gate import Gate
from bedplate.api.ledger import Ledger
from bedplate.api.metrics import render
from bedplate.api.policy import Policy
from bedplate.api.server import Answer, Request
from bedplate.api.valkey import Address, Away, Failed, Valkey

RELOAD_SECONDS = 1.0
PEOPLE = ("revoke", "readmit", "withdrawn")


def arguments() -> argparse.Namespace:
    """What it is told."""
    parser = argparse.ArgumentParser(prog="bedplate.api")
    parser.add_argument("action", choices=("serve", *PEOPLE))
    parser.add_argument("name", nargs="?", default="", help="id of a key, or name of a back end")
    parser.add_argument("--policy", type=Path, default=Path("/etc/gateway/policy.json"))
    parser.add_argument("--keys", type=Path, default=Path("/etc/gateway-keys/keys.json"))
    parser.add_argument("--log", type=Path, default=Path("/var/lib/gateway/access.log"))
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--admin", default="http://127.0.0.1:9901")
    return parser.parse_args()


def valkey() -> Valkey:
    """The counters, as the pod's environment says."""
    env = os.environ
    user, password = env.get("VALKEY_USER", ""), env.get("VALKEY_PASSWORD", "")
    return Valkey(Address(env["VALKEY_HOST"], int(env["VALKEY_PORT"]), user, password))


def load(options: argparse.Namespace) -> Policy:
    """The policy as the files are now. Raises ValueError, KeyError, TypeError or OSError."""
    document = json.loads(options.policy.read_text())
    return policy.parse(document, json.loads(options.keys.read_text()))


def stamp(options: argparse.Namespace) -> tuple[int, ...]:
    """Changes when a file is another one."""
    stats = [path.stat() for path in (options.policy, options.keys)]
    return tuple(value for stat in stats for value in (stat.st_mtime_ns, stat.st_ino))


async def follow(options: argparse.Namespace, gate: Gate, accounts: Accounts) -> None:
    """Exchange the policy when its files change; what cannot be read leaves the old one in force."""
    seen = stamp(options)
    while True:
        await asyncio.sleep(RELOAD_SECONDS)
        try:
            if (now := stamp(options)) != seen:
                seen = now
                gate.policy = load(options)
                say({"event": "policy loaded", "keys": len(gate.policy.keys)})
        except (ValueError, KeyError, TypeError, OSError) as error:
            say({"event": "policy refused", "reason": f"{type(error).__name__}: {error}"})
        try:
            gate.withdrawn = await accounts.withdrawn()
        except (Away, Failed):
            continue


async def serve(options: argparse.Namespace) -> None:
    """Until it is told to end."""
    accounts = Accounts(valkey())
    gate = Gate(load(options), accounts)

    async def handle(request: Request) -> Answer:
        path = request.target
        if path.startswith("/decide/"):
            return await gate.decide(
                Request(request.method, path[len("/decide") :], request.headers, request.body)
            )
        if path == "/v1/models":
            return gate.models(request)
        if path == "/v1/embeddings":
            return await gate.vectors(request)
        if path == "/metrics":
            return Answer(200, {"content-type": "text/plain; version=0.0.4"}, render(gate).encode())
        return Answer(200 if path == "/healthy" else 404)

    listening = await server.serve("127.0.0.1", options.port, handle)
    ledger = Ledger(options.log, gate, accounts, say_line)
    async with listening:
        await asyncio.gather(follow(options, gate, accounts), ledger.run(options.admin))


async def person(options: argparse.Namespace) -> object:
    """What somebody decides by hand, in every replica at once."""
    accounts = Accounts(valkey())
    if options.action == "withdrawn":
        return await accounts.withdrawn()
    done = accounts.revoke if options.action == "revoke" else accounts.readmit
    return {options.action: options.name, "changed": await done(options.name)}


def say(what: dict[str, object]) -> None:
    """One line about the program itself."""
    say_line(json.dumps({"source": "gateway", **what}, separators=(",", ":")))


def say_line(text: str) -> None:
    """One line of output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """The program."""
    options = arguments()
    if options.action == "serve":
        asyncio.run(serve(options))
    else:
        say_line(json.dumps(asyncio.run(person(options))))


if __name__ == "__main__":
    main()
