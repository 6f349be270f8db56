"""What a machine knows when it boots first: its name, who may log in, its host key, the names of its NICs
and the management address. Nothing else; the rest is Ansible's work. Handed over as a tar archive through
QEMU's firmware configuration device, so that the machine has exactly the disks of the inventory.
"""

import io
import tarfile
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bedplate.twin.spec import Machine

USER = "twin"
USER_ID = 1000  # the image's first user, see files/customize.sh


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key: ``private`` in OpenSSH's format, ``public`` as one line without comment."""

    private: str
    public: str


def new_key() -> KeyPair:
    """A fresh key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return KeyPair(private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


def archive(machine: Machine, host_key: KeyPair, authorized: str) -> bytes:
    """The tar archive for ``machine``; ``authorized`` is the public key that may log in."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, (text, mode) in files(machine, host_key, authorized).items():
            body = text.encode()
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(body), mode
            if path.startswith("home/"):
                info.uid = info.gid = USER_ID
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def files(machine: Machine, host_key: KeyPair, authorized: str) -> dict[str, tuple[str, int]]:
    """Path (without leading slash) to text and mode."""
    links = {
        f"etc/systemd/network/10-{nic.name}.link": (
            f"[Match]\nPermanentMACAddress={nic.mac}\n\n[Link]\nName={nic.name}\n",
            0o644,
        )
        for nic in machine.nics
    }
    return (
        {
            "etc/hostname": (f"{machine.name}\n", 0o644),
            "etc/hosts": (f"127.0.0.1\tlocalhost\n127.0.1.1\t{machine.name}\n::1\tlocalhost\n", 0o644),
            f"home/{USER}/.ssh/authorized_keys": (f"{authorized} {USER}\n", 0o600),
            # The user's own service manager then starts once, not with every login.
            f"var/lib/systemd/linger/{USER}": ("", 0o644),
            "etc/ssh/ssh_host_ed25519_key": (host_key.private, 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": (f"{host_key.public}\n", 0o644),
        }
        | links
        | _network(machine)
    )


def _network(machine: Machine) -> dict[str, tuple[str, int]]:
    """As an installer leaves it. Number 90: any configuration with a lower number for the same NIC wins."""
    way = machine.management
    address = f"Address={way.interface}\nGateway={way.gateway}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    base = "etc/systemd/network/90-installer"
    if way.vlan is None:
        return {f"{base}.network": (f"[Match]\nName={way.nic}\n\n[Network]\n{address}", 0o644)}
    device = f"{way.nic}.{way.vlan}"
    return {
        f"{base}.network": (
            f"[Match]\nName={way.nic}\n\n[Network]\nVLAN={device}\nLinkLocalAddressing=no\n",
            0o644,
        ),
        f"{base}-vlan.netdev": (f"[NetDev]\nName={device}\nKind=vlan\n\n[VLAN]\nId={way.vlan}\n", 0o644),
        f"{base}-vlan.network": (f"[Match]\nName={device}\n\n[Network]\n{address}", 0o644),
    }
