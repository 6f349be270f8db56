"""A package source with its key. Pure: bytes and text in, text out.

A key is known by its fingerprint (RFC 4880, 12.2: SHA-1 over the public key packet), computed here because a
freshly installed host has gpgv, which verifies, and not gpg, which shows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

KEYRINGS = "/etc/apt/keyrings"
SOURCES = "/etc/apt/sources.list.d"
_PUBLIC_KEY = 6  # packet tags, RFC 4880 4.3
_V4 = 4
_NEW_FORMAT, _TAG_FLAG = 0x40, 0x80
_ONE_OCTET, _TWO_OCTETS, _FIVE_OCTETS = 192, 224, 255  # limits of new-format lengths


@dataclass(frozen=True)
class Source:
    """A package source. ``key`` is an armoured key, or the address from which one is read."""

    name: str
    url: str
    suite: str = "/"
    components: tuple[str, ...] = ()
    key: str = ""
    fingerprint: str = ""

    @property
    def keyring(self) -> str:
        """Where the key lies on the host."""
        return f"{KEYRINGS}/{self.name}.gpg"

    @property
    def file(self) -> str:
        """Where the source is written on the host."""
        return f"{SOURCES}/{self.name}.sources"

    @property
    def key_is_text(self) -> bool:
        """The key itself was given, not its address."""
        return "-----BEGIN PGP" in self.key


class NotAKey(ValueError):
    """The bytes are no OpenPGP public key."""


def render(source: Source) -> str:
    """The source as deb822. A suite that ends in a slash is a flat repository, which has no components."""
    lines = ["# Written by Bedplate.", "Types: deb", f"URIs: {source.url}", f"Suites: {source.suite}"]
    if source.components:
        lines.append(f"Components: {' '.join(source.components)}")
    lines.append(f"Signed-By: {source.keyring}" if source.key or source.fingerprint else "")
    return "\n".join(line for line in lines if line) + "\n"


def dearmoured(data: bytes) -> bytes:
    """A key as apt's keyrings hold it. Raises NotAKey."""
    if not data.lstrip().startswith(b"-----BEGIN PGP"):
        return data
    found = re.search(
        rb"-----BEGIN PGP[^\n]*-----\r?\n(?:[^\n]*:[^\n]*\n)*\r?\n(.*?)\n(?:=|-----END)", data, re.S
    )
    if not found:
        raise NotAKey("the key's armour is damaged")
    return base64.b64decode(re.sub(rb"\s", b"", found[1]))


def fingerprints(keyring: bytes) -> list[str]:
    """Fingerprints of the primary keys of a keyring, forty hexadecimal digits each. Raises NotAKey."""
    found = []
    try:
        for tag, body in _packets(keyring):
            if tag == _PUBLIC_KEY and body[:1] == bytes([_V4]):
                framed = b"\x99" + len(body).to_bytes(2, "big") + body
                found.append(hashlib.sha1(framed).hexdigest().upper())  # noqa: S324  it is the format's
    except (IndexError, OverflowError):
        raise NotAKey("the key is cut off or damaged") from None
    if not found:
        raise NotAKey("there is no public key in it")
    return found


def wrong_key(source: Source, keyring: bytes) -> str:
    """Why this keyring is not the source's, or nothing."""
    try:
        found = fingerprints(keyring)
    except NotAKey as error:
        return str(error)
    wanted = plain(source.fingerprint)
    if wanted and found != [wanted]:
        return f"the key has fingerprint {', '.join(found)}, and {wanted} is wanted"
    return ""


def plain(fingerprint: str) -> str:
    """A fingerprint without the spaces that people write."""
    return re.sub(r"[\s:]", "", fingerprint).upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of every packet."""
    place = 0
    while place < len(data):
        head = data[place]
        if not head & _TAG_FLAG:
            raise NotAKey("it is not an OpenPGP keyring")
        if head & _NEW_FORMAT:
            tag, (length, place) = head & 0x3F, _new_length(data, place + 1)
        else:
            tag, octets = (head >> 2) & 0x0F, 1 << (head & 3)
            length = int.from_bytes(data[place + 1 : place + 1 + octets], "big")
            place += 1 + octets
        if place + length > len(data):
            raise NotAKey("the key is cut off or damaged")
        yield tag, data[place : place + length]
        place += length


def _new_length(data: bytes, place: int) -> tuple[int, int]:
    """Length of a new-format packet, and where its body begins."""
    first = data[place]
    if first < _ONE_OCTET:
        return first, place + 1
    if first < _TWO_OCTETS:
        return ((first - _ONE_OCTET) << 8) + data[place + 1] + _ONE_OCTET, place + 2
    if first == _FIVE_OCTETS:
        return int.from_bytes(data[place + 1 : place + 5], "big"), place + 5
    raise NotAKey("a public key does not come in parts")
