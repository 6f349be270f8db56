"""What shall be and what is, held against each other: which NIC is which, whose files and devices stand in
the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from . import observe
from .model import BOND, NIC, VLAN, Desired, Device, Live, Observed
from .render import bond_options

VIRTUAL = (BOND, VLAN)


@dataclass(frozen=True)
class Situation:
    """One host: devices as desired and as observed."""

    desired: Desired
    observed: Observed

    @cached_property
    def nics(self) -> dict[str, str]:
        """Our NICs by the inventory's name: what the kernel calls them now. Missing ones are left out."""
        by_mac = {live.mac: live.name for live in self.observed.devices.values() if live.kind == NIC}
        return {d.name: by_mac[d.mac] for d in self.desired.devices if d.kind == NIC and d.mac in by_mac}

    def now(self, name: str) -> str:
        """What the kernel calls our device ``name`` now."""
        return self.nics.get(name, name)

    def live(self, device: Device) -> Live | None:
        """Our device as it is, or None."""
        return self.observed.devices.get(self.now(device.name))

    def kept(self, device: Device) -> Live | None:
        """Our device as it is, unless it is missing or will be removed and made anew."""
        live = self.live(device)
        return None if live is None or live.name in self.removed else live

    def identities(self, device: Device) -> set[str]:
        """Every word by which a file can mean ``device``."""
        return {device.name, device.mac, self.now(device.name)} - {""}

    @cached_property
    def stacked(self) -> tuple[str, ...]:
        """Bonds of nothing but our NICs, and VLANs on those or our NICs, that the inventory does not name."""
        base = set(self.nics.values())
        found = [b.name for b in self._live(BOND) if self.members(b.name) and self.members(b.name) <= base]
        found += [v.name for v in self._live(VLAN) if v.parent in base | set(found)]
        return tuple(name for name in found if self.desired.device(name) is None)

    def members(self, bond: str) -> set[str]:
        """Names of the devices that belong to ``bond`` now."""
        return {live.name for live in self.observed.devices.values() if live.master == bond}

    @cached_property
    def replaced(self) -> tuple[str, ...]:
        """Files of the same back end that ours replace: all that they configure is ours or stands on it."""
        ours = {word for d in self.desired.devices for word in self.identities(d)} | set(self.stacked)
        return tuple(
            path
            for path, claimed in sorted(self.observed.claims.items())
            if claimed and not self.is_ours(path) and all(claim in ours for claim in claimed)
        )

    @cached_property
    def removed(self) -> tuple[str, ...]:
        """Virtual devices to remove, VLANs before bonds: ours that are no longer wanted or must be made anew,
        those of replaced files, and VLANs whose bond goes.
        """
        ours = [path for path in self.observed.files if self.is_ours(path)]
        defined = {claim for path in (*self.replaced, *ours) for claim in self.observed.claims.get(path, ())}
        found: set[str] = set()
        for live in self._live(*VIRTUAL):
            device = self.desired.device(live.name)
            if live.name in defined if device is None else not self._is_made_as(device, live):
                found.add(live.name)
        found |= {v.name for v in self._live(VLAN) if v.parent in found and self._is_known(v.name)}
        return tuple(sorted(found, key=lambda name: (self.observed.devices[name].kind != VLAN, name)))

    def is_ours(self, path: str) -> bool:
        """Whether this role writes the file ``path``."""
        return observe.is_ours(path, self.desired.backend)

    def _is_known(self, name: str) -> bool:
        return self.desired.device(name) is not None or name in self.stacked

    def _live(self, *kinds: str) -> list[Live]:
        return [live for live in self.observed.devices.values() if live.kind in kinds]

    def _is_made_as(self, device: Device, live: Live) -> bool:
        """Whether what can only be set when a device is made is as desired."""
        if device.kind != live.kind:
            return True  # not ours: refused
        if device.kind == VLAN:
            return device.vlan == live.vlan and live.parent == self.now(device.parent)
        return all(live.bond.get(option, value) == value for option, value in bond_options(device).items())
