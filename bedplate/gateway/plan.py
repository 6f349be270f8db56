"""Routes, client groups and upstreams of the gateway: what is wrong with them, and what nginx is told. Pure.

A mistake here lets somebody in, so nothing is stretched: a route without groups, a client in two groups, a
path with a character that nginx or an upstream may read in its own way are refused.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]
Key = tuple[str | int, ...]
Fault = tuple[Key, str, str]  # key, why, remedy

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ROUTES, GROUPS, UPSTREAMS, NAMES = (f"nginx_gateway_{n}" for n in ("routes", "groups", "upstreams", "names"))
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_PATH = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?")
_CLIENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\*?|\*")
_SERVER = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9a-fA-F:]+\]):([0-9]{1,5})")
_SIZE = re.compile(r"[1-9][0-9]{0,5}(kB|MB|GB)")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LARGEST_PORT = 65535


def faults(
    routes: Sequence[Data],
    groups: Sequence[Data],
    upstreams: Sequence[Data],
    names: Sequence[str] | None = None,
) -> Iterator[Fault]:
    """Everything wrong with the gateway's data; ``names`` where they are known."""
    yield from _groups(groups)
    yield from _upstreams(upstreams)
    known_groups, known_upstreams = ({one["name"] for one in part} for part in (groups, upstreams))
    for index, route in enumerate(routes):
        yield from _route((ROUTES, index), route, known_groups, known_upstreams)
        if names is not None and "host" in route and route["host"] not in names:
            yield (ROUTES, index, "host"), "the gateway has no such name", _one_of(names)
    yield from _same_place(routes)


def name_faults(names: Sequence[str]) -> Iterator[Fault]:
    """Names by which clients call the gateway."""
    if not names:
        yield (NAMES,), "nobody can call a gateway without a name", "write the name that clients use"
    for index, name in enumerate(names):
        if not _HOST.fullmatch(name):
            yield (NAMES, index), "this is no DNS name in lower case", "write one like gateway.ai.example.com"


def _repeated(variable: str, word: str, items: Sequence[Data], remedy: str) -> Iterator[Fault]:
    seen: set[Any] = set()
    for index, item in enumerate(items):
        if item[word] in seen:
            yield (variable, index, word), f"{item[word]} is there already", remedy
        seen.add(item[word])


def _same_place(routes: Sequence[Data]) -> Iterator[Fault]:
    """Routes of one path and one name; a route without a host is there under every name."""
    named = {route["host"] for route in routes if "host" in route}
    seen: set[tuple[str, str]] = set()
    for index, route in enumerate(routes):
        hosts = {route["host"]} if "host" in route else {"", *named}
        places = {(host, route["path"]) for host in hosts}
        if places & seen:
            why, remedy = f"{route['path']} is there already", "two routes cannot have one path; merge them"
            yield (ROUTES, index, "path"), why, remedy
        seen |= places


def _groups(groups: Sequence[Data]) -> Iterator[Fault]:
    yield from _repeated(GROUPS, "name", groups, "give each group a name of its own")
    owners: dict[str, str] = {}
    for index, group in enumerate(groups):
        key = (GROUPS, index)
        if not _WORD.fullmatch(group["name"]):
            yield (*key, "name"), "this cannot name a group", "write lower case letters, digits and dashes"
        for place, client in enumerate(group["clients"]):
            at = (*key, "clients", place)
            if not _CLIENT.fullmatch(client):
                yield (
                    at,
                    "no certificate has such a name",
                    "write a client's name, one with * at its end, or *",
                )
            elif client in owners:
                why = f"{client} is in group {owners[client]} already, and a client has one limit"
                yield at, why, "list each client once; routes may name several groups"
            owners.setdefault(client, group["name"])
        for word in ("rate", "burst", "connections"):
            if word in group and group[word] < (0 if word == "burst" else 1):
                yield (*key, word), "with this nobody would get in", "write a number of at least 1"


def _upstreams(upstreams: Sequence[Data]) -> Iterator[Fault]:
    yield from _repeated(UPSTREAMS, "name", upstreams, "give each upstream a name of its own")
    for index, upstream in enumerate(upstreams):
        key = (UPSTREAMS, index)
        if not _WORD.fullmatch(upstream["name"]):
            yield (
                (*key, "name"),
                "this cannot name an upstream",
                "write lower case letters, digits and dashes",
            )
        yield from _one_way(key, upstream, "servers", "hosts")
        if "tls" in upstream:
            yield from _one_way((*key, "tls"), upstream["tls"], "trust", "certificate")
        servers = upstream.get("servers", ())
        if "servers" in upstream and not [server for server in servers if not server.get("backup")]:
            yield (*key, "servers"), "there is no server but backups", "list at least one server"
        for place, server in enumerate(servers):
            found = _SERVER.fullmatch(server["address"])
            if not found or not 0 < int(found[2]) <= LARGEST_PORT:
                yield (*key, "servers", place, "address"), "this is no address with a port", "write HOST:PORT"
        doubles = [a for a, n in Counter(server["address"] for server in servers).items() if n > 1]
        if doubles:
            yield (*key, "servers"), f"{doubles[0]} is listed twice", "list each server once"


def _one_way(key: Key, entry: Data, first: str, second: str) -> Iterator[Fault]:
    if (first in entry) == (second in entry):
        yield key, f"this needs {first} or {second}, and one of the two", f"write {first}, or {second}"


def _route(key: Key, route: Data, groups: set[str], upstreams: set[str]) -> Iterator[Fault]:
    if not _PATH.fullmatch(route["path"]):
        why = "nginx and an upstream could read this path in two ways"
        yield (*key, "path"), why, "write /NAME/ for everything below, or /NAME for exactly that"
    if route["upstream"] not in upstreams:
        yield (*key, "upstream"), "there is no such upstream", _one_of(upstreams)
    if not route["groups"]:
        yield (*key, "groups"), "nobody may use this route", "name the groups that may, or remove the route"
    for place, name in enumerate(route["groups"]):
        if name not in groups:
            yield (*key, "groups", place), "there is no such group", _one_of(groups)
    for place, method in enumerate(route.get("methods", ())):
        if method not in METHODS:
            yield (*key, "methods", place), "this is no method that is let through", _one_of(METHODS)
    if "body" in route and not _SIZE.fullmatch(route["body"]):
        yield (*key, "body"), "this is no size with its unit", "write one like 512kB, 64MB or 2GB"
    if route.get("read_seconds", 1) < 1:
        yield (*key, "read_seconds"), "no answer comes in no time", "write seconds, at least 1"


def _one_of(known: Sequence[str] | set[str]) -> str:
    return f"write one of {', '.join(sorted(known))}" if known else "add it first"


def model(
    routes: Sequence[Data],
    groups: Sequence[Data],
    upstreams: Sequence[Data],
    limits: Data,
    names: Sequence[str],
) -> dict[str, Any]:
    """What the template reads; ``limits`` has what a group or route does not say itself, ``upstreams`` are as
    ``behind.resolved`` gives them: to one whose ``trust`` is empty nobody is let through.

    Raises ValueError with every fault: what is wrong is never rendered.
    """
    refuse(faults(routes, groups, upstreams, names))
    tls = {one["name"]: one.get("tls") for one in upstreams if one.get("tls") is None or one["tls"]["trust"]}
    located = [
        _located(route, limits) | {"number": number, "tls": tls[route["upstream"]]}
        for number, route in enumerate(routes, 1)
        if route["upstream"] in tls
    ]
    return {
        "groups": [{**_only(limits, ("rate", "burst", "connections")), **group} for group in groups],
        "clients": list(_clients(groups)),
        "upstreams": [upstream for upstream in upstreams if upstream["name"] in tls],
        "routes": located,
        "sites": _sites(located, names),
    }


def refuse(found: Iterable[Fault]) -> None:
    """Raises ValueError with every fault."""
    if wrong := [f"{_dotted(key)}: {why}; {remedy}" for key, why, remedy in found]:
        raise ValueError("\n".join(wrong))


def _sites(routes: Sequence[Data], names: Sequence[str]) -> list[dict[str, Any]]:
    """Names with the same routes together."""
    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for name in names:
        own = [route for route in routes if route.get("host", name) == name]
        site = found.setdefault(tuple(route["number"] for route in own), {"names": [], "routes": own})
        site["names"].append(name)
    return list(found.values())


def _only(limits: Data, words: Sequence[str]) -> dict[str, Any]:
    return {word: limits[word] for word in words}


def _clients(groups: Sequence[Data]) -> Iterator[dict[str, str]]:
    """Names, exact ones first, longer beginnings before shorter: as nginx's map takes the first that fits."""
    pairs = [(client, group["name"]) for group in groups for client in group["clients"]]
    for client, group in sorted(pairs, key=lambda pair: (pair[0].endswith("*"), -len(pair[0]), pair[0])):
        pattern = f'"~^{re.escape(client[:-1])}."' if client.endswith("*") else f'"{client}"'
        yield {"match": pattern, "group": group}


def _located(route: Data, limits: Data) -> dict[str, Any]:
    path = route["path"]
    return {
        "stream": False,
        "websocket": False,
        "operation": path.strip("/").replace("/", ".") or "root",
        **_only(limits, ("body", "read_seconds")),
        "methods": ["GET", "HEAD", "POST"],
        **route,
        "location": f"^~ {path}" if path.endswith("/") else f"= {path}",
    }


def _dotted(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")
