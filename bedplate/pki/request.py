"""What a request for a certificate may say: exactly what the inventory says, whoever sends it.

A request comes from a host or a client; either may be broken into. So nothing of it is taken on trust: names,
usage and constraints must be those that were asked for, and nothing else may be among its extensions.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CURVES = ("secp256r1", "secp384r1")
SMALLEST_RSA = 3072
USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
_KNOWN = (x509.SubjectAlternativeName, x509.KeyUsage, x509.ExtendedKeyUsage, x509.BasicConstraints)


def problems(pem: str, wanted: Mapping[str, Any]) -> list[str]:
    """What is wrong with a request; ``wanted`` is {common_name, names, addresses, usage}."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
    except ValueError:
        return ["this is no certificate request in PEM"]
    if not request.is_signature_valid:
        return ["whoever made the request does not have its key"]
    return [*_subject(request, wanted), *_key(request), *_extensions(request, wanted)]


def _subject(request: x509.CertificateSigningRequest, wanted: Mapping[str, Any]) -> Iterator[str]:
    subject = [(attribute.oid, attribute.value) for attribute in request.subject]
    if subject != [(NameOID.COMMON_NAME, wanted["common_name"])]:
        yield f"its subject is {request.subject.rfc4514_string()}, not CN={wanted['common_name']}"


def _key(request: x509.CertificateSigningRequest) -> Iterator[str]:
    key = request.public_key()
    strong = (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= SMALLEST_RSA
    )
    if not strong:
        yield f"its key is neither P-256, P-384 nor RSA of at least {SMALLEST_RSA} bits"


def _extensions(request: x509.CertificateSigningRequest, wanted: Mapping[str, Any]) -> Iterator[str]:
    for extension in request.extensions:
        if not isinstance(extension.value, _KNOWN):
            yield f"it asks for extension {extension.oid.dotted_string}"
        elif isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            yield "it asks to be an authority"
        elif isinstance(extension.value, x509.KeyUsage) and (
            extension.value.key_cert_sign or extension.value.crl_sign
        ):
            yield "it asks to sign certificates"
    usages = _value(request, x509.ExtendedKeyUsage)
    if usages is None or list(usages) != [USAGES[wanted["usage"]]]:
        yield f"its extended key usage is not just that of a {wanted['usage']}"
    if _names(request) != _wished(wanted.get("names", ()), wanted.get("addresses", ())):
        yield "its names are not those of the inventory"


def _value(request: x509.CertificateSigningRequest, kind: type[Any]) -> Any:
    try:
        return request.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(request: x509.CertificateSigningRequest) -> set[tuple[str, str]]:
    found = _value(request, x509.SubjectAlternativeName) or ()
    return {(type(name).__name__, str(name.value)) for name in found}


def _wished(names: Sequence[str], addresses: Sequence[str]) -> set[tuple[str, str]]:
    return {("DNSName", name) for name in names} | {
        ("IPAddress", str(ip_address(address))) for address in addresses
    }
