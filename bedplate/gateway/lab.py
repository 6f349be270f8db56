"""A gateway on 127.0.0.1 for the bench and the tests: real nginx, the role's configuration, an authority of
its own that lives as long as its folder."""

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bedplate.errors import BedplateError
from bedplate.gateway.render import ROLE, configuration
from bedplate.ports import free_ports

NAME = "gateway.example.internal"
PEM = serialization.Encoding.PEM
Key = Any  # any kind of private key that cryptography has
DIGESTS: dict[str, hashes.SHA256 | hashes.SHA384] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}
USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass
class Authority:
    """Something that signs; without ``issuer`` a root. ``revoked`` are serials on its list."""

    name: str
    issuer: "Authority | None" = None
    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    revoked: list[int] = field(default_factory=list)
    crl_days: float = 10

    def __post_init__(self) -> None:
        """Its certificate."""
        self.certificate = (self.issuer or self).sign(self.name, self.key, authority=True, days=400)

    def sign(
        self,
        name: str,
        key: Key,
        *,
        authority: bool = False,
        usage: str | None = "client",
        begin: float = -1,
        days: float = 30,
        digest: Literal["sha256", "sha384"] = "sha256",
        extra: Sequence[x509.Extension[Any]] = (),
        others: Sequence[str] = (),
    ) -> x509.Certificate:
        """A certificate; ``begin`` in days from now. A server has ``name``, ``others`` and 127.0.0.1."""
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        made = (
            x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begin))
            .not_valid_after(now + timedelta(days=begin + days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if usage and not authority:
            made = made.add_extension(x509.ExtendedKeyUsage([USAGES[usage]]), critical=False)
        if usage == "server":
            names = [x509.DNSName(one) for one in (name, *others)]
            here = x509.IPAddress(ip_address("127.0.0.1"))
            made = made.add_extension(x509.SubjectAlternativeName([*names, here]), critical=False)
        for extension in extra:
            made = made.add_extension(extension.value, extension.critical)
        return made.sign(self.key, DIGESTS[digest])

    def crl(self) -> bytes:
        """Its revocation list."""
        now = datetime.now(UTC)
        made = x509.CertificateRevocationListBuilder(
            issuer_name=self.certificate.subject,
            last_update=now - timedelta(days=30),
            next_update=now + timedelta(days=self.crl_days),
        )
        for serial in self.revoked:
            entry = x509.RevokedCertificateBuilder(
                serial_number=serial, revocation_date=now - timedelta(hours=1)
            )
            made = made.add_revoked_certificate(entry.build())
        return made.sign(self.key, hashes.SHA256()).public_bytes(PEM)

    def pem(self) -> bytes:
        """Its certificate in PEM."""
        return self.certificate.public_bytes(PEM)


def write_pair(file: Path, key: Key, certificates: Sequence[x509.Certificate]) -> Path:
    """Key and certificates in one file, as curl, ab and Python read them."""
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + b"".join(one.public_bytes(PEM) for one in certificates))
    return file


class Lab:
    """The gateway in ``folder``; ``values`` are the role's variables. Use it as a context."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.folder, self.values = folder, values
        self.port, self.health = free_ports(2)
        self.root = Authority("Lab root")
        self.intermediate = Authority("Lab intermediate", self.root)
        self.trusted = [self.root, self.intermediate]
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("certificate", "temporary", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def client(self, name: str, **change: Any) -> Path:
        """A file with key, certificate and intermediate of a client."""
        key = change.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
        certificate = self.intermediate.sign(name, key, **change)
        return write_pair(self.folder / f"{name}.pem", key, [certificate, self.intermediate.certificate])

    def renew(self) -> None:
        """A new key and certificate of the gateway."""
        key = ec.generate_private_key(ec.SECP256R1())
        name, *others = self.values.get("nginx_gateway_names", [NAME])
        own = self.intermediate.sign(name, key, usage="server", others=others)
        chain = [own, self.intermediate.certificate]
        place = self.folder / "certificate"
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (place / "key.pem").write_bytes(secret)
        (place / "chain.pem").write_bytes(b"".join(one.public_bytes(PEM) for one in chain))

    def write_trust(self) -> None:
        """Whom the gateway trusts, and who is revoked."""
        (self.folder / "trust.pem").write_bytes(b"".join(one.pem() for one in self.trusted))
        (self.folder / "crl.pem").write_bytes(b"".join(one.crl() for one in self.trusted))

    def configure(self, **change: Any) -> Path:
        """The role's configuration for this folder."""
        self.values |= change
        places = {
            "nginx_gateway_names": [NAME],
            "nginx_gateway_listen": [f"127.0.0.1:{self.port}"],
            "nginx_gateway_certificate": str(self.folder / "certificate"),
            "nginx_gateway_trust": str(self.folder / "trust.pem"),
            "nginx_gateway_crl": str(self.folder / "crl.pem"),
            "__nginx_gateway_script": str(ROLE / "files" / "audit.js"),
            "__nginx_gateway_user": "root" if os.geteuid() == 0 else "",
            "__nginx_gateway_pid": str(self.folder / "nginx.pid"),
            "__nginx_gateway_logs": str(self.folder / "logs"),
            "nginx_gateway_audit_log": str(self.folder / "logs" / "audit.log"),
            "__nginx_gateway_temporary": str(self.folder / "temporary"),
            "__nginx_gateway_health": f"127.0.0.1:{self.health}",
        }
        file = self.folder / "nginx.conf"
        file.write_text(configuration(places | self.values))
        return file

    def __enter__(self) -> "Lab":
        """Start it, and wait until it answers."""
        self.renew()
        self.write_trust()
        self.start(self.configure())
        return self

    def start(self, file: Path) -> None:
        """Start nginx. Raises BedplateError with what it says when it does not."""
        command = ["nginx", "-c", str(file), "-p", str(self.folder), "-g", "daemon off;"]
        said = (self.folder / "nginx.out").open("wb")
        self.process = subprocess.Popen(command, stdout=said, stderr=said)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        words = (self.folder / "nginx.out").read_text()
        raise BedplateError(f"nginx did not start: {words}", remedy="apt install nginx libnginx-mod-http-js")

    def reload(self) -> None:
        """As the unit does it: asked first, then told. Raises BedplateError when nginx refuses."""
        asked = subprocess.run(
            ["nginx", "-t", "-q", "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode != 0 or self.process is None:
            raise BedplateError(f"nginx refuses its configuration: {asked.stderr.strip()}")
        self.process.send_signal(signal.SIGHUP)

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def context(self, pair: Path | None, **change: Any) -> ssl.SSLContext:
        """A client's TLS with ``pair`` as its certificate."""
        made = ssl.create_default_context(cadata=self.root.pem().decode())
        for name, value in change.items():
            setattr(made, name, value)
        if pair:
            made.load_cert_chain(pair)
        return made

    def connect(self, pair: Path | None, name: str = NAME, **change: Any) -> ssl.SSLSocket:
        """An open connection."""
        raw = socket.create_connection(("127.0.0.1", self.port), 30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context(pair, **change).wrap_socket(raw, server_hostname=name)

    def audit(self) -> list[str]:
        """Lines of the audit log."""
        return (self.folder / "logs" / "audit.log").read_text().splitlines()
