"""The picture of nodes and GPUs."""

import pytest
from test_rehearse_placing import cluster, node, pod

from bedplate.rehearse import picture
from bedplate.rehearse.objects import Node, Pod
from bedplate.rehearse.verdict import Verdict


def drawn(nodes: list[Node], pods: list[Pod]) -> list[picture.Row]:
    return picture.rows(Verdict(cluster(nodes, pods), tuple(pods), (), (), (), ()))


@pytest.mark.parametrize(
    ("pods", "cells"),
    [
        ([], ("", "", "", "")),
        ([pod("chat", 2, "a")], ("chat", "chat", "", "")),
        ([pod("b", 1, "a"), pod("a", 3, "a")], ("a", "a", "a", "b")),
    ],
)
def test_a_cell_per_gpu(pods: list[Pod], cells: tuple[str, ...]) -> None:
    (row,) = drawn([node("a", 4)], pods)
    assert row.cells == cells


def test_nodes_without_gpus_are_not_drawn() -> None:
    assert drawn([node("ctl", 0)], []) == []


def test_pods_without_gpus_are_counted_but_daemons_are_not() -> None:
    pods = [pod("web", 0, "a"), pod("exporter", 0, "a", kind="DaemonSet")]
    assert drawn([node("a")], pods)[0].others == 1


def test_many_nodes_that_look_alike_share_a_row() -> None:
    nodes = [node(f"n{i}", 2) for i in range(100)]
    rows = drawn(nodes, [pod("chat", 2, "n7"), pod("chat2", 2, "n9", workload="chat")])
    assert [(row.label, row.cells) for row in rows] == [("n0 +97", ("", "")), ("n7 +1", ("chat", "chat"))]


def test_text_tells_workloads_apart_without_colour() -> None:
    plain = picture.text(drawn([node("a", 4)], [pod("chat", 2, "a"), pod("search", 1, "a")])).plain
    assert plain.splitlines() == ["a  A A B \N{MIDDLE DOT} ", "A chat   B search   "]


def test_every_workload_has_its_letter_and_colour() -> None:
    pods = [pod(f"w{i:02}", 1, "a") for i in range(30)]
    plain = picture.text(drawn([node("a", 30, cpus=500, memory="2Ti")], pods)).plain
    legend = plain.splitlines()[-1].split()
    assert len(set(legend[::2])) == 30
