"""A key and a certificate for a service inside the cluster. The certificate vouches for itself: clients are
given it and trust nothing else, so there is no authority whose key could be lost."""

import datetime
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=825)  # what strict clients take at most; `bedplate secrets --rotate` renews it
SKEW = datetime.timedelta(minutes=5)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def bundle(names: Sequence[str], *, life: datetime.timedelta = LIFE) -> str:
    """PEM: the private key (PKCS #8), then the certificate, for these DNS names (``*.``: any one label)."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # A subject of its own: of two with one subject in a file of trust, OpenSSL tries the first alone.
    own = x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{serial:x}")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0]), own])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (private + certificate.public_bytes(serialization.Encoding.PEM)).decode()


def certificates(text: str) -> list[str]:
    """Every certificate of a PEM text, and nothing else of it, whatever its order."""
    return [found + "\n" for found in _CERTIFICATE.findall(text)]
