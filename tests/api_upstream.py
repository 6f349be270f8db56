"""A stand-in for a model server (vLLM's OpenAI routes): it streams, counts tokens, remembers what it saw, and
fails on demand. It shows nothing of a model: its words are numbers, its tokens are what it is told to say."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PROMPT = 10  # tokens that every prompt has here


@dataclass
class Model:
    """A server on 127.0.0.1. ``fault``: empty, 500, cut (closes in the middle of its answer); ``delay`` and
    ``gap`` in seconds before the first byte and between two words; ``words`` of an answer, less where the
    request says less."""

    name: str = "chat"
    fault: str = ""
    delay: float = 0.0
    gap: float = 0.0
    words: int = 5
    extra: str = ""  # put into the text of the answer
    port: int = 0
    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    broken: int = 0  # clients that went away in the middle of a stream

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin1").strip().split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.raw.append(head + body)
        asked = json.loads(body or b"{}")
        self.seen.append((first, headers, asked))
        await asyncio.sleep(self.delay)
        if self.fault == "500":
            return await self._send(writer, 500, {"error": {"message": "broken"}})
        most = asked.get("max_completion_tokens") or asked.get("max_tokens") or self.words
        words = min(self.words, most)
        usage = {"prompt_tokens": PROMPT, "completion_tokens": words, "total_tokens": PROMPT + words}
        if asked.get("stream"):
            return await self._stream(writer, words, usage)
        if self.fault == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
            return False
        if "input" in asked:
            usage = {"prompt_tokens": PROMPT, "total_tokens": PROMPT}
            return await self._send(writer, 200, {"data": [{"embedding": [0.5, 0.5]}], "usage": usage})
        text = self.extra + " ".join(map(str, range(words)))
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        return await self._send(writer, 200, {"model": self.name, "choices": [choice], "usage": usage})

    async def _send(self, writer: asyncio.StreamWriter, status: int, said: dict[str, Any]) -> bool:
        body = json.dumps(said).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nserver: secret-server/1.0\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    async def _stream(self, writer: asyncio.StreamWriter, words: int, usage: dict[str, int]) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        deltas = [{"choices": [{"delta": {"content": f"{n} {self.extra}"}}]} for n in range(words)]
        try:
            for number, said in enumerate([*deltas, {"choices": [], "usage": usage}]):
                if self.fault == "cut" and number == words // 2:
                    return False
                await self._chunk(writer, f"data: {json.dumps(said)}\n\n".encode())
                await asyncio.sleep(self.gap)
            await self._chunk(writer, b"data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except ConnectionError:
            self.broken += 1
            return False
        return True

    async def _chunk(self, writer: asyncio.StreamWriter, part: bytes) -> None:
        if writer.transport.is_closing():
            raise ConnectionResetError
        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        await writer.drain()


@contextmanager
def model(**words: Any) -> Iterator[Model]:
    """A stand-in in a thread of its own."""
    made, loop, started = Model(**words), asyncio.new_event_loop(), threading.Event()

    async def main() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", made.port, limit=2**24)
        made.port = server.sockets[0].getsockname()[1]
        started.set()
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
