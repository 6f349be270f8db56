"""QEMU's machine protocol: one short connection per conversation."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from bedplate.errors import BedplateError


@contextmanager
def short(folder: Path) -> Iterator[str]:
    """A name of ``folder`` short enough for unix sockets (108 bytes), however deep it lies."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Monitor:
    """A conversation with one QEMU process; use it in a ``with`` block.

    Raises BedplateError when nothing answers at ``path`` or QEMU refuses a command.
    """

    def __init__(self, path: Path, timeout: float = 20) -> None:
        self._path, self._timeout = path, timeout
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> "Monitor":
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._timeout)
        try:
            with short(self._path.parent) as folder:
                self._socket.connect(f"{folder}/{self._path.name}")
        except OSError as error:
            self._socket.close()
            raise BedplateError(
                f"{self._path.stem} does not answer ({error.strerror})", remedy="see `bedplate twin status`"
            ) from error
        self._file = self._socket.makefile("r")
        self._receive()
        self.do("qmp_capabilities")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()

    def do(self, command: str, **arguments: Any) -> Any:
        """Run one command and return what it returns."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._receive()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise BedplateError(f"{self._path.stem}: {command}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name: str, **data: Any) -> dict[str, Any]:
        """The next event ``name`` whose data holds ``data``. Raises BedplateError after the time limit."""
        while True:
            for event in self._events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self._events.remove(event)
                    return event
            message = self._receive()
            if "event" in message:
                self._events.append(message)

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except TimeoutError:
            raise BedplateError(f"{self._path.stem}: no answer within {self._timeout:.0f} s") from None
        if not line:
            raise BedplateError(f"{self._path.stem}: the machine ended")
        message: dict[str, Any] = json.loads(line)
        return message
