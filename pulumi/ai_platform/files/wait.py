"""Before a program starts: wait until what it needs can be reached, however long that takes.

Usage: wait.py HOST:PORT… A dependency that is late is no reason to crash and be held back; the pod says what
it waits for and starts within seconds of it.
"""

import socket
import sys
import time

PAUSE, SILENCE = 2, 30  # seconds between tries, and between words about it
PATIENCE = 5  # for one connection


def reachable(address: str) -> bool:
    """Whether something listens there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except OSError:
        return False
    return True


def say(text: str) -> None:
    """One line of the container's log, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(addresses: list[str]) -> None:
    """Return when every address was reached."""
    begin = said = time.monotonic()
    for address in addresses:
        while not reachable(address):
            now = time.monotonic()
            if now - said >= SILENCE:
                said = now
                say(f"waiting for {address} since {now - begin:.0f} s")
            time.sleep(PAUSE)
        say(f"{address} answers after {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
