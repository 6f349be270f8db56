"""Filters of role pki: revocations as a module wants them, metrics of a host, who may get a certificate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from bedplate.pki import request, store


def revoked_entries(folder: str, authority: int) -> list[dict[str, Any]]:
    """Entries of the revocation list of one authority, for community.crypto.x509_crl."""
    return [
        {
            "serial_number": int(entry["serial"], 16),
            "revocation_date": entry["date"],
            "reason": entry["reason"],
        }
        for entry in store.revoked(Path(folder))
        if entry["authority"] == authority
    ]


def request_problems(pem: str, wanted: Mapping[str, Any]) -> list[str]:
    """Why a request is not signed; nothing when it says exactly what was wanted."""
    return request.problems(pem, wanted)


def due_certificates(certificates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Certificates that the host asks for."""
    return [dict(one) for one in certificates if one["request"]]


def certificate_serial(pem: str) -> str:
    """Serial number of a certificate in hexadecimal digits."""
    return store.serial(pem)


def client_name(name: str) -> str:
    """The name itself, when a client may be called so."""
    if not store.CLIENT_NAME.fullmatch(name or ""):
        raise AnsibleFilterError(
            f"{name or 'nothing'} cannot name a client; write lower case letters, digits, dots and dashes,"
            " for example -e client=research-notebook"
        )
    return name


def certificate_metrics(ends: Sequence[Mapping[str, Any]], certificates: Sequence[Mapping[str, Any]]) -> str:
    """When what the host has ends, for node_exporter's textfile collector."""
    rows = [*ends, *({"kind": "certificate", **one} for one in certificates if one["end"])]
    lines = [
        "# HELP bedplate_certificate_end_seconds When a certificate, authority or revocation list ends.",
        "# TYPE bedplate_certificate_end_seconds gauge",
    ]
    for row in rows:
        lines.append(
            f'bedplate_certificate_end_seconds{{kind="{row["kind"]}",name="{row["name"]}"}} {row["end"]}'
        )
    return "\n".join(lines) + "\n"


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "client_name": client_name,
            "due_certificates": due_certificates,
            "certificate_metrics": certificate_metrics,
            "request_problems": request_problems,
            "revoked_entries": revoked_entries,
            "certificate_serial": certificate_serial,
        }
