"""When an authority signs anew and when it asks for its root; when a host's certificate is due; what is never
signed; and the steps of a rotation."""

from pathlib import Path
from typing import Any

import pki_certificate
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bedplate.errors import BedplateError
from bedplate.pki import request, rotation
from bedplate.pki.plan import DAY, Crl, Generation, Policy, plan
from bedplate.pki.store import State

POLICY = Policy(root_days=3650, intermediate_days=1095, leaf_days=60, crl_days=30, root_crl_days=365)
NOW = 1_800_000_000.0
SOUND = Generation(
    root_end=NOW + 3000 * DAY,
    root_key=True,
    root_crl=Crl(NOW + 300 * DAY, frozenset()),
    intermediate_end=NOW + 900 * DAY,
    intermediate_key=True,
    crl=Crl(NOW + 20 * DAY, frozenset()),
)


def changed(**change: Any) -> Generation:
    return Generation(**{**vars(SOUND), **change})


@pytest.mark.parametrize(
    ("has", "revoked", "wanted"),
    [
        (Generation(), set(), ["root", "intermediate", "root_crl", "crl"]),
        (SOUND, set(), []),
        (changed(crl=Crl(NOW + 10 * DAY, frozenset())), set(), ["crl"]),
        (changed(crl=Crl(NOW + 11 * DAY, frozenset())), set(), []),
        (SOUND, {7}, ["crl"]),
        (changed(crl=Crl(NOW + 20 * DAY, frozenset({7}))), {7}, []),
        (changed(crl=None), set(), ["crl"]),
        (changed(root_crl=Crl(NOW + 121 * DAY, frozenset())), set(), ["root_crl"]),
        (changed(intermediate_end=NOW + 59 * DAY), set(), ["intermediate"]),
        (changed(intermediate_end=NOW + 119 * DAY), set(), ["intermediate"]),
        (changed(intermediate_end=NOW + 121 * DAY), set(), []),
        (changed(intermediate_ours=False), set(), ["intermediate"]),
    ],
)
def test_what_is_made(has: Generation, revoked: set[int], wanted: list[str]) -> None:
    found = plan((1,), {1: has}, {1: frozenset(revoked)}, POLICY, NOW)
    assert [action.what for action in found.actions] == wanted and not found.refusals


@pytest.mark.parametrize(
    ("has", "refused"),
    [
        (changed(root_key=False), 0),
        (changed(root_key=False, intermediate_end=NOW + 50 * DAY), 1),
        (changed(root_key=False, root_crl=None), 1),
        (changed(root_key=False, root_crl=Crl(NOW - 1, frozenset())), 1),
        (changed(intermediate_key=False, crl=None), 1),
    ],
)
def test_a_key_that_is_away_is_asked_for_only_when_it_is_needed(has: Generation, refused: int) -> None:
    assert len(plan((1,), {1: has}, {}, POLICY, NOW).refusals) == refused


def test_what_will_need_the_root_is_said_before_it_must() -> None:
    has = changed(root_key=False, root_crl=Crl(NOW + 100 * DAY, frozenset()))
    found = plan((1,), {1: has}, {}, POLICY, NOW)
    assert (found.actions, found.refusals) == ((), ()) and "bring 1/root.key back" in found.warnings[0]


WANTED = {"name": "server", "common_name": "gw", "names": ["gw.example"], "addresses": ["192.0.2.1"]}
LEAF, ISSUER = (f"-----BEGIN CERTIFICATE-----\n{x}\n-----END CERTIFICATE-----\n" for x in ("leaf", "issuer"))
FOUND = {
    "chain": LEAF + ISSUER,
    "names": ["DNS:gw.example", "IP:192.0.2.1"],
    "end": NOW + 40 * DAY,
    "key_fits": True,
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"end": NOW + 19 * DAY}, "ends in 19.0 days"),
        ({"end": NOW - DAY}, "ends in -1.0 days"),
        ({"key_fits": False}, "its key"),
        ({"chain": LEAF + LEAF}, "another authority"),
        ({"names": ["DNS:gw.example"]}, "its names"),
    ],
)
def test_why_a_certificate_is_due(change: dict[str, Any], why: str) -> None:
    reasons = pki_certificate.reasons(WANTED, FOUND | change, ISSUER, 20, NOW)
    assert len(reasons) == bool(why) and why in "".join(reasons)


def test_what_openssl_says_is_read() -> None:
    said = """notAfter=Jan  5 12:00:00 2027 GMT
X509v3 Subject Alternative Name:
    DNS:gw.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1
"""
    assert pki_certificate.named(said) == ["DNS:gw.example", "IP:192.0.2.1", "IP:2001:db8::1"]
    assert pki_certificate.end(said) == 1799150400.0


def csr(
    name: str = "alice",
    key: Any = None,
    usage: Any = ExtendedKeyUsageOID.CLIENT_AUTH,
    *more: x509.ExtensionType,
) -> str:
    made = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    for extension in (x509.ExtendedKeyUsage([usage]), *more):
        made = made.add_extension(extension, critical=False)
    signed = made.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
ALICE = {"common_name": "alice", "usage": "client"}
SIGNS = x509.KeyUsage(True, False, False, False, False, True, False, False, False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (csr(), ""),
        (csr("root"), "its subject is CN=root"),
        (csr("alice", rsa.generate_private_key(65537, 2048)), "RSA of at least 3072"),
        (csr("alice", ec.generate_private_key(ec.SECP192R1())), "its key"),
        (csr("alice", None, ExtendedKeyUsageOID.SERVER_AUTH), "usage is not just that of a client"),
        (csr("alice", None, CLIENT, x509.BasicConstraints(True, None)), "to be an authority"),
        (csr("alice", None, CLIENT, SIGNS), "to sign certificates"),
        (csr("alice", None, CLIENT, x509.SubjectAlternativeName([x509.DNSName("root")])), "its names"),
        (csr("alice", None, CLIENT, x509.OCSPNoCheck()), "asks for extension"),
        ("nothing", "no certificate request"),
    ],
)
def test_what_is_signed(text: str, why: str) -> None:
    problems = request.problems(text, ALICE)
    assert len(problems) == bool(why) and why in "".join(problems)


def test_a_rotation_goes_step_by_step(tmp_path: Path) -> None:
    now = State()
    with pytest.raises(BedplateError, match="no step"):
        rotation.next_state(now, "start")
    now = rotation.next_state(now, "begin")
    assert now == State(1, (1, 2)) == rotation.next_state(now, "begin")
    with pytest.raises(BedplateError, match="authority 1 still signs"):
        rotation.next_state(now, "finish")
    now = rotation.next_state(now, "switch")
    assert now == State(2, (1, 2))
    assert rotation.next_state(now, "finish") == State(2, (2,))
