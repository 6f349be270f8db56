"""As much of Valkey's protocol (RESP2) as the gateway speaks: commands in, values out, on one connection.

The pods run a plain Python without packages, and scripts are all that is asked of the server.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass

Value = int | bytes | None | list["Value"]
SECONDS = 2.0  # an answer that takes longer is none


class Away(Exception):
    """Valkey did not answer."""


class Failed(Exception):
    """Valkey answered with an error."""


@dataclass(frozen=True)
class Address:
    """Where Valkey is, and as whom."""

    host: str
    port: int
    user: str = ""
    password: str = ""


def encode(*words: str | int | bytes) -> bytes:
    """A command as it is sent."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    lengths = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%s" % (len(parts), lengths)


async def decode(reader: asyncio.StreamReader) -> Value | Failed:
    """One answer. Raises ConnectionError when it ends early."""
    line = await reader.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Valkey closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind in b"+-":
        return rest if kind == b"+" else Failed(rest.decode(errors="replace"))
    number = int(rest)
    if kind == b":" or number < 0:
        return number if kind == b":" else None
    if kind == b"$":
        return (await reader.readexactly(number + 2))[:-2]
    items = [await decode(reader) for _ in range(number)]
    failed = [item for item in items if isinstance(item, Failed)]
    return failed[0] if failed else [item for item in items if not isinstance(item, Failed)]


class Script:
    """A Lua script, sent whole only where the server does not know it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Valkey:
    """One connection, made when it is needed and again when it broke. Commands of all requests follow each
    other on it without waiting."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._waiting: deque[asyncio.Future[Value]] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def command(self, *words: str | int | bytes) -> Value:
        """The answer to one command. Raises Away or Failed."""
        try:
            return await asyncio.wait_for(self._send(*words), SECONDS)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            self._break()
            raise Away(str(error)) from None

    async def script(self, script: Script, keys: list[str], arguments: list[str | int]) -> Value:
        """What a script returns. Raises Away or Failed."""
        rest = [len(keys), *keys, *arguments]
        try:
            return await self.command("EVALSHA", script.digest, *rest)
        except Failed as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self.command("EVAL", script.text, *rest)

    async def _send(self, *words: str | int | bytes) -> Value:
        if self._writer is None:
            async with self._opening:
                if self._writer is None:
                    await self._open()
        return await self._put(*words)

    def _put(self, *words: str | int | bytes) -> Awaitable[Value]:
        if self._writer is None:
            raise ConnectionError("Valkey is away")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._writer.write(encode(*words))
        return future

    async def _open(self) -> None:
        address = self._address
        reader, self._writer = await asyncio.open_connection(address.host, address.port)
        self._task = asyncio.create_task(self._read(reader))
        if address.password:
            await self._put("AUTH", address.user or "default", address.password)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                value = await decode(reader)
                future = self._waiting.popleft()
                if future.done():
                    continue
                if isinstance(value, Failed):
                    future.set_exception(value)
                else:
                    future.set_result(value)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            self._break()

    def _break(self) -> None:
        """Nobody waits for answers that will not come, and the next command begins anew."""
        if self._task and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._writer:
            self._writer.close()
        self._writer = self._task = None
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionError("Valkey broke off"))
