"""The rules' list and how they are run.

A rule is a plain generator of Problems whose parameters are the variables that it reads; a default makes
a variable optional. It runs once for every distinct set of values, however many hosts share them, and not
at all where one of its variables has a wrong type (that is said already). A rule over several hosts takes
the whole View instead.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from bedplate.check.problem import Problem

Rule = Callable[..., Iterator[Problem]]
ABSENT = object()  # stands for a variable that a host does not have
HOST_RULES: list[Rule] = []
FLEET_RULES: list[Rule] = []


@dataclass(frozen=True)
class View:
    """What rules may see: hosts with their variables, groups, and which variables are of a wrong type."""

    hosts: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, tuple[str, ...]]
    broken: set[tuple[str, str]] = field(default_factory=set)

    def each(self, variable: str) -> Iterator[tuple[str, Any]]:
        """Host and value, for every host that has the variable in a sound form."""
        for host, values in self.hosts.items():
            if variable in values and (host, variable) not in self.broken:
                yield host, values[variable]

    @cached_property
    def names(self) -> frozenset[str]:
        """Variables that any host has."""
        return frozenset().union(*self.hosts.values())

    def members(self, group: str) -> tuple[str, ...]:
        """Hosts of a group; none for a group that is not there."""
        return self.groups.get(group, ())


def host_rule(function: Rule) -> Rule:
    """Register a rule over one host's variables."""
    HOST_RULES.append(function)
    return function


def fleet_rule(function: Rule) -> Rule:
    """Register a rule over all hosts."""
    FLEET_RULES.append(function)
    return function


def run(view: View) -> Iterator[Problem]:
    """Everything that the rules find."""
    for rule in HOST_RULES:
        yield from _per_host(rule, view)
    for rule in FLEET_RULES:
        yield from rule(view)


def _per_host(rule: Rule, view: View) -> Iterator[Problem]:
    """One rule on every host; hosts with the very same values share one run."""
    needs = _parameters(rule)
    wanted = [name for name, _ in needs]
    hurt = {host for host, name in view.broken if name in wanted}
    seen: dict[tuple[int, ...], tuple[Problem, ...]] = {}
    for host, values in view.hosts.items():
        if host in hurt:
            continue
        key = tuple([id(values.get(name, ABSENT)) for name in wanted])
        if key not in seen:
            complete = all(name in values for name, needed in needs if needed)
            given = {name: values[name] for name in wanted if name in values}
            seen[key] = tuple(rule(**given)) if complete else ()
        if seen[key]:
            yield from (replace(problem, host=host) for problem in seen[key])


@cache
def _parameters(rule: Rule) -> tuple[tuple[str, bool], ...]:
    parameters = inspect.signature(rule).parameters.values()
    return tuple((p.name, p.default is inspect.Parameter.empty) for p in parameters)
