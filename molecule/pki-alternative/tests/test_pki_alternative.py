"""An authority with the user's passphrases; a host with two certificates, a service that reads them."""

import os
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from shared.rerun import converge

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "authority"
PLACE = "/etc/bedplate/pki"
WORDS = {"root": b"another horse", "intermediate": b"correct horse battery staple"}


@pytest.mark.parametrize("name", WORDS)
def test_the_users_passphrases_open_the_keys_and_none_is_made(name):
    key = load_pem_private_key((FOLDER / f"1/{name}.key").read_bytes(), WORDS[name])
    assert isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    assert list(FOLDER.glob("*passphrase*")) == []


def test_both_certificates_are_for_what_they_are_for(host):
    said = host.check_output(
        f"openssl x509 -in {PLACE}/server/live/chain.pem -noout -text -ext subjectAltName,extendedKeyUsage"
    )
    assert "IP Address:2001:DB8:0:0:0:0:0:1" in said and "ASN1 OID: secp384r1" in said
    shipping = f"{PLACE}/shipping/live/chain.pem"
    said = host.check_output(f"openssl x509 -in {shipping} -noout -ext extendedKeyUsage")
    assert "TLS Web Client Authentication" in said and "Server" not in said
    assert host.run(f"openssl x509 -in {shipping} -noout -checkend {21 * 86400}").rc == 1


def test_the_group_reads_its_key_and_nobody_else_does(host):
    key = host.file(f"{PLACE}/shipping/live/key.pem")
    assert (key.mode, key.group) == (0o640, "adm")
    assert host.run(f"su -s /bin/sh nobody -c 'cat {PLACE}/shipping/live/key.pem'").rc != 0


def test_lists_end_when_it_says(host):
    for name, days in (("root", 90), ("intermediate", 12)):
        found = x509.load_pem_x509_crl((FOLDER / f"1/{name}.crl").read_bytes())
        assert (found.next_update_utc - found.last_update_utc).days == days


def reloads(host):
    return int(host.check_output("cat /run/reloads 2>/dev/null | wc -l"))


def reloaded(host, before):
    deadline = time.monotonic() + 30
    while reloads(host) == before and time.monotonic() < deadline:
        time.sleep(1)
    return reloads(host) > before


def test_the_service_is_reloaded_when_a_certificate_changes_and_only_then(host):
    before = reloads(host)
    assert converge().changed == 0
    time.sleep(5)
    assert reloads(host) == before
    result = converge(pki_renew_days=21)
    assert result.rc == 0, result.failures
    assert reloaded(host, before)


def test_a_list_that_a_cut_run_wrote_is_told_all_the_same(host):
    time.sleep(3)  # whatever the test before this one set off
    before = reloads(host)
    host.check_output(f"cp -a {PLACE}/crl.pem {PLACE}/new && mv {PLACE}/new {PLACE}/crl.pem")
    assert reloaded(host, before)
