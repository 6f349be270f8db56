"""One TCP connection between standard input and output, and a port of this machine.

QEMU's user network starts it for each connection to the mirror's address; it needs nothing but Python itself.
"""

import os
import selectors
import socket
import sys

PIECE = 65536


def relay(port: int, inwards: int, outwards: int) -> None:
    """Pass bytes both ways until both sides have ended; the end of one is passed on too."""
    with socket.create_connection(("127.0.0.1", port)) as far, selectors.DefaultSelector() as ready:
        ready.register(inwards, selectors.EVENT_READ)
        ready.register(far, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select():
                if key.fileobj is far:
                    data = far.recv(PIECE)
                    _write(outwards, data)
                    if not data:
                        return  # whoever serves has ended: nothing more can come of this
                else:
                    data = os.read(inwards, PIECE)
                    far.sendall(data)
                    if not data:
                        far.shutdown(socket.SHUT_WR)
                if not data:
                    ready.unregister(key.fileobj)


def _write(outwards: int, data: bytes) -> None:
    while data:
        data = data[os.write(outwards, data) :]


if __name__ == "__main__":
    relay(int(sys.argv[1]), sys.stdin.fileno(), sys.stdout.fileno())
