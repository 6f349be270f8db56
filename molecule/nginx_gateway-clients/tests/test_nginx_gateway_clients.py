"""Certificates are issued, revoked and their authority is exchanged, while a client never stops asking."""

import json
import os
import time
from pathlib import Path

import pytest

from bedplate.playbook import PlaybookResult, run

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
CLIENTS = FOLDER / "pki" / "clients"
ASK = """
import http.client, json, os, socket, ssl, sys, time
place, forever = sys.argv[1], len(sys.argv) > 2
while True:
    try:
        context = ssl.create_default_context(cafile=place + "/trust.pem")
        context.load_cert_chain(place + "/client.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", 8443)
        raw = socket.create_connection(("127.0.0.1", 8443), 5)
        connection.sock = context.wrap_socket(raw, server_hostname="ai.example.internal")
        connection.request("GET", "/health", headers={"Host": "ai.example.internal"})
        said = connection.getresponse().status
        connection.close()
    except OSError as error:
        said = str(error)
    print(json.dumps([time.time(), said]), flush=True)
    if not forever:
        break
    time.sleep(0.1)
"""


# The machine is called as its scenario, with a character that no name in a certificate has.
CERTIFICATES = [{"name": "server", "common_name": "ai.example.internal", "names": ["ai.example.internal"]}]


def play(name: str, **words: str) -> PlaybookResult:
    """One of the product's playbooks, for the scenario's machine as the only gateway."""
    result = run(
        FOLDER / "inventory",
        str(ROOT / "playbooks" / f"{name}.yml"),
        overlays=[ROOT / "molecule" / "shared" / "inventory.py", FOLDER / "gateways.yml"],
        extra=words | {"pki_certificates": CERTIFICATES},
    )
    assert result.rc == 0, result.failures
    return result


@pytest.fixture(scope="module", autouse=True)
def gateways(host):
    """The scenario's machine is in group gateways."""
    group = {"all": {"children": {"gateways": {"hosts": {host.backend.name: {}}}}}}
    (FOLDER / "gateways.yml").write_text(json.dumps(group))


@pytest.fixture(scope="module")
def give(host, carry):
    """Issues a certificate and brings it to where the client lives, in one piece: /clients/NAME/now."""
    host.check_output("mkdir -p /clients")
    host.check_output(f"echo '{ASK}' >/clients/ask.py")

    def to(client: str) -> str:
        play("issue_client", client=client)
        carry(CLIENTS / client, "/tmp")
        home, made = f"/clients/{client}", f"/clients/{client}/{time.time_ns()}"
        host.check_output(f"mkdir -p {home} && mv /tmp/{client} {made}")
        host.check_output(f"ln -s {made} {home}/next && mv -T {home}/next {home}/now")
        return f"{home}/now"

    return to


@pytest.fixture(scope="module")
def asking(host):
    """Starts a client who asks ten times a second; gives what it was answered."""
    started = []

    def start(client: str, place: str):
        log = f"/clients/{client}.log"
        output = f"--property=StandardOutput=file:{log}"
        host.check_output(f"systemd-run --unit={client} {output} python3 /clients/ask.py {place} on")
        started.append(client)
        return lambda: [json.loads(line) for line in host.check_output(f"cat {log}").splitlines()]

    yield start
    host.check_output(f"systemctl stop {' '.join(started)}")


@pytest.fixture(scope="module")
def asked(give, asking):
    """Answers to carol, whom nobody revokes: none may be lost."""
    return asking("carol", give("carol"))


def answer(host, place: str) -> object:
    return json.loads(host.check_output(f"python3 /clients/ask.py {place}"))[1]


def test_an_issued_client_is_known_at_once_and_a_revoked_one_refused(host, give, asked):
    mallory = give("mallory")
    assert answer(host, mallory) == 200
    play("revoke_client", client="mallory", reason="key_compromise")
    assert answer(host, mallory) == 401
    assert {said for _, said in asked()} == {200}


def test_a_list_works_within_seconds(host, give, asking):
    """From the moment that it lies on the gateway; the playbook itself takes as long as Ansible takes."""
    answers = asking("trudy", give("trudy"))
    play("revoke_client", client="trudy")
    time.sleep(1)
    written = float(host.check_output("stat -c %.Y /etc/bedplate/pki/crl.pem"))
    refused = min(at for at, said in answers() if said == 401)
    last = max(at for at, said in answers() if said == 200)
    print(f"refused {refused - written:.2f} s after the list was written")  # noqa: T201
    assert last < refused < written + 10


def test_the_authority_is_exchanged_and_no_request_is_lost(host, give, asked):
    old = give("dave")
    play("rotate_ca", step="begin")
    give("carol")  # gets the new trust; her certificate may still be the old authority's
    assert answer(host, old) == 200
    play("rotate_ca", step="switch")
    refused = run(
        FOLDER / "inventory",
        str(ROOT / "playbooks" / "rotate_ca.yml"),
        overlays=[ROOT / "molecule" / "shared" / "inventory.py", FOLDER / "gateways.yml"],
        extra={"step": "finish"},
    )
    assert refused.rc != 0 and "dave" in str(refused.failures), "dave still has the old authority's only"
    give("carol")
    assert answer(host, give("dave")) == 200
    play("rotate_ca", step="finish")
    answers = asked()
    wrong = [one for one in answers if one[1] != 200]
    print(f"{len(answers)} requests during the exchange of the authority, {len(wrong)} lost")  # noqa: T201
    assert not wrong and len(answers) > 100


def test_what_the_old_authority_signed_is_refused(host, give):
    first = host.check_output("ls -d /clients/dave/1* | head -1")
    host.check_output(f"cp /clients/carol/now/trust.pem {first}/trust.pem")
    assert answer(host, first) == 401
