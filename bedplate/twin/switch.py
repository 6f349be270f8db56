"""The twin's switch: a learning switch between unix datagram sockets that carries 802.1Q tags.

Run as ``python -m bedplate.twin.switch PORTS.json`` in the twin's folder. Every port has two sockets: one to
receive, bound, and one to send, connected, because only a connected one tells when a slow machine's queue
is full. Frames wait in a short queue of their own then; what does not fit is dropped, as in any switch.
"""

import contextlib
import errno
import json
import selectors
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

from bedplate.twin.frames import Port, Table
from bedplate.twin.qemu import nic_socket

QUEUE = 512  # frames per port
FRAME_MAX = 65_550


class Plug:
    """The sockets of one port; ``host`` and ``nic`` name the machine's end of the cable."""

    def __init__(self, port: Port, host: str, nic: str, events: selectors.BaseSelector) -> None:
        self.port = port
        self._peer = nic_socket(host, nic, "host")
        self._events = events
        self._queue: deque[bytes] = deque()
        local = Path(nic_socket(host, nic, "switch"))
        local.unlink(missing_ok=True)
        self.incoming = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.incoming.setblocking(False)
        self.incoming.bind(str(local))
        self._out: socket.socket | None = None
        self._waiting = False

    def send(self, frame: bytes) -> None:
        """Send, or queue behind what waits; drop when the queue is full or nobody is plugged in."""
        if len(self._queue) < QUEUE:
            self._queue.append(frame)
        if not self._waiting:
            self.flush()

    def flush(self) -> None:
        """Send what is queued, as far as the machine takes it."""
        while self._queue:
            try:
                self._connected().send(self._queue[0])
            except BlockingIOError:
                self._wait(True)
                return
            except OSError as error:
                self._disconnect()
                if error.errno != errno.ECONNREFUSED or not self._again():
                    self._queue.clear()
                    return
                continue
            self._queue.popleft()
        self._wait(False)

    def _again(self) -> bool:
        """Whether a machine that was started anew listens at the same name."""
        try:
            self._connected()
        except OSError:
            return False
        return True

    def _connected(self) -> socket.socket:
        if self._out is None:
            out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            out.setblocking(False)
            try:
                out.connect(self._peer)
            except OSError:
                out.close()
                raise
            self._out = out
        return self._out

    def _disconnect(self) -> None:
        self._wait(False)
        if self._out is not None:
            self._out.close()
            self._out = None

    def _wait(self, wanted: bool) -> None:
        if wanted and not self._waiting and self._out is not None:
            self._events.register(self._out, selectors.EVENT_WRITE, self.flush)
        elif not wanted and self._waiting and self._out is not None:
            self._events.unregister(self._out)
        self._waiting = wanted


def serve(ports: list[dict[str, Any]]) -> None:
    """Switch frames until the process is ended. Each port: host, nic, native, trunk."""
    events = selectors.DefaultSelector()
    plugs: dict[str, Plug] = {}
    for entry in ports:
        port = Port(f"{entry['host']}.{entry['nic']}", entry["native"], entry["trunk"])
        plugs[port.name] = Plug(port, entry["host"], entry["nic"], events)
        events.register(plugs[port.name].incoming, selectors.EVENT_READ, plugs[port.name])
    table = Table({name: plug.port for name, plug in plugs.items()})
    while True:
        for key, _ in events.select():
            if isinstance(key.data, Plug):
                _drain(key.data, plugs, table)
            else:
                key.data()


def _drain(plug: Plug, plugs: dict[str, Plug], table: Table, burst: int = 64) -> None:
    """Take up to ``burst`` frames from one port, so that no machine keeps the others waiting."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(burst):
            data = plug.incoming.recv(FRAME_MAX)
            for name, frame in table.forward(data, plug.port.name):
                plugs[name].send(frame)


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text()))
