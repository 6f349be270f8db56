"""What stands behind the gateway in tests: it writes down what it sees, streams, and fails on demand."""

import asyncio
import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

GAP = 0.1  # seconds between two tokens
TOKENS = 12
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


@dataclass
class Seen:
    """One request as it came: nothing is thrown away."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """Every value under a name, underscores and dashes being the same as for many frameworks."""
        wanted = name.lower().replace("_", "-")
        return [value for key, value in self.headers if key.lower().replace("_", "-") == wanted]


@dataclass
class Upstream:
    """A server on 127.0.0.1. ``fault``: empty, 503, or cut (closes once it has read a request)."""

    fault: str = ""
    seen: list[Seen] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)  # when each token left
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = [line.split(":", 1) for line in head[1:] if line]
        seen = Seen(method, path, [(key, value.strip()) for key, value in pairs], b"")
        seen.body = await self._body(reader, seen)
        self.seen.append(seen)
        if self.fault == "cut":
            return False
        if self.fault:
            return await self._answer(writer, self.fault, {"fault": self.fault})
        if seen.header("Upgrade"):
            return await self._websocket(reader, writer, seen)
        if "/stream" in path:
            return await self._stream(writer)
        return await self._answer(writer, "200", {"path": path, "headers": dict(seen.headers)})

    async def _body(self, reader: asyncio.StreamReader, seen: Seen) -> bytes:
        if seen.header("Content-Length"):
            return await reader.readexactly(int(seen.header("Content-Length")[0]))
        return b""

    async def _answer(self, writer: asyncio.StreamWriter, status: str, said: dict[str, Any]) -> bool:
        body = json.dumps(said).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    async def _stream(self, writer: asyncio.StreamWriter) -> bool:
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        for number in range(TOKENS):
            token = f"data: token {number}\n\n".encode()
            writer.write(f"{len(token):x}\r\n".encode() + token + b"\r\n")
            self.sent.append(time.monotonic())
            await writer.drain()
            await asyncio.sleep(GAP)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _websocket(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen
    ) -> bool:
        word = (seen.header("Sec-WebSocket-Key") or [""])[0] + WEBSOCKET
        accept = base64.b64encode(hashlib.sha1(word.encode()).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        return False


@contextmanager
def upstream(**words: Any) -> Iterator[Upstream]:
    """A server in a thread of its own."""
    made, loop = Upstream(**words), asyncio.new_event_loop()
    started = threading.Event()

    async def main() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", made.port)
        made.port = server.sockets[0].getsockname()[1]
        started.set()
        async with server:
            with contextlib.suppress(asyncio.CancelledError):
                await server.serve_forever()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)
