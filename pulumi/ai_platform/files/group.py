"""One rank of a vLLM group that spans hosts.

Usage: `group.py start ARGUMENT...` becomes `vllm serve ARGUMENT...` with this pod's rank; `group.py alive`
exits 0 while this rank is of use: rank 0 answers, others reach rank 0.

The rank is the pod's index; rank 0 serves HTTP, the others are headless. A worker that has lost rank 0 must
not look alive, or a group whose leader restarts waits for it for ever.
"""

import os
import socket
import sys
import urllib.request

TIMEOUT = 8  # seconds; below the probes' own


def arguments(rank: int, nodes: int, master: str, port: str, rest: list[str]) -> list[str]:
    """The command line of one rank."""
    ranks = [f"--nnodes={nodes}", f"--node-rank={rank}", f"--master-addr={master}", f"--master-port={port}"]
    return ["vllm", "serve", *rest, *ranks, *(["--headless"] if rank else [])]


def alive(rank: int, http_port: str, master: str, master_port: str) -> bool:
    """Rank 0: its own health; other ranks: rank 0 accepts connections of the group."""
    try:
        if rank == 0:
            with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/health", timeout=TIMEOUT) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
        socket.create_connection((master, int(master_port)), TIMEOUT).close()
    except OSError:
        return False
    return True


def main(mode: str, *rest: str) -> None:
    """Start a rank or judge it."""
    rank, master, port = int(os.environ["GROUP_RANK"]), os.environ["GROUP_MASTER"], os.environ["GROUP_PORT"]
    if mode == "alive":
        sys.exit(0 if alive(rank, os.environ["HTTP_PORT"], master, port) else 1)
    command = arguments(rank, int(os.environ["GROUP_NODES"]), master, port, list(rest))
    os.execvp(command[0], command)  # noqa: S606 - the container's own program


if __name__ == "__main__":
    main(*sys.argv[1:])
