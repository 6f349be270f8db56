"""People log in at a real issuer (Dex, built from its published module) and use what a token says of them."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate import evidence
from bedplate.api.envoy import Issuer
from bedplate.api.lab import Lab, wait
from bedplate.errors import BedplateError
from bedplate.ports import free_port
from bedplate.tools import locate
from tests.api_site import QUESTION, ask, gateway
from tests.api_upstream import Model, model

CLIENT, SECRET, REDIRECT = "bedplate", "of-this-test", "http://127.0.0.1:1/callback"
SHORT = 20  # seconds that a token is good for


class Stay(urllib.request.HTTPRedirectHandler):
    """Stops where the browser would be handed back to the program that asked."""

    def redirect_request(self, *words: Any) -> Any:
        if words[-1].startswith(REDIRECT):
            raise Returned(words[-1])
        return super().redirect_request(*words)


class Returned(Exception):
    """The address with the code."""


def issuer(folder: Path, client: str, seconds: int) -> tuple[subprocess.Popen[bytes], str]:
    try:
        program = locate.require("issuer")["dex"]
    except BedplateError as error:
        pytest.skip(str(error))
    address = f"127.0.0.1:{free_port()}"
    log = folder / f"dex-{client}.log"
    with log.open("ab") as out:
        words = [str(program), address, client, SECRET, REDIRECT, str(seconds)]
        process = subprocess.Popen(words, stdout=out, stderr=out)
    wait(f"http://{address}/.well-known/openid-configuration", log)
    return process, f"http://{address}"


def log_in(url: str, client: str) -> str:
    """An ID token, by the code flow as a browser runs it."""
    wanted = {"client_id": client, "redirect_uri": REDIRECT, "response_type": "code"}
    query = urllib.parse.urlencode(wanted | {"scope": "openid email groups", "state": "x"})
    opener = urllib.request.build_opener(Stay, urllib.request.HTTPCookieProcessor())
    with pytest.raises(Returned) as returned:
        opener.open(f"{url}/auth?{query}", timeout=20)
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(str(returned.value)).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    form |= {"client_id": client, "client_secret": SECRET}
    with urllib.request.urlopen(f"{url}/token", urllib.parse.urlencode(form).encode(), timeout=20) as said:
        return str(json.load(said)["id_token"])


@pytest.fixture(scope="module")
def dex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = issuer(tmp_path_factory.mktemp("dex"), CLIENT, SHORT)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def lab(dex: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Model]]:
    told = Issuer(dex, CLIENT, f"{dex}/keys")
    with model() as made, gateway(tmp_path_factory.mktemp("api"), made, issuer=told) as running:
        yield running, made


def test_a_person_uses_what_the_group_may_until_the_token_ends(lab: tuple[Lab, Model], dex: str) -> None:
    running, made = lab
    port, token, begun = running.replicas[0].port, log_in(dex, CLIENT), time.monotonic()
    assert ask(port, QUESTION, token)[0] == 200
    assert ask(port, QUESTION | {"model": "secret"}, token)[0] == 404, "the group's role does not have it"
    assert token.encode() not in b"".join(made.raw)
    # The proxy allows a minute for clocks that differ (jwt_authn's clock_skew_seconds).
    while ask(port, QUESTION, token)[0] == 200:
        assert time.monotonic() - begun < SHORT + 75
        time.sleep(2)
    records = [r for r in running.replicas[0].records() if r.get("user") == "user:kilgore@kilgore.trout"]
    assert records and records[0]["group"] == "some"
    evidence.record(
        "lab",
        "api.people",
        "a person with a token of Dex uses what the group's role may, until the token has expired",
        value=True,
        goal="== 1",
        proved_on="program",
        command="pytest tests/integration/test_api_people.py",
    )


def test_a_token_that_was_changed_is_none(lab: tuple[Lab, Model], dex: str) -> None:
    port = lab[0].replicas[0].port
    head, payload, signature = log_in(dex, CLIENT).split(".")
    for wrong in (f"{head}.{payload}.", f"{head}.{payload[:-4]}AAAA.{signature}", f"{head}.{payload}"):
        assert ask(port, QUESTION, wrong)[0] == 401
    assert lab[1].seen == [] or all(ALG not in str(seen) for seen in lab[1].seen)


ALG = "eyJhbGci"


def test_a_token_for_another_program_or_of_another_issuer_is_none(
    lab: tuple[Lab, Model], tmp_path: Path
) -> None:
    process, url = issuer(tmp_path, "another", SHORT)
    try:
        assert ask(lab[0].replicas[0].port, QUESTION, log_in(url, "another"))[0] == 401
    finally:
        process.terminate()
        process.wait(10)


def test_a_group_without_a_role_may_nothing(lab: tuple[Lab, Model], dex: str) -> None:
    running, _ = lab
    right = running.policy["groups"]
    running.policy["groups"] = {"editors": "some"}
    running.write()
    token, deadline = log_in(dex, CLIENT), time.monotonic() + 15
    while (
        status := ask(running.replicas[0].port, QUESTION, token)[0]
    ) == 200 and time.monotonic() < deadline:
        time.sleep(0.3)
    running.policy["groups"] = right
    running.write()
    assert status == 403
