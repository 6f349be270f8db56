"""A host and its authority: a certificate that openssl accepts, its own key, and no key of others."""

import os
import stat
import time
from pathlib import Path

import pytest
from shared.rerun import converge

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "pki"
PLACE = "/etc/bedplate/pki"
LIVE = f"{PLACE}/server/live"


def test_openssl_accepts_the_certificate_with_its_revocation_lists(host):
    host.check_output(f"awk '/BEGIN/ {{n++}} n == 2' {LIVE}/chain.pem >/tmp/intermediate.pem")
    said = host.check_output(
        f"openssl verify -x509_strict -purpose sslserver -crl_check_all -CRLfile {PLACE}/crl.pem"
        f" -CAfile {PLACE}/trust.pem -untrusted /tmp/intermediate.pem {LIVE}/chain.pem"
    )
    assert said == f"{LIVE}/chain.pem: OK"


def test_it_names_the_host_and_lives_sixty_days(host):
    name = host.check_output("hostname")
    said = host.check_output(
        f"openssl x509 -in {LIVE}/chain.pem -noout -subject -ext subjectAltName,extendedKeyUsage -enddate"
    )
    assert f"CN = {name}\n" in said and f"DNS:{name}, DNS:{name}.example.internal" in said
    assert "TLS Web Server Authentication" in said and "Client" not in said
    assert host.run(f"openssl x509 -in {LIVE}/chain.pem -noout -checkend {59 * 86400}").rc == 0
    assert host.run(f"openssl x509 -in {LIVE}/chain.pem -noout -checkend {61 * 86400}").rc == 1


def test_only_root_reads_the_key_and_it_is_the_certificates_own(host):
    assert host.file(f"{LIVE}/key.pem").mode == 0o600
    assert host.check_output(f"openssl pkey -in {LIVE}/key.pem -pubout") == host.check_output(
        f"openssl x509 -in {LIVE}/chain.pem -noout -pubkey"
    )


def test_the_hosts_key_never_came_to_the_controller(host):
    written = [file for file in FOLDER.rglob("*") if file.is_file() and "PRIVATE KEY" in file.read_text()]
    assert sorted(file.name for file in written) == ["intermediate.key", "root.key"]


def test_keys_of_the_authority_are_encrypted_private_and_on_no_host(host):
    for file in (FOLDER / "1").glob("*.key"):
        assert (
            "BEGIN ENCRYPTED PRIVATE KEY" in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600
        )
    keys = host.check_output(f"grep -rl 'PRIVATE KEY' {PLACE}")
    assert keys.splitlines() == [f"{PLACE}/server/{host.check_output(f'readlink {LIVE}')}/key.pem"]


def test_promtool_reads_the_metrics_and_they_are_the_certificates_end(host):
    metrics = host.file("/var/lib/node-exporter/textfile/pki.prom").content_string
    host.check_output("promtool check metrics </var/lib/node-exporter/textfile/pki.prom")
    found = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    kinds = {"authority": ("root-1", "intermediate-1"), "crl": ("root-1", "intermediate-1")}
    named = [(kind, name) for kind, names in kinds.items() for name in names] + [("certificate", "server")]
    keys = {f'bedplate_certificate_end_seconds{{kind="{k}",name="{n}"}}' for k, n in named}
    assert set(found) == keys
    end = int(found['bedplate_certificate_end_seconds{kind="certificate",name="server"}'])
    assert abs(end - time.time() - 60 * 86400) < 3600


def live(host):
    return host.check_output(f"readlink {LIVE}")


@pytest.fixture
def before(host):
    return live(host)


def test_a_run_in_between_renews_nothing_and_costs_few_tasks(host, before):
    result = converge()
    assert result.rc == 0 and result.changed == 0 and live(host) == before
    (tasks,) = result.tasks.values()
    print(f"tasks of a run that changes nothing: {tasks}")  # noqa: T201
    assert tasks <= 6, "facts, validation and four tasks"


def test_a_certificate_near_its_end_is_renewed_and_the_one_before_is_kept(host, before):
    ahead = converge(pki_renew_days=61, check=True)
    assert ahead.changed >= 1 and live(host) == before, "check mode only says so"
    result = converge(pki_renew_days=61)
    assert result.rc == 0, result.failures
    assert live(host) != before and host.file(f"{PLACE}/server/{before}/key.pem").exists
    assert host.run(f"cmp {LIVE}/key.pem {PLACE}/server/{before}/key.pem").rc == 1, "a new key, too"


def test_a_name_more_is_a_new_certificate(host, before):
    wanted = [
        {"name": "server", "common_name": "gw", "names": ["gw.example.internal"], "addresses": ["192.0.2.7"]}
    ]
    result = converge(pki_certificates=wanted)
    assert result.rc == 0, result.failures
    said = host.check_output(f"openssl x509 -in {LIVE}/chain.pem -noout -ext subjectAltName")
    assert "DNS:gw.example.internal, IP Address:192.0.2.7" in said and live(host) != before
    assert converge(pki_certificates=wanted).changed == 0


def test_a_cut_between_asking_and_signing_is_mended_with_the_key_that_waits(host):
    key = host.check_output(f"cat {LIVE}/key.pem")
    host.check_output(f"mv {LIVE}/key.pem {PLACE}/server/pending.pem && rm {PLACE}/server/live")
    result = converge()
    assert result.rc == 0, result.failures
    assert host.check_output(f"cat {LIVE}/key.pem") == key
    assert not host.file(f"{PLACE}/server/pending.pem").exists
    assert converge().changed == 0


def test_the_root_may_be_away_until_it_is_needed(host):
    key, away = FOLDER / "1/root.key", FOLDER.parent / "root.key"
    key.rename(away)
    try:
        result = converge(pki_renew_days=61)
        assert result.rc == 0, "signing a host's certificate needs the intermediate only"
        refused = converge(pki_days=2000)
        assert refused.rc != 0
        assert "bring 1/root.key back for one run" in refused.failures[0][2]
    finally:
        away.rename(key)


def test_what_cannot_be_a_name_is_refused_before_anything_is_made(host, before):
    wanted = [{"name": "server", "common_name": "gw", "names": ["a b"], "addresses": ["300.1.1.1"]}]
    refused = converge(pki_certificates=wanted)
    assert refused.rc != 0
    assert (
        "a b is no DNS name" in refused.failures[0][2] and "300.1.1.1 is no address" in refused.failures[0][2]
    )
    assert live(host) == before
