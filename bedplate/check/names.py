"""Top-level names: Ansible takes any, so a slip of the pen would silently change nothing."""

from collections.abc import Iterator, Sequence

from bedplate.check import roles
from bedplate.check.problem import Problem
from bedplate.check.rules import View
from bedplate.check.schema import Schema
from bedplate.check.words import nearest

_COMMON = ("version_", "port_", "path_", "compatibility_", "catalogue_")


def unknown(view: View, schemas: Sequence[Schema]) -> Iterator[Problem]:
    """Names that belong to us by their prefix and are not known, and names that are nearly a known one."""
    known = known_names(schemas)
    prefixes = (
        {f"{schema.name}_" for schema in schemas if schema.closed}
        | {f"{r}_" for r in roles.specs()}
        | set(_COMMON)
    )
    verdicts: dict[str, Problem | None] = {}
    for host, values in view.hosts.items():
        for name in values:
            if name not in verdicts:
                verdicts[name] = None if name in known else _verdict(name, known, prefixes)
            problem = verdicts[name]
            if problem:
                yield Problem(problem.key, problem.why, problem.remedy, host=host)


def known_names(schemas: Sequence[Schema]) -> frozenset[str]:
    """Every variable that somebody reads."""
    from_schemas = {name for schema in schemas for name in schema.variables}
    from_roles = {name for options in roles.specs().values() for name in options}
    return frozenset(from_schemas | from_roles | roles.common_names())


def _verdict(name: str, known: frozenset[str], prefixes: set[str]) -> Problem | None:
    if name.startswith("ansible_"):
        return None
    prefix = next(
        (prefix for prefix in sorted(prefixes, key=len, reverse=True) if name.startswith(prefix)), ""
    )
    family = [other for other in known if other.startswith(prefix)] if prefix else known
    meant = nearest(name, family, strict=not prefix)
    if not prefix and not meant:
        return None  # somebody's own variable
    why = (
        f"nothing reads a variable of this name, and {prefix}… is reserved"
        if prefix
        else "nothing reads this name"
    )
    return Problem((name,), why, f"write {meant}" if meant else "remove it, or rename it")


def missing(view: View, schemas: Sequence[Schema]) -> Iterator[Problem]:
    """Variables that every host needs. An environment without any platform_ variable has no platform yet."""
    for schema in schemas:
        used = schema.name != "platform" or any(name.startswith("platform_") for name in view.names)
        required = set(schema.required)
        for host, values in view.hosts.items() if used else ():
            if required <= values.keys():
                continue
            for name in schema.required:
                if name not in values:
                    what = schema.body["properties"][name].get("description", "every host needs it")
                    remedy = f"add {name}"
                    if name.startswith("hardware_"):
                        remedy += "; `bedplate discover` reads it from the host"
                    yield Problem((name,), f"{name} is missing: {what}", remedy, host=host)
