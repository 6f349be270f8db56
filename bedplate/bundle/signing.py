"""Who vouches for a bundle: one Ed25519 key of the builder, whose public half every site is given.

The signature is raw (64 bytes), so that anybody can check it without Bedplate:
``openssl pkeyutl -verify -pubin -inkey bundle.pub -rawin -in manifest.json -sigfile manifest.json.sig``.
"""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError
from bedplate.private_files import write_private

PASSPHRASE = "BEDPLATE_BUNDLE_PASSPHRASE"  # noqa: S105 - the name of the variable, not what it holds
_OTHERS = 0o077


def private_key(path: Path) -> Ed25519PrivateKey:
    """The builder's key, made on first use: encrypted where PASSPHRASE is set, always mode 0600.

    Raises BedplateError for a key that others can read, for a wrong passphrase and for another kind of key.
    """
    phrase = os.environ.get(PASSPHRASE, "").encode() or None
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, _pem(Ed25519PrivateKey.generate(), phrase))
    if path.stat().st_mode & _OTHERS:
        raise BedplateError(
            f"others can read the signing key {path}", remedy=f"chmod 600 {path}", code=BAD_INPUT
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), phrase)
    except (ValueError, TypeError) as error:
        raise BedplateError(
            f"the signing key {path} cannot be opened: {error}",
            remedy=f"set {PASSPHRASE} to its passphrase, or unset it for a key without one",
            code=BAD_INPUT,
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BedplateError(f"{path} is no Ed25519 key", remedy="name another file", code=BAD_INPUT)
    return key


def _pem(key: Ed25519PrivateKey, phrase: bytes | None) -> bytes:
    how = serialization.BestAvailableEncryption(phrase) if phrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half, as a site is given it."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def public_key(path: Path) -> Ed25519PublicKey:
    """A public key from a PEM file. Raises BedplateError where there is none in it."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BedplateError(
            f"{path} holds no public key: {error}",
            remedy="name the bundle.pub that the builder gave you, by another way than the bundle",
            code=BAD_INPUT,
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BedplateError(
            f"{path} is no Ed25519 key", remedy="name the builder's bundle.pub", code=BAD_INPUT
        )
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 over the raw public key, in groups that people can read to each other."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    digest = hashlib.sha256(raw).hexdigest()[:32]
    return " ".join(digest[i : i + 4] for i in range(0, len(digest), 4))


def check(key: Ed25519PublicKey, signature: bytes, text: bytes) -> None:
    """Raises BedplateError when ``text`` was not signed by this key."""
    try:
        key.verify(signature, text)
    except InvalidSignature:
        raise BedplateError(
            f"the manifest was not signed by the key {fingerprint(key)}, or was changed since",
            remedy="ask the builder which fingerprint bundle.pub has; if it is this, bring the bundle anew",
            code=VERDICT_NO,
        ) from None
