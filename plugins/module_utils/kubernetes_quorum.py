"""Whether etcd can do without a member for a while, or take one in: pure functions over what etcdctl said.

Standard library only, Python 3.9.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Member:
    """One member of etcd: its host's name (empty until it has started), whether it answers, and whether it
    still learns, which means that it does not vote yet."""

    name: str
    well: bool = True
    learner: bool = False


def read(listed: str, health: str) -> list[Member]:
    """Of ``etcdctl member list`` and ``endpoint health --cluster``, both as JSON. Raises ValueError or
    KeyError."""
    answers: Sequence[Any] = json.loads(health or "[]")
    well = {one["endpoint"] for one in answers if one["health"]}
    return [
        Member(
            one.get("name", ""),
            any(url in well for url in one.get("clientURLs", [])),
            bool(one.get("isLearner", False)),
        )
        for one in json.loads(listed)["members"]
    ]


def majority(count: int) -> int:
    """How many of ``count`` voting members have to answer."""
    return count // 2 + 1


def before_join(members: Sequence[Member], host: str) -> list[str]:
    """Why ``host`` must not join now. One that does not answer counts against the majority of one more."""
    others = [member for member in members if member.name != host]
    silent = [member.name or "a member without a name" for member in others if not member.well]
    learning = [member.name or "a member without a name" for member in others if member.learner]
    said = []
    if learning:
        said.append(f"{', '.join(learning)} still learns: one member joins at a time")
    elif silent:
        said.append(
            f"{', '.join(silent)} does not answer: with {host} etcd has {len(others) + 1} members, and "
            f"{majority(len(others) + 1)} have to. Bring it back, or remove it (playbooks/remove_node.yml)"
        )
    return said


def after_join(members: Sequence[Member], host: str) -> list[str]:
    """What is still to come until ``host`` counts."""
    mine = [member for member in members if member.name == host]
    if not mine:
        return [f"{host} is no member of etcd yet"]
    if mine[0].learner:
        return [f"{host} still learns what etcd knows; it does not vote yet"]
    return [f"{member.name or 'a member'} of etcd does not answer" for member in members if not member.well]


def before_stop(members: Sequence[Member], host: str) -> list[str]:
    """Why the member of ``host`` must not stop now. The only member may: the cluster waits for it."""
    voters = [member for member in members if not member.learner]
    mine = [member for member in voters if member.name == host]
    if not mine or len(voters) == 1:
        return []
    left = [member for member in voters if member.well and member.name != host]
    if len(left) >= majority(len(voters)):
        return []
    silent = [member.name or "a member without a name" for member in voters if not member.well]
    return [
        f"without {host}, {len(left)} of the {len(voters)} members of etcd would answer, and "
        f"{majority(len(voters))} have to: {', '.join(silent) or 'two members are too few for that'}. "
        "Bring the others back first"
    ]


QUESTIONS = {"before_join": before_join, "after_join": after_join, "before_stop": before_stop}
