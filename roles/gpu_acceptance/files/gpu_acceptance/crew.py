"""The parent's side of the workers: starts one per GPU, asks them, and never leaves one behind."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MODULE = "gpu_acceptance.worker"
GRACE = 5.0  # seconds between asking a worker to end and ending it


class Failed(Exception):
    """A worker (``rank``) did not do what it was asked: its GPU computed something ``wrong``, or the crew is
    ``dead`` and can be asked nothing more."""

    def __init__(self, rank: int, why: str, *, wrong: bool = False, dead: bool = False) -> None:
        super().__init__(why)
        self.rank, self.why, self.wrong, self.dead = rank, why, wrong, dead


class Crew:
    """Workers of ``count`` GPUs, in order of their ranks. Use as a context; leaving it ends them all."""

    def __init__(self, count: int, log: Path, module: str = MODULE) -> None:
        self.count = count
        self._log = log.open("ab")
        environment = dict(os.environ)
        environment.setdefault("NCCL_SOCKET_IFNAME", "lo")  # ranks of one host meet on its loopback
        environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the order of NVML
        self._workers = [
            subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                cwd=Path(__file__).parent.parent,
                env=environment,
            )
            for _ in range(count)
        ]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            self.kill()
        for worker in self._workers:
            if worker.stdin:
                worker.stdin.close()
        deadline = time.monotonic() + GRACE
        for worker in self._workers:
            try:
                worker.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._log.close()

    def kill(self) -> None:
        """End all of them now."""
        for worker in self._workers:
            worker.kill()

    def everyone(
        self, do: str, timeout: float, each: dict[int, dict[str, Any]] | None = None, **shared: Any
    ) -> list:
        """The same request to all at once; ``each`` adds what differs by rank. Results in order of ranks."""
        for rank in range(self.count):
            self._send(rank, do, shared | (each or {}).get(rank, {}))
        return self._collect(list(range(self.count)), do, timeout)

    def one(self, rank: int, do: str, timeout: float, **arguments: Any) -> Any:
        """A request to one worker."""
        self._send(rank, do, arguments)
        return self._collect([rank], do, timeout)[0]

    def _send(self, rank: int, do: str, arguments: dict[str, Any]) -> None:
        stdin = self._workers[rank].stdin
        try:
            stdin.write(json.dumps({"do": do, "with": arguments}).encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise Failed(rank, f"its process ended before {do}", dead=True) from error

    def _collect(self, ranks: list[int], do: str, timeout: float) -> list[Any]:
        answers: dict[int, dict[str, Any]] = {}
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for rank in ranks:
                selector.register(self._workers[rank].stdout, selectors.EVENT_READ, rank)
            while len(answers) < len(ranks):
                ready = selector.select(max(deadline - time.monotonic(), 0))
                if not ready:
                    silent = [rank for rank in ranks if rank not in answers]
                    self.kill()
                    raise Failed(
                        silent[0], f"{do} did not end within {timeout:.0f} s (ranks {silent})", dead=True
                    )
                for key, _ in ready:
                    selector.unregister(key.fileobj)
                    answers[key.data] = self._read(key.data, do)
        return [self._judged(rank, answers[rank]) for rank in ranks]

    def _read(self, rank: int, do: str) -> dict[str, Any]:
        line = self._workers[rank].stdout.readline()
        if not line:
            self.kill()  # the others may wait for it in a collective for ever
            raise Failed(rank, f"its process ended during {do}", dead=True)
        answer: dict[str, Any] = json.loads(line)
        return answer

    @staticmethod
    def _judged(rank: int, answer: dict[str, Any]) -> Any:
        """Only once all have answered: a line that is left unread would be taken for the next answer."""
        if "result" not in answer:
            wrong = answer.get("wrong")
            raise Failed(rank, wrong or answer.get("error", "no answer"), wrong=bool(wrong))
        return answer["result"]


def free_port() -> int:
    """A TCP port that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
