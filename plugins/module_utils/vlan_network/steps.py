"""The steps of a plan, and the steps that take them back."""

from __future__ import annotations

from .model import BOND, NETPLAN, NIC, VLAN, Action, Device
from .situation import VIRTUAL, Situation

ORDER = (NIC, BOND, VLAN)


def forward(case: Situation, touched: tuple[str, ...], files_change: bool) -> tuple[Action, ...]:
    """What to run once the new files are in place. A VLAN cannot be larger than what it stands on, so MTU
    grows from below and shrinks from above.
    """
    steps: list[Action] = [_generate()] if case.desired.backend == NETPLAN and files_change else []
    steps += [_rename(old, new) for new, old in case.nics.items() if old != new]
    steps += [_delete(name) for name in case.removed]
    steps += _mtu(case)
    if not case.observed.networkd:
        start = ("systemctl", "enable", "--now", "systemd-networkd.service")
        steps.append(Action("start systemd-networkd", (start,)))
    if steps or files_change or touched:
        steps.append(_read_again(restart=bool(case.removed)))
    kept = {d.name for d in case.desired.devices if case.kept(d)}
    return (*steps, *_reconfigure([name for name in touched if name in kept]))


def backward(case: Situation, touched: tuple[str, ...]) -> tuple[Action, ...]:
    """What to run once the old files are back: what is new goes, what was is as it was."""
    steps: list[Action] = [_generate()] if case.desired.backend == NETPLAN else []
    new = [d.name for d in case.desired.devices if d.kind in VIRTUAL and not case.kept(d)]
    steps += [_delete(name) for name in reversed(new)]
    steps += [_rename(new_name, old) for new_name, old in case.nics.items() if old != new_name]
    for device in sorted(case.desired.devices, key=_height, reverse=True):
        live = case.kept(device)
        if live is not None and live.mtu != device.mtu:
            steps.append(_set_mtu(live.name, device.mtu, live.mtu))
    below = {case.observed.devices[name].parent for name in case.removed}
    below |= {member for name in case.removed for member in case.members(name)}
    again = dict.fromkeys([*(case.now(name) for name in touched), *sorted(below)])
    there = [name for name in again if name in case.observed.devices and name not in case.removed]
    return (*steps, _read_again(restart=bool(new)), *_reconfigure(there))


def _mtu(case: Situation) -> list[Action]:
    """MTU of devices that stay: VLANs that shrink, what is below them, VLANs that grow."""
    steps: list[tuple[int, Action]] = []
    for device in sorted(case.desired.devices, key=_height):
        live = case.kept(device)
        if live is None or live.mtu == device.mtu:
            continue
        turn = 1 if device.kind != VLAN else 2 if device.mtu > live.mtu else 0
        steps.append((turn, _set_mtu(device.name, live.mtu, device.mtu)))
    return [step for _, step in sorted(steps, key=lambda entry: entry[0])]


def _height(device: Device) -> int:
    return ORDER.index(device.kind)


def _generate() -> Action:
    return Action("let netplan write the files of systemd-networkd", (("netplan", "generate"),), boot=True)


def _rename(old: str, new: str) -> Action:
    down, rename = ("ip", "link", "set", "dev", old, "down"), ("ip", "link", "set", "dev", old, "name", new)
    return Action(f"rename NIC {old} to {new}", (down, rename), boot=True)


def _delete(name: str) -> Action:
    return Action(f"remove device {name}", (("ip", "link", "delete", "dev", name),))


def _set_mtu(name: str, old: int, new: int) -> Action:
    command = ("ip", "link", "set", "dev", name, "mtu", str(new))
    return Action(f"set MTU of {name} from {old} to {new}", (command,))


def _read_again(*, restart: bool) -> Action:
    """A removed device must be made from its new file, and on a reload systemd-networkd 250 to 256 makes a
    VLAN with the id that it knew (github.com/systemd/systemd/issues/34907). A restart leaves devices that
    stay, and their addresses, as they are: they are configured one by one after it.
    """
    if restart:
        return Action("restart systemd-networkd", (("systemctl", "restart", "systemd-networkd.service"),))
    return Action("reload systemd-networkd", (("networkctl", "reload"),))


def _reconfigure(names: list[str]) -> tuple[Action, ...]:
    if not names:
        return ()
    return (Action(f"configure {', '.join(names)} anew", (("networkctl", "reconfigure", *names),)),)
