"""Writes which tasks reported a change, one line per run of converge, for molecule/shared/tests."""

import json
import os
from pathlib import Path

from ansible import context
from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: changes
type: aggregate
short_description: Records the tasks that reported a change
description:
  - Appends one JSON document per run of converge.yml to changes.jsonl in Molecule's ephemeral directory,
    with C(check) (was it check mode) and lists of [host, task] - C(changed), C(executed), and C(handled) for
    handlers that changed something, which check mode cannot run when their service is not there yet.
"""


class CallbackModule(CallbackBase):
    """Collects results and writes them when the run has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "changes"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.playbook = ""
        self.changed, self.executed, self.handled = [], [], []

    def v2_playbook_on_start(self, playbook):
        """Remember which playbook it is."""
        self.playbook = Path(playbook._file_name).name

    def v2_runner_on_ok(self, result):
        """A task has run: note it, and whether it changed something."""
        entry = [result.host.get_name(), result.task.get_name()]
        self.executed.append(entry)
        if result.result.get("changed"):
            (self.handled if isinstance(result.task, Handler) else self.changed).append(entry)

    def v2_playbook_on_stats(self, stats):
        """The run has ended: write."""
        if self.playbook != "converge.yml":
            return
        check = bool(context.CLIARGS.get("check"))
        record = {"check": check} | {key: getattr(self, key) for key in ("changed", "executed", "handled")}
        with (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "changes.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
