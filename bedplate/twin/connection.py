"""How programs reach the machines: ports on 127.0.0.1, keys, and the overlay inventory that tells Ansible."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.twin.seed import USER


@dataclass(frozen=True)
class Connection:
    """The way to the machines of one twin; ``ports`` maps host name to its port on 127.0.0.1."""

    folder: Path
    ports: dict[str, int]

    @property
    def key(self) -> Path:
        """Private key that may log in as user ``twin`` everywhere."""
        return self.folder / "keys" / "twin"

    @property
    def known_hosts(self) -> Path:
        """Host keys of all machines."""
        return self.folder / "keys" / "known_hosts"

    @property
    def overlay(self) -> Path:
        """Inventory that only says how to connect; read after the real one."""
        return self.folder / "overlay"

    def options(self) -> list[str]:
        """Options for OpenSSH's programs; a machine that lost its power is noticed within two minutes.

        Not sooner: on a busy controller an emulated machine has been seen to need 20 s to open a session.
        """
        settings = {
            "UserKnownHostsFile": shlex.quote(str(self.known_hosts)),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "12",
        }
        return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]

    def ssh(self, host: str, *, batch: bool = True) -> list[str]:
        """The ssh command for ``host``; without ``batch`` for a person at a terminal.

        With ``batch`` it is run in ``folder`` and shares one connection (see ``hang_up``): opening a session
        costs an emulated machine seconds.
        """
        quiet = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", *self._shared(host)] if batch else []
        target = ["-i", str(self.key), "-p", str(self.ports[host]), f"{USER}@127.0.0.1"]
        return ["ssh", *self.options(), *quiet, "-o", "LogLevel=ERROR", *target]

    def hang_up(self, host: str) -> None:
        """End the shared connection, which does not notice by itself that the machine has lost its power."""
        if (self.folder / self._control(host)).exists():
            command = ["ssh", "-O", "exit", "-o", f"ControlPath={self._control(host)}", "127.0.0.1"]
            subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
            (self.folder / self._control(host)).unlink(missing_ok=True)

    def _shared(self, host: str) -> list[str]:
        path = f"ControlPath={self._control(host)}"
        return ["-o", "ControlMaster=auto", "-o", "ControlPersist=10m", "-o", path]

    @staticmethod
    def _control(host: str) -> str:
        """Relative, because unix sockets have short names."""
        return f"run/ssh.{host}"


def write(folder: Path, ports: dict[str, int], host_keys: dict[str, str]) -> Connection:
    """Write known_hosts and overlay inventory for ``ports``; ``host_keys`` maps host name to public key."""
    connection = Connection(folder, ports)
    lines = [f"{name},[127.0.0.1]:{port} {host_keys[name]}\n" for name, port in ports.items()]
    connection.known_hosts.write_text("".join(lines))
    variables = connection.overlay / "host_vars"
    variables.mkdir(parents=True, exist_ok=True)
    (connection.overlay / "hosts.yml").write_text(json.dumps(groups(list(ports))))
    for name in ports:  # JSON is YAML, and needs no quoting rules of its own
        (variables / f"{name}.yml").write_text(json.dumps(host_vars(connection, name), indent=2) + "\n")
    return connection


def groups(hosts: list[str]) -> dict[str, Any]:
    """Pure: the overlay's inventory. The machines have no GPUs, whatever the hosts have for which they stand:
    group ``no_gpus`` keeps playbooks from installing drivers there.
    """
    names: dict[str, dict[str, str]] = {name: {} for name in hosts}
    return {"all": {"hosts": names, "children": {"no_gpus": {"hosts": names}}}}


def read(folder: Path) -> Connection | None:
    """The connection that ``write`` left, or None."""
    files = sorted((folder / "overlay" / "host_vars").glob("*.yml"))
    ports = {file.stem: json.loads(file.read_text())["ansible_port"] for file in files}
    return Connection(folder, ports) if ports else None


def host_vars(connection: Connection, host: str) -> dict[str, str | int]:
    """Pure: what Ansible must know to reach ``host``. As host variables, so that nothing of the inventory
    wins.
    """
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": connection.ports[host],
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(connection.key),
        "ansible_ssh_common_args": " ".join(connection.options()),
        "ansible_python_interpreter": "/usr/bin/python3",
        # Emulated disks cannot reach what the tiers promise: judged by their ratio to the raw members
        # instead.
        "storage_tiers_acceptance": "relative",
        # Machines boot the image's own initial RAM disk; making theirs anew costs minutes and is never read.
        "storage_tiers_initramfs": False,
        # Emulated hosts need minutes where real ones need seconds, and the twin's switch speaks no LACP.
        "vlan_network_rollback_seconds": 240,
        "vlan_network_lacp_partner": False,
    }
