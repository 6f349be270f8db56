"""Reads this host: what programs print and what files hold, handed to the pure functions of ``observe``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import observe
from .model import FOLDERS, NETPLAN, NETWORKD, Observed, Owner

Run = Callable[[list[str]], "tuple[int, str, str]"]
SUFFIXES = {NETWORKD: (".link", ".netdev", ".network"), NETPLAN: (".yaml",)}
CLAIMING = (".netdev", ".network")
PROFILES = ("/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections")
CLOUD_OFF = Path("/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg")


class CannotRead(Exception):
    """A program that is needed to read the host fails or is missing."""


def backend(configured: str) -> str:
    """``auto`` is netplan where it is installed, because it would overrule the other."""
    if configured != "auto":
        return configured
    return NETPLAN if Path("/usr/sbin/netplan").exists() else NETWORKD


def look(run: Run, used: str, ssh_connection: str) -> Observed:
    """The host as it is, for back end ``used``."""
    devices = observe.devices(_json(run, "ip", "-d", "-j", "address", "show"))
    listing = [r for family in ("-4", "-6") for r in _json(run, "ip", family, "-j", "route", "show")]
    files = _texts(Path(FOLDERS[used]), SUFFIXES[used])
    return Observed(
        devices=devices,
        routes=observe.routes(listing),
        files=files,
        claims=_claims(used, files),
        owners=(*_ifupdown(run), *_network_manager(run), *_cloud_init(files)),
        way_in=observe.way_in(ssh_connection, devices),
        networkd=run(["systemctl", "is-active", "--quiet", "systemd-networkd.service"])[0] == 0,
    )


def bonding(name: str) -> str:
    """What the kernel says about a bond; empty without one."""
    path = Path("/proc/net/bonding") / name
    return path.read_text() if path.exists() else ""


def _claims(used: str, files: dict[str, str]) -> dict[str, tuple[str, ...]]:
    if used == NETWORKD:
        return {p: observe.claims_of_networkd(t) for p, t in files.items() if p.endswith(CLAIMING)}
    try:
        import yaml  # noqa: PLC0415  (comes with netplan, whose program is written in Python)
    except ImportError as error:
        raise CannotRead("netplan's files cannot be read: install python3-yaml") from error
    return {path: observe.claims_of_netplan(yaml.safe_load(text)) for path, text in files.items()}


def _ifupdown(run: Run) -> list[Owner]:
    if run(["systemctl", "is-enabled", "--quiet", "networking.service"])[0] != 0:
        return []
    main, more = Path("/etc/network/interfaces"), Path("/etc/network/interfaces.d")
    files = {str(main): main.read_text()} if main.exists() else {}
    return observe.ifupdown(files | _texts(more, ("",)))


def _network_manager(run: Run) -> list[Owner]:
    if run(["systemctl", "is-enabled", "--quiet", "NetworkManager.service"])[0] != 0:
        return []
    profiles: dict[str, str] = {}
    for folder in PROFILES:
        profiles |= _texts(Path(folder), (".nmconnection",))
    return observe.network_manager(profiles)


def _cloud_init(files: dict[str, str]) -> list[Owner]:
    installed = Path("/etc/cloud/cloud.cfg").exists() and not Path("/etc/cloud/cloud-init.disabled").exists()
    return observe.cloud_init(files, disabled=not installed or CLOUD_OFF.exists())


def _texts(folder: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Regular files of ``folder`` with one of ``suffixes``, path to content."""
    if not folder.is_dir():
        return {}
    found = [f for f in sorted(folder.iterdir()) if f.is_file() and f.name.endswith(suffixes)]
    return {str(f): f.read_text(encoding="utf-8", errors="surrogateescape") for f in found}


def _json(run: Run, *command: str) -> list[dict[str, Any]]:
    code, out, err = run(list(command))
    if code != 0:
        raise CannotRead(f"`{' '.join(command)}` failed: {err.strip()}")
    parsed: list[dict[str, Any]] = json.loads(out or "[]")
    return parsed
