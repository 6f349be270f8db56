"""When a member of etcd may join or stop, and when it counts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes_quorum import Member, after_join, before_join, before_stop, majority, read

A, B, C = Member("a"), Member("b"), Member("c")
ILL = Member("b", well=False)


def test_what_etcdctl_said_is_read() -> None:
    listed = {
        "members": [
            {"ID": 1, "name": "a", "clientURLs": ["https://a:2379"]},
            {"ID": 2, "name": "b", "clientURLs": ["https://b:2379"], "isLearner": True},
            {"ID": 3, "peerURLs": ["https://c:2380"]},
        ]
    }
    health = [{"endpoint": "https://a:2379", "health": True}, {"endpoint": "https://b:2379", "health": False}]
    assert read(json.dumps(listed), json.dumps(health)) == [A, Member("b", False, True), Member("", False)]
    assert not any(member.well for member in read(json.dumps(listed), ""))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([A], ""),
        ([A, B], ""),
        ([A, ILL], "b does not answer: with c etcd has 3 members, and 2 have to"),
        ([A, Member("b", False, True)], "b still learns"),
        ([A, Member("", False)], "a member without a name does not answer"),
        ([A, B, Member("c", False)], ""),  # its own remnant is kubeadm's to replace
    ],
)
def test_who_may_join(members: list[Member], says: str) -> None:
    said = before_join(members, "c")
    assert (says in said[0]) if says else said == []


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([A, B, C], ""),
        ([A, B], "c is no member of etcd yet"),
        ([A, B, Member("c", False, True)], "still learns"),
        ([A, ILL, C], "b of etcd does not answer"),
    ],
)
def test_who_counts(members: list[Member], says: str) -> None:
    said = after_join(members, "c")
    assert (says in said[0]) if says else said == []


@given(st.lists(st.booleans(), min_size=2, max_size=7), st.data())
def test_a_member_that_may_stop_leaves_a_majority(well: list[bool], data: st.DataObject) -> None:
    members = [Member(f"m{n}", one) for n, one in enumerate(well)]
    host = data.draw(st.sampled_from(members)).name
    left = sum(member.well for member in members if member.name != host)
    assert (before_stop(members, host) == []) == (left >= majority(len(members)))


def test_the_only_member_and_a_stranger_may_stop() -> None:
    assert before_stop([A], "a") == [] == before_stop([A, ILL], "worker")
    assert "Bring the others back first" in before_stop([A, ILL, C], "a")[0]
