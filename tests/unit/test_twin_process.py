"""Processes are found again, and strangers are left alone."""

import json
import os
import time
from pathlib import Path

import pytest

from bedplate.commands.twin import sizes
from bedplate.errors import BedplateError
from bedplate.ports import free_ports
from bedplate.twin import connection, process
from bedplate.twin.connection import Connection

SLEEP = ["sleep", "60"]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "one.pid"


def start(record: Path, command: list[str]) -> int:
    process.start(record, command, cwd=record.parent, log=record.parent / "log")
    return int(record.read_text().split()[0])


def test_a_process_is_found_and_ended(record: Path) -> None:
    pid = start(record, SLEEP)
    assert process.alive(record) == pid
    process.stop(record)
    assert process.alive(record) is None
    assert not Path(f"/proc/{pid}").exists()
    assert not record.exists()


def test_a_process_that_ignores_the_request_is_killed(record: Path) -> None:
    start(record, ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
    while "ready" not in (record.parent / "log").read_text():
        time.sleep(0.01)
    process.stop(record, patience=0.3)
    assert process.alive(record) is None


def test_an_id_that_belongs_to_somebody_else_now_is_left_alone(record: Path) -> None:
    record.write_text(f"{os.getpid()} 1\n")
    assert process.alive(record) is None
    process.stop(record)  # does not end this test


@pytest.mark.parametrize("text", ["", "12", "garbage here now"])
def test_a_torn_record_names_nobody(record: Path, text: str) -> None:
    record.write_text(text)
    assert process.alive(record) is None


def test_a_process_that_ended_by_itself_is_not_alive(record: Path) -> None:
    start(record, ["true"])
    deadline = time.monotonic() + 5
    while process.alive(record) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.alive(record) is None


def test_the_overlay_only_says_how_to_connect(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    written = connection.write(
        tmp_path, {"h1": 2201, "h2": 2202}, {"h1": "ssh-ed25519 A", "h2": "ssh-ed25519 B"}
    )
    assert connection.read(tmp_path) == written == Connection(tmp_path, {"h1": 2201, "h2": 2202})
    assert "h1,[127.0.0.1]:2201 ssh-ed25519 A\n" in written.known_hosts.read_text()
    values = connection.host_vars(written, "h2")
    assert values["ansible_port"] == 2202
    assert "StrictHostKeyChecking=yes" in str(values["ansible_ssh_common_args"])
    assert all(key.startswith(("ansible_", "storage_tiers_", "vlan_network_")) for key in values)


def test_machines_of_the_twin_have_no_gpus(tmp_path: Path) -> None:
    """They stand for GPU hosts; group no_gpus keeps playbooks from installing drivers on them."""
    (tmp_path / "keys").mkdir()
    written = connection.write(tmp_path, {"h1": 2201}, {"h1": "ssh-ed25519 A"})
    document = json.loads((written.overlay / "hosts.yml").read_text())
    assert document["all"]["children"]["no_gpus"]["hosts"] == document["all"]["hosts"] == {"h1": {}}


def test_free_ports_are_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([], (None, ())),
        (["2048"], (2048, ())),
        (["h1=4096", "1024"], (1024, (("h1", 4096),))),
    ],
)
def test_sizes_by_default_and_by_host(given: list[str], read: object) -> None:
    assert sizes("--memory", given) == read


@pytest.mark.parametrize("text", ["4GiB", "h1=", "0", "-1", "h1=2.5"])
def test_a_size_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BedplateError, match="neither a number"):
        sizes("--memory", [text])
