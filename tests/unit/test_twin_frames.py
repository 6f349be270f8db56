"""What the switch does with frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.twin.frames import MAX_LEARNED, Port, Table, receive, send

A, B, C = b"\x52\x54\0\0\0\x0a", b"\x52\x54\0\0\0\x0b", b"\x52\x54\0\0\0\x0c"
EVERYBODY = b"\xff" * 6
IP = b"\x08\x00payload"


def frame(destination: bytes, source: bytes, vlan: int | None = None, priority: int = 0) -> bytes:
    tag = b"" if vlan is None else b"\x81\x00" + (priority << 12 | vlan).to_bytes(2, "big")
    return destination + source + tag + IP


def table() -> Table:
    ports = [
        Port("a", "management"),
        Port("b", "management"),
        Port("c", "data"),
        Port("gw", "management", False),
    ]
    return Table({port.name: port for port in ports})


def exits(switch: Table, data: bytes, entry: str) -> dict[str, bytes]:
    return dict(switch.forward(data, entry))


def test_untagged_frames_stay_in_their_network() -> None:
    assert set(exits(table(), frame(EVERYBODY, A), "a")) == {"b", "gw"}


def test_a_vlan_reaches_every_trunk_with_its_tag_and_no_access_port() -> None:
    sent = frame(EVERYBODY, A, vlan=20, priority=0b1010)
    assert exits(table(), sent, "a") == {"b": sent, "c": sent}


def test_an_access_port_carries_one_vlan_without_tag() -> None:
    switch = Table({"a": Port("a", "x"), "gw": Port("gw", 9, trunk=False)})
    assert exits(switch, frame(EVERYBODY, A, vlan=9), "a") == {"gw": frame(EVERYBODY, A)}
    assert exits(switch, frame(EVERYBODY, B), "gw") == {"a": frame(EVERYBODY, B, vlan=9)}
    assert exits(switch, frame(EVERYBODY, B, vlan=9), "gw") == {}
    assert exits(switch, frame(EVERYBODY, A, vlan=8), "a") == {}


def test_what_was_learned_goes_to_one_port() -> None:
    switch = table()
    switch.forward(frame(EVERYBODY, B), "b")
    assert set(exits(switch, frame(B, A), "a")) == {"b"}
    assert set(exits(switch, frame(C, A), "a")) == {"b", "gw"}, "unknown addresses go everywhere"


def test_one_address_may_be_at_different_ports_in_different_vlans() -> None:
    switch = table()
    switch.forward(frame(EVERYBODY, B, vlan=20), "b")
    switch.forward(frame(EVERYBODY, B, vlan=30), "c")
    assert set(exits(switch, frame(B, A, vlan=20), "a")) == {"b"}
    assert set(exits(switch, frame(B, A, vlan=30), "a")) == {"c"}


def test_an_address_that_moved_is_found_at_its_new_port() -> None:
    switch = table()
    switch.forward(frame(EVERYBODY, C), "a")
    switch.forward(frame(EVERYBODY, C), "b")
    assert set(exits(switch, frame(C, A), "gw")) == {"b"}


def test_a_frame_never_goes_back_where_it_came_from() -> None:
    switch = table()
    switch.forward(frame(EVERYBODY, A), "a")
    assert exits(switch, frame(A, B), "a") == {}


@pytest.mark.parametrize("last", range(16))
def test_link_local_protocols_end_at_the_switch(last: int) -> None:
    assert exits(table(), frame(bytes.fromhex("0180c20000") + bytes([last]), A), "a") == {}


@pytest.mark.parametrize("data", [b"", b"\0" * 13])
def test_a_frame_that_is_too_short_is_dropped(data: bytes) -> None:
    assert exits(table(), data, "a") == {}


def test_a_priority_tag_is_no_vlan() -> None:
    assert exits(table(), frame(EVERYBODY, A, vlan=0, priority=5), "a")["b"] == frame(EVERYBODY, A)


def test_the_table_stays_small_when_somebody_makes_addresses_up() -> None:
    switch = table()
    for number in range(MAX_LEARNED + 100):
        switch.forward(frame(EVERYBODY, b"\x02\0" + number.to_bytes(4, "big")), "a")
    assert len(switch.learned) == MAX_LEARNED


@given(st.binary(min_size=12, max_size=12), st.integers(1, 4094), st.integers(0, 15), st.binary(max_size=64))
def test_a_tagged_frame_leaves_a_trunk_as_it_came(macs: bytes, vlan: int, priority: int, rest: bytes) -> None:
    data = macs + b"\x81\x00" + (priority << 12 | vlan).to_bytes(2, "big") + b"\x08\x00" + rest
    taken = receive(data, Port("a", "x"))
    if data[:5] == bytes.fromhex("0180c20000"):
        assert taken is None
    else:
        assert taken is not None
        assert send(taken, Port("b", "y")) == data
