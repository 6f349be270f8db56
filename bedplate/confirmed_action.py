"""Ansible's side of a confirmed change: runs the module, and where it armed a change, confirms it.

One action and not several tasks: the time in which a host waits to be confirmed is then its own, however many
hosts the play has and however few of them Ansible works on at once.
"""

import uuid
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from bedplate.confirmed_change import NoConnection, Result, confirm

# Never over a connection that is there already: that one may live on while nobody can make another.
FRESH = (
    "-o ControlMaster=no -o ControlPath=none -o ConnectionAttempts=1 -o ConnectTimeout=15 "
    "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
)


class ConfirmedAction(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action plugin of modules that may answer ``armed``: they know ``state: confirmed``."""

    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Result:
        """The module's result, or that of the change that it armed."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args, transaction=uuid.uuid4().hex)

        def execute(**more: str) -> Result:
            wanted = {**arguments, **more}
            answer: Result = self._execute_module(module_args=wanted, task_vars=task_vars)
            return answer

        first = execute()
        if not first.get("armed"):
            return first
        self._connection.reset()
        # Where the way in moves, the host is at the new address if the change works, else at the old one.
        places = [first["reconnect"], ""] if first.get("reconnect") else [""]

        def ask() -> Result:
            for place in places:
                try:
                    with FreshConnections(self._connection, place):
                        return execute(state="confirmed")
                except AnsibleConnectionFailure as error:
                    lost = error
            raise NoConnection from lost

        result = confirm(first, ask)
        return {key: value for key, value in result.items() if key != "invocation"}


class FreshConnections:
    """Every command within makes a connection of its own, to ``host`` where the way in moves."""

    def __init__(self, connection: Any, host: str) -> None:
        self._connection, self._host = connection, host
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        args = f"{FRESH} {self._host_key()}{self._option('ssh_args') or ''}"
        for name, value in (("ssh_args", args), ("reconnection_retries", 0), ("host", self._host)):
            before = self._option(name)
            if value != "" and before is not None:
                self._before[name] = before
                self._connection.set_option(name, value)

    def __exit__(self, *exception: object) -> None:
        for name, value in self._before.items():
            self._connection.set_option(name, value)

    def _host_key(self) -> str:
        """The host keeps its key when it moves."""
        if not self._host:
            return ""
        host, port = self._option("host"), self._option("port")
        return f"-o HostKeyAlias={host if port in (None, 22) else f'[{host}]:{port}'} "

    def _option(self, name: str) -> Any:
        try:
            return self._connection.get_option(name)
        except KeyError:
            return None
