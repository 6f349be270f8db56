"""Certificates of a host: why one is due, and how it is asked for. Pure, standard library only.

A wanted certificate is ``{name, common_name, names, addresses, usage}``; an observed one is
``{chain, names, end, key_fits, mode, group}`` or None where there is none. Times are seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from ipaddress import ip_address
from typing import Any

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")
DNS = re.compile(
    r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
USAGES = {"server": "serverAuth", "client": "clientAuth"}
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
COMMON_NAME_LENGTH = 64  # RFC 5280, ub-common-name


def refusals(wanted: list[dict[str, Any]]) -> list[str]:
    """What cannot be meant."""
    wrong = []
    for one in wanted:
        if not NAME.fullmatch(one["name"]):
            wrong.append(
                f"certificate {one['name']}: write the name in lower case, at most 31 letters and digits"
            )
        if not one["common_name"] or len(one["common_name"]) > COMMON_NAME_LENGTH:
            wrong.append(f"certificate {one['name']}: the common name has 1 to {COMMON_NAME_LENGTH} letters")
        if not one["names"] and not one["addresses"]:
            wrong.append(f"certificate {one['name']}: it names nobody; give names or addresses")
        wrong += [
            f"certificate {one['name']}: {n} is no DNS name" for n in one["names"] if not DNS.fullmatch(n)
        ]
        wrong += [
            f"certificate {one['name']}: {a} is no address" for a in one["addresses"] if not _address(a)
        ]
    names = [one["name"] for one in wanted]
    wrong += [
        f"certificate {name}: it is there twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    return wrong


def reasons(
    wanted: Mapping[str, Any], found: Mapping[str, Any] | None, issuer: str, renew_days: int, now: float
) -> list[str]:
    """Why the certificate is due; nothing where it may stay. ``issuer`` is the PEM that must follow it."""
    return list(_reasons(wanted, found, issuer, renew_days, now))


def _reasons(
    wanted: Mapping[str, Any], found: Mapping[str, Any] | None, issuer: str, renew_days: int, now: float
) -> Iterator[str]:
    if found is None:
        yield "there is none"
        return
    left = (found["end"] - now) / 86400
    if left <= renew_days:
        yield f"it ends in {left:.1f} days"
    if not found["key_fits"]:
        yield "its key is not the one beside it"
    if issuer and blocks(issuer) != blocks(found["chain"])[1:]:
        yield "another authority signs now"
    if found["names"] != wished(wanted):
        yield "its names are others"


def wished(wanted: Mapping[str, Any]) -> list[str]:
    """Names as ``DNS:…`` and ``IP Address:…``, sorted."""
    names = [f"DNS:{name}" for name in wanted["names"]]
    return sorted([*names, *(f"IP:{_address(address)}" for address in wanted["addresses"])])


def named(text: str) -> list[str]:
    """The same from the words of ``openssl x509 -ext subjectAltName``."""
    line = next((line for line in text.splitlines() if re.match(r"\s+(DNS|IP Address):", line)), "")
    parts = [part.strip().split(":", 1) for part in line.split(",") if ":" in part]
    return sorted(
        f"IP:{_address(value)}" if kind == "IP Address" else f"{kind}:{value}" for kind, value in parts
    )


def end(text: str) -> float:
    """Seconds since the epoch from ``notAfter=Nov 23 12:00:00 2026 GMT``."""
    words = re.search(r"notAfter=(.+) GMT", text)
    if not words:
        return 0.0
    moment = datetime.strptime(words[1], "%b %d %H:%M:%S %Y")
    return moment.replace(tzinfo=timezone.utc).timestamp()  # noqa: UP017  Python 3.9 has no datetime.UTC


def blocks(text: str) -> list[str]:
    """Certificates of a PEM text, one by one."""
    return _PEM.findall(text)


def request_config(wanted: Mapping[str, Any]) -> str:
    """What ``openssl req -config`` reads; names were checked by ``refusals``."""
    names = [f"DNS.{i} = {name}" for i, name in enumerate(wanted["names"], 1)]
    names += [f"IP.{i} = {_address(address)}" for i, address in enumerate(wanted["addresses"], 1)]
    lines = [
        "[req]",
        "prompt = no",
        "utf8 = yes",
        "distinguished_name = subject",
        "req_extensions = extensions",
        "[subject]",
        f"CN = {wanted['common_name']}",
        "[extensions]",
        "basicConstraints = critical, CA:FALSE",
        "keyUsage = critical, digitalSignature",
        f"extendedKeyUsage = {USAGES[wanted['usage']]}",
        "subjectAltName = @names",
        "[names]",
        *names,
    ]
    return "\n".join(lines) + "\n"


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
