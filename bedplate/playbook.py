"""Playbooks driven from Python: ansible-runner's events become progress, counts and a result that can be
judged.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import click

from bedplate import paths
from bedplate.console import Step, progress
from bedplate.inventory import ansible_env

Event = dict[str, Any]
_EXECUTED = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable")
_STATS = {
    "ok": "ok",
    "changed": "changed",
    "failures": "failures",
    "dark": "unreachable",
    "skipped": "skipped",
}


@dataclass(frozen=True)
class PlaybookResult:
    """What one run of a playbook did.

    ``stats`` maps host to {ok, changed, failures, unreachable, skipped}; ``tasks`` host to the number of
    tasks that were executed there (skipped ones are not); ``changed_tasks`` is (host, task), ``failures``
    (host, task, message), both in the order in which they happened; ``seconds`` is wall time. ``rc`` is
    ansible-playbook's.
    """

    rc: int
    stats: dict[str, dict[str, int]]
    tasks: dict[str, int]
    seconds: float
    changed_tasks: tuple[tuple[str, str], ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()
    output: str = ""  # the end of what ansible-playbook printed

    @property
    def changed(self) -> int:
        """Tasks that changed something, over all hosts."""
        return sum(s["changed"] for s in self.stats.values())


def run(
    inventory: Path,
    playbook: str,
    *,
    overlays: Sequence[Path] = (),
    limit: str = "",
    tags: str = "",
    check: bool = False,
    extra: dict[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> PlaybookResult:
    """Run ``playbooks/PLAYBOOK`` (or an absolute path); later ``overlays`` win over the inventory.

    A failing playbook is a result (``rc``), not an exception. Ctrl-C ends ansible-playbook, then raises.
    """
    begin = time.monotonic()
    collected: list[Event] = []
    with (
        tempfile.TemporaryDirectory(prefix="bedplate-run-") as private,
        progress(f"{playbook}{' (check)' if check else ''}") as step,
        _interruptible() as interrupted,
    ):

        def handle(event: Event) -> bool:
            collected.append(slim(event))
            _show(step, event)
            if on_event:
                on_event(event)
            return False  # ansible-runner need not keep it on disk

        runner = ansible_runner.run(
            private_data_dir=private,
            project_dir=str(paths.ROOT),
            playbook=str(paths.PLAYBOOKS / playbook),
            inventory=[str(source.resolve()) for source in (inventory, *overlays)],
            limit=limit or None,
            tags=tags or None,
            extravars=extra or None,
            cmdline="--check --diff" if check else None,
            envvars=_environment(),
            settings={"pexpect_timeout": 1, "suppress_env_files": True},
            event_handler=handle,
            cancel_callback=interrupted.is_set,
            quiet=True,
        )
        output = click.unstyle(runner.stdout.read())[-8000:]
    if interrupted.is_set():
        raise KeyboardInterrupt
    return summary(collected, runner.rc, time.monotonic() - begin, output)


def summary(events: Sequence[Event], rc: int, seconds: float, output: str = "") -> PlaybookResult:
    """Pure: events of ansible-runner as a result."""
    stats: dict[str, dict[str, int]] = {}
    for event in events:
        if event["event"] == "playbook_on_stats":
            data = event["event_data"]
            hosts = data.get("processed", {}) or {h for key in _STATS for h in data.get(key, {})}
            stats = {h: {name: data.get(key, {}).get(h, 0) for key, name in _STATS.items()} for h in hosts}
    executed = [e["event_data"] for e in events if e["event"] in _EXECUTED]
    changed = [e["event_data"] for e in events if e["event"] == "runner_on_ok"]
    failed = [
        e["event_data"]
        for e in events
        if e["event"] in ("runner_on_failed", "runner_on_unreachable")
        and not e["event_data"].get("ignore_errors")
    ]
    return PlaybookResult(
        rc=rc,
        stats=stats,
        tasks=dict(Counter(d["host"] for d in executed)),
        seconds=seconds,
        changed_tasks=tuple((d["host"], d["task"]) for d in changed if d.get("res", {}).get("changed")),
        failures=tuple((d["host"], d["task"], message(d.get("res", {}))) for d in failed),
        output=output,
    )


def message(result: Any) -> str:
    """Pure: why a task failed, in its own words; of a loop, the words of the items that failed."""
    if not isinstance(result, dict):
        return str(result)
    items = [r for r in result.get("results", []) if isinstance(r, dict) and r.get("failed")]
    if items:
        return "; ".join(message(r) for r in items)
    words = [str(result[key]).strip() for key in ("msg", "stderr", "module_stderr") if result.get(key)]
    return "\n".join(dict.fromkeys(words)) or str(result.get("censored", result))


def slim(event: Event) -> Event:
    """Pure: only what ``summary`` reads; a thousand hosts' results would fill the memory."""
    data = event.get("event_data", {})
    kept: Event = {key: data[key] for key in ("host", "task", "ignore_errors") if key in data}
    if event["event"] == "playbook_on_stats":
        kept = data
    elif event["event"] in ("runner_on_failed", "runner_on_unreachable"):
        kept["res"] = data.get("res", {})
    elif event["event"] in _EXECUTED:
        kept["res"] = {"changed": bool(data.get("res", {}).get("changed"))}
    return {"event": event["event"], "event_data": kept}


def _show(step: Step, event: Event) -> None:
    data = event.get("event_data", {})
    if event["event"] == "playbook_on_task_start":
        step.say(f"{data.get('role', '') and data['role'] + ' : '}{data.get('name', '')}")


def _environment() -> dict[str, str]:
    """Ansible's programs are found beside this Python, whether its environment is activated or not."""
    programs = str(Path(sys.executable).parent)
    return ansible_env() | {"PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}"}


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event, so that ansible-runner can end its child first."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(s, lambda *_: asked.set()) for s in signals]
    try:
        yield asked
    finally:
        for sign, handler in zip(signals, before, strict=True):
            signal.signal(sign, handler)
