"""Runs the probe on many hosts at once over SSH. Host keys must be known, none is trusted at first sight."""

import json
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import paramiko

from bedplate.errors import BedplateError
from bedplate.inventory import Vars

PROBE = Path(__file__).with_name("probe.py")
PARALLEL = 32
CONNECT_TIMEOUT = 20.0  # seconds; an emulated machine needs up to 10 for the key exchange
PROBE_TIMEOUT = 120.0
KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True)
class Target:
    """How to reach one host; ``name`` is its name in the inventory."""

    name: str
    address: str
    port: int = 22
    user: str | None = None
    key: str | None = None
    known_hosts: tuple[str, ...] = KNOWN_HOSTS


def target(name: str, variables: Vars, user: str | None = None) -> Target:
    """Pure: the way to ``name`` from Ansible's connection variables; ``user`` wins over them."""
    options = ssh_options(
        f"{variables.get('ansible_ssh_common_args', '')} {variables.get('ansible_ssh_extra_args', '')}"
    )
    files = [options[key] for key in ("userknownhostsfile", "globalknownhostsfile") if key in options]
    return Target(
        name=name,
        address=str(variables.get("ansible_host", name)),
        port=int(variables.get("ansible_port", 22)),
        user=user or variables.get("ansible_user"),
        key=variables.get("ansible_ssh_private_key_file"),
        known_hosts=tuple(files) or KNOWN_HOSTS,
    )


def ssh_options(arguments: str) -> dict[str, str]:
    """Pure: ``-o Name=value`` of a command line by lower-case name."""
    words = shlex.split(arguments)
    pairs = (word.partition("=") for before, word in pairwise(words) if before == "-o")
    return {name.lower(): value for name, _, value in pairs}


def read_all(
    targets: Iterable[Target], seen: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, Vars], dict[str, BedplateError]]:
    """What each probe said, and why others said nothing, by name; ``seen`` is called as hosts answer."""
    answers: dict[str, Vars] = {}
    failures: dict[str, BedplateError] = {}
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        running = {pool.submit(read, one): one.name for one in targets}
        for done in as_completed(running):
            name = running[done]
            try:
                answers[name] = done.result()
            except BedplateError as error:
                failures[name] = error
            seen(name)
    return answers, failures


def read(one: Target) -> Vars:
    """Run the probe on one host. Raises BedplateError when it cannot be reached or cannot be read."""
    with _connect(one) as client:
        try:
            source, output, errors = client.exec_command("python3 -", timeout=PROBE_TIMEOUT)
            source.write(PROBE.read_text())
            source.channel.shutdown_write()
            answer, complaint = output.read().decode(), errors.read().decode()
            status = output.channel.recv_exit_status()
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise BedplateError(
                f"{one.name}: the connection broke: {error}", remedy="run it again"
            ) from error
    if status != 0:
        last = complaint.strip().splitlines()[-1:] or ["no message"]
        raise BedplateError(
            f"{one.name}: the probe failed: {last[0]}",
            remedy="the host needs python3 (3.8 or later) and lsblk",
        )
    document: Vars = json.loads(answer)
    return document


def _connect(one: Target) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    for file in (Path(name).expanduser() for name in one.known_hosts):
        if file.is_file():
            client.load_host_keys(str(file))
    try:
        client.connect(
            one.address,
            port=one.port,
            username=one.user,
            key_filename=one.key,
            timeout=CONNECT_TIMEOUT,
            banner_timeout=CONNECT_TIMEOUT,
            auth_timeout=CONNECT_TIMEOUT,
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        raise BedplateError(
            f"{one.name}: its host key is not the one in known_hosts",
            remedy=f"find out why; if the host was reinstalled: ssh-keygen -R {one.address}",
        ) from error
    except paramiko.AuthenticationException as error:
        client.close()
        raise BedplateError(
            f"{one.name}: no key of yours opens {one.user or 'your login'}@{one.address}",
            remedy="name the user (--user, ansible_user) and key (ssh-agent, ansible_ssh_private_key_file)",
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        client.close()
        unknown = "not found in known_hosts" in str(error)
        remedy = f"connect once and compare the fingerprint: ssh -p {one.port} {one.address}"
        reason = (
            "its host key is not known" if unknown else f"cannot be reached: {error or type(error).__name__}"
        )
        raise BedplateError(
            f"{one.name}: {reason}", remedy=remedy if unknown else "is it up, is the address right?"
        ) from error
    return client
