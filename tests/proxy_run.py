"""The real squid with our configuration in a network of its own, where private and public addresses both
answer: what is let through would be answered, so a refusal is squid's.

Run as a program inside `unshare --net`: reads a JSON job on standard input, writes what came back as JSON.
Names, their addresses and the servers behind them are stand-ins; they show nothing of the real internet."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PUBLIC, OTHER, METADATA, INSIDE, OWN = (
    "203.0.113.10",
    "203.0.113.66",
    "169.254.169.254",
    "10.1.2.3",
    "198.51.100.7",
)
ADDRESSES = (PUBLIC, OTHER, METADATA, INSIDE, OWN)
PORTS = (22, 80, 443, 8080, 8443)
PORT = 3128
PROXY = 13  # user and group of squid, in Debian as in the image
REACHED = "reached"
NAMES = {
    "files.example": PUBLIC,
    "deep.index.example": PUBLIC,
    "other.example": OTHER,
    "inside.index.example": INSIDE,
    "metadata.index.example": METADATA,
    "loop.index.example": "127.0.0.1",
    "own.index.example": OWN,
}
CHANGING = "changing.index.example"  # public when it is first asked for, inside ever after, believed for 0 s


@dataclass
class Names:
    """A DNS server that knows ``NAMES``; the reverse of OTHER claims to be an allowed host."""

    asked: int = 0

    def serve(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("127.0.0.1", 53))
            while True:
                question, client = own.recvfrom(512)
                own.sendto(self.answer(question), client)

    def answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += length + 1
        question, kind = query[12 : at + 5], struct.unpack(">H", query[at + 1 : at + 3])[0]
        data = self.data(".".join(labels).lower(), kind)
        flags = 0x8180 if data else 0x8183
        head = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if data else 0, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data if data else b""
        return head + question + record

    def data(self, name: str, kind: int) -> bytes:
        if kind == 12 and name == ".".join([*reversed(OTHER.split(".")), "in-addr", "arpa"]):
            return b"".join(bytes([len(p)]) + p.encode() for p in ("files", "example")) + b"\0"
        if kind != 1:
            return b""
        if name == CHANGING:
            self.asked += 1
            return socket.inet_aton(PUBLIC if self.asked == 1 else INSIDE)
        return socket.inet_aton(NAMES[name]) if name in NAMES else b""


def origin(family: int, address: str, port: int) -> None:
    """A server that says that it was reached, and at which address."""
    with socket.socket(family, socket.SOCK_STREAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        own.bind((address, port))
        own.listen(16)
        while True:
            made, _ = own.accept()
            body = f"{REACHED} {made.getsockname()[0]}"
            made.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
            )
            made.close()


def ask(request: str) -> str:
    """``STATUS`` of one request through the proxy, and what the server said where one was reached."""
    with socket.create_connection(("127.0.0.1", PORT), 10) as made:
        made.sendall(request.encode())
        made.settimeout(15)
        answer = b""
        try:
            while not refused(answer) and (part := made.recv(65536)):
                answer += part
        except TimeoutError:
            pass
    text = answer.decode(errors="replace")
    status = text.split(" ")[1] if text.startswith("HTTP/") else "closed"
    return f"{status} {text[text.rfind(REACHED) :]}" if REACHED in text else status


def refused(answer: bytes) -> bool:
    """Whether this is the whole of a refusal, after which squid keeps the connection for another request."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end and length and head.split(b" ")[1] != b"200" and len(body) >= int(length[1]))


def pass_on(said: int) -> None:
    """What squid says, for whoever wants to know why a test failed."""
    while part := os.read(said, 65536):
        sys.stderr.buffer.write(part)


def main() -> None:
    job = json.load(sys.stdin)
    commands = ["ip link set lo up", *(f"ip addr add {a}/32 dev lo" for a in ADDRESSES)]
    for command in [*commands, "ip addr add 64:ff9b::a9fe:a9fe/128 dev lo"]:
        subprocess.run(command.split(), check=True)
    served = [(family, any_, port) for port in PORTS for family, any_ in ((2, "0.0.0.0"), (10, "::"))]
    for target, arguments in [(Names().serve, ()), *((origin, where) for where in served)]:
        threading.Thread(target=target, args=arguments, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "squid.conf")
        file.write_text(job["config"] + "dns_nameservers 127.0.0.1\n")
        file.chmod(0o644)
        Path(folder).chmod(0o755)
        said, log = os.pipe()
        os.fchown(log, PROXY, PROXY)  # as container runtimes do with the output of a container's user
        threading.Thread(target=pass_on, args=(said,), daemon=True).start()
        squid = subprocess.Popen(
            ["squid", "-N", "-f", str(file)], stdout=log, stderr=log, user=PROXY, group=PROXY, extra_groups=[]
        )
        try:
            until = time.monotonic() + 20
            while time.monotonic() < until and squid.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", PORT), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            json.dump([ask(request) for request in job["requests"]], sys.stdout)
        finally:
            squid.terminate()
            squid.wait(20)


if __name__ == "__main__":
    main()
