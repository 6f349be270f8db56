"""The folder of an authority on the controller: what lies there, read with `cryptography`.

authority.json          {"active": 1, "trusted": [1]}
passphrase, root-passphrase
1/root.{key,crt,crl}    1/intermediate.{key,crt,crl}
issued/SERIAL.crt       every certificate that was signed
revoked.json            [{serial, authority, name, date, reason}], serial in hexadecimal digits
clients/NAME/           what a client gets
"""

import json
import re
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from bedplate.errors import BedplateError
from bedplate.pki.plan import Crl, Generation
from bedplate.private_files import write_private

STATE, REVOKED, ISSUED = "authority.json", "revoked.json", "issued"
CLIENT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
REASONS = ("unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation")


@dataclass(frozen=True)
class State:
    """Which generation signs, and which are trusted."""

    active: int = 1
    trusted: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Issued:
    """One signed certificate; ``end`` and ``begin`` in seconds since the epoch."""

    serial: str
    name: str
    authority: int
    begin: float
    end: float
    usage: str
    pem: str


def state(folder: Path) -> State:
    """The state that is written down; a new folder begins with generation 1."""
    file = folder / STATE
    if not file.exists():
        return State()
    data = json.loads(file.read_text())
    return State(data["active"], tuple(data["trusted"]))


def write_state(folder: Path, new: State) -> None:
    """Write the state in one step."""
    write(folder / STATE, json.dumps({"active": new.active, "trusted": list(new.trusted)}) + "\n")


def write(file: Path, text: str) -> None:
    """A private file, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, text.encode())


def generation(folder: Path, number: int) -> Generation:
    """What lies in the folder of one generation. Raises BedplateError for a file that is none."""
    place = folder / str(number)
    root, ours = _certificate(place / "root.crt"), _certificate(place / "intermediate.crt")
    return Generation(
        root_end=root.not_valid_after_utc.timestamp() if root else None,
        root_key=(place / "root.key").exists(),
        root_crl=_crl(place / "root.crl"),
        intermediate_end=ours.not_valid_after_utc.timestamp() if ours else None,
        intermediate_key=(place / "intermediate.key").exists(),
        intermediate_ours=bool(root and ours and _signed(ours, root)),
        crl=_crl(place / "intermediate.crl"),
    )


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _certificate(file: Path) -> x509.Certificate | None:
    if not file.exists():
        return None
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise BedplateError(
            f"{file} is no certificate: {error}", remedy="restore it from its backup"
        ) from None


def _crl(file: Path) -> Crl | None:
    if not file.exists():
        return None
    try:
        found = x509.load_pem_x509_crl(file.read_bytes())
    except ValueError as error:
        raise BedplateError(f"{file} is no revocation list: {error}", remedy="remove it") from None
    end = found.next_update_utc
    return Crl(end.timestamp() if end else 0.0, frozenset(entry.serial_number for entry in found))


def revoked(folder: Path) -> list[dict[str, Any]]:
    """Every revocation, oldest first."""
    file = folder / REVOKED
    return list(json.loads(file.read_text())) if file.exists() else []


def revoked_serials(folder: Path) -> dict[int, frozenset[int]]:
    """Serials by generation."""
    found: dict[int, set[int]] = defaultdict(set)
    for entry in revoked(folder):
        found[entry["authority"]].add(int(entry["serial"], 16))
    return {number: frozenset(serials) for number, serials in found.items()}


def issued(folder: Path) -> list[Issued]:
    """Every certificate that was signed, by generation's own subject names; oldest first."""
    issuers = {
        bytes(cert.subject.public_bytes()): number
        for number in sorted(int(f.name) for f in folder.glob("[0-9]*") if f.name.isdigit())
        if (cert := _certificate(folder / str(number) / "intermediate.crt"))
    }
    entries = []
    for file in sorted((folder / ISSUED).glob("*.crt")):
        cert = _certificate(file)
        assert cert is not None
        entries.append(_entry(cert, issuers.get(bytes(cert.issuer.public_bytes()), 0)))
    return sorted(entries, key=lambda entry: entry.begin)


def _entry(cert: x509.Certificate, authority: int) -> Issued:
    names = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    usages = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    usage = "client" if x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usages else "server"
    return Issued(
        serial=f"{cert.serial_number:x}",
        name=str(names[0].value) if names else "",
        authority=authority,
        begin=cert.not_valid_before_utc.timestamp(),
        end=cert.not_valid_after_utc.timestamp(),
        usage=usage,
        pem=cert.public_bytes(serialization.Encoding.PEM).decode(),
    )


def valid(folder: Path, now: float | None = None) -> list[Issued]:
    """Certificates that have neither ended nor been revoked."""
    gone = {(entry["authority"], int(entry["serial"], 16)) for entry in revoked(folder)}
    moment = time.time() if now is None else now
    return [
        entry
        for entry in issued(folder)
        if entry.end > moment and (entry.authority, int(entry.serial, 16)) not in gone
    ]


def revoke(folder: Path, name: str, serial: str, reason: str) -> list[dict[str, Any]]:
    """Write down that a client's certificates (or the one with ``serial``) are revoked; what was added.

    Raises BedplateError when there is no such certificate: a slip of the pen must not look like a revocation.
    """
    if reason not in REASONS:
        raise BedplateError(f"{reason} is no reason", remedy=f"use one of {', '.join(REASONS)}")
    if not name and not serial:
        raise BedplateError("nobody is named", remedy="give -e client=NAME or -e serial=HEX")
    wanted = serial.lower().replace(":", "").lstrip("0")
    fits = [e for e in issued(folder) if (not name or e.name == name) and (not wanted or e.serial == wanted)]
    if not fits:
        known = sorted({e.name for e in valid(folder) if e.usage == "client"})
        raise BedplateError(
            f"no certificate of {name or 'serial ' + serial} was ever issued, nothing was revoked",
            remedy=f"clients with certificates: {', '.join(known) or 'none'}",
        )
    alive = {entry.serial for entry in valid(folder)}
    date = datetime.now(UTC).strftime("%Y%m%d%H%M%SZ")
    added = [
        {"serial": e.serial, "authority": e.authority, "name": e.name, "date": date, "reason": reason}
        for e in fits
        if e.serial in alive
    ]
    if added:
        write(folder / REVOKED, json.dumps([*revoked(folder), *added], indent=1) + "\n")
    return added


def bundle(folder: Path, names: tuple[str, ...], trusted: tuple[int, ...]) -> str:
    """Files of all trusted generations in one text; what is not there yet is left out."""
    files = [folder / str(number) / name for number in trusted for name in names]
    return "".join(file.read_text().strip() + "\n" for file in files if file.exists())


def ends(folder: Path, trusted: tuple[int, ...]) -> list[dict[str, Any]]:
    """When authorities and their lists end, for the metrics of a host."""
    rows: list[dict[str, Any]] = []
    for number in trusted:
        found = asdict(generation(folder, number))
        for name in ("root", "intermediate"):
            if found[f"{name}_end"]:
                rows.append(
                    {"kind": "authority", "name": f"{name}-{number}", "end": int(found[f"{name}_end"])}
                )
        for name, crl in (("root", found["root_crl"]), ("intermediate", found["crl"])):
            if crl:
                rows.append({"kind": "crl", "name": f"{name}-{number}", "end": int(crl["next_update"])})
    return rows


def serial(pem: str) -> str:
    """Serial number of a certificate in hexadecimal digits."""
    return f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:x}"
