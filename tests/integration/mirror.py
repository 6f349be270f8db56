"""A mirror over HTTP with ranges, which can misbehave on purpose: the real thing for tests of role
model_store."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

PIECE = 64 * 1024


@dataclass
class Mirror:
    """What is served, how, and what was asked for.

    ``on_piece`` is called with the bytes sent so far; ``cuts`` closes each connection after so many bytes;
    ``longer`` sends more than the file has and says so.
    """

    root: Path
    ranges: bool = True
    cuts: int = 0
    longer: int = 0
    pause: float = 0.0
    token: str = ""
    says_length: bool = True
    on_piece: Callable[[int], None] = lambda sent: None
    sent: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, size: int) -> None:
        """Bytes that have just been sent."""
        with self.lock:
            self.sent += size
        self.on_piece(self.sent)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mirror: Mirror

    def do_GET(self) -> None:
        """Serve one file, or a part of it."""
        path = unquote(self.path).lstrip("/")
        self.mirror.asked.append((path, self.headers.get("Range", "")))
        file = self.mirror.root / path
        if self.mirror.token and self.headers.get("Authorization") != f"Bearer {self.mirror.token}":
            return self._short(401)
        if not file.is_file():
            return self._short(404)
        data = file.read_bytes() + bytes(self.mirror.longer)
        begin = self._begin()
        if begin >= len(data) and begin:
            return self._short(416)
        self._head(begin, len(data))
        self._body(data[begin:])
        return None

    def _begin(self) -> int:
        wanted = self.headers.get("Range", "")
        return int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and self.mirror.ranges else 0

    def _head(self, begin: int, total: int) -> None:
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        if self.mirror.says_length:
            self.send_header("Content-Length", str(total - begin))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()

    def _body(self, data: bytes) -> None:
        allowed = self.mirror.cuts or len(data)
        for start in range(0, len(data), PIECE):
            piece = data[start : min(start + PIECE, allowed)]
            if piece:
                self.wfile.write(piece)
                self.mirror.count(len(piece))
            if start + PIECE >= allowed and allowed < len(data):
                self.close_connection = True
                return
            if self.mirror.pause:
                time.sleep(self.mirror.pause)

    def _short(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(mirror: Mirror) -> Iterator[Mirror]:
    """Run the mirror on a port of 127.0.0.1."""
    handler = type("Handler", (_Handler,), {"mirror": mirror})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  a client that was killed
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
