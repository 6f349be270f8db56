"""Ethernet frames and what a switch does with them: pure functions, no sockets.

A segment is one broadcast domain: a VLAN id, or the name of the network (or link) whose frames travel
untagged.
"""

from dataclasses import dataclass, field

Segment = int | str

ETHERTYPE_VLAN = b"\x81\x00"
MIN_FRAME = 14
LINK_LOCAL = bytes.fromhex("0180c20000")  # 01:80:c2:00:00:0X (STP, LACP, LLDP, pause) ends at the next switch
MAX_LEARNED = 4096


@dataclass(frozen=True)
class Port:
    """One socket of the switch: ``native`` is the segment of untagged frames; a trunk carries all VLANs."""

    name: str
    native: Segment
    trunk: bool = True


@dataclass(frozen=True)
class Frame:
    """A frame without its tag; ``priority`` is the tag's upper half byte (priority and drop bits)."""

    segment: Segment
    destination: bytes
    source: bytes
    rest: bytes
    priority: int = 0


def receive(data: bytes, port: Port) -> Frame | None:
    """The frame as it enters at ``port``; None when the port does not take it."""
    if len(data) < MIN_FRAME or data[:5] == LINK_LOCAL:
        return None
    if data[12:14] != ETHERTYPE_VLAN:
        return Frame(port.native, data[:6], data[6:12], data[12:])
    tag = int.from_bytes(data[14:16], "big")
    vlan, priority = tag & 0xFFF, tag >> 12
    if vlan == 0:  # priority tag: untagged traffic with a priority
        return Frame(port.native, data[:6], data[6:12], data[16:], priority)
    if not port.trunk or vlan == port.native:
        return None
    return Frame(vlan, data[:6], data[6:12], data[16:], priority)


def send(frame: Frame, port: Port) -> bytes | None:
    """The frame as it leaves at ``port``; None when the segment does not end there."""
    if frame.segment == port.native:
        return frame.destination + frame.source + frame.rest
    if not port.trunk or not isinstance(frame.segment, int):
        return None
    tag = ETHERTYPE_VLAN + (frame.priority << 12 | frame.segment).to_bytes(2, "big")
    return frame.destination + frame.source + tag + frame.rest


@dataclass
class Table:
    """What a switch has learned: (segment, MAC address) to port name."""

    ports: dict[str, Port]
    learned: dict[tuple[Segment, bytes], str] = field(default_factory=dict)

    def forward(self, data: bytes, entry: str) -> list[tuple[str, bytes]]:
        """Where ``data``, which came in at port ``entry``, goes: (port name, frame to send)."""
        frame = receive(data, self.ports[entry])
        if frame is None:
            return []
        self._learn(frame, entry)
        known = None if frame.destination[0] & 1 else self.learned.get((frame.segment, frame.destination))
        exits = self.ports if known is None else (known,)
        leaving = ((name, send(frame, self.ports[name])) for name in exits if name != entry)
        return [(name, out) for name, out in leaving if out is not None]

    def _learn(self, frame: Frame, entry: str) -> None:
        if frame.source[0] & 1:  # a group address is never a source
            return
        key = (frame.segment, frame.source)
        if len(self.learned) >= MAX_LEARNED and key not in self.learned:
            self.learned.pop(next(iter(self.learned)))
        self.learned[key] = entry
