"""Squid itself, configured as for Dify's sandbox and plugins: what it lets through and what it does not."""

import json
import shutil
import subprocess
import sys

import pytest

from ai_platform import squid
from bedplate import evidence, paths
from tests.proxy_run import CHANGING, INSIDE, METADATA, NAMES, OTHER, OWN, PUBLIC, REACHED

pytestmark = pytest.mark.skipif(
    not shutil.which("squid"), reason="squid is not installed (requirements-system.txt)"
)

ALLOWED = ("files.example", ".index.example")
OWN_NETWORK = "198.51.100.0/24"


def get(target: str, host: str = "files.example") -> str:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def tunnel(target: str) -> str:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"


PASSES = {
    "a host by name": get("http://files.example/"),
    "a host below a name": get("http://deep.index.example/"),
    "a tunnel to a host": tunnel("files.example:443"),
    "another Host header does not lead elsewhere": get("http://files.example/", METADATA),
}
REFUSED = {
    "a host that is not named": get("http://other.example/"),
    "its tunnel": tunnel("other.example:443"),
    "the address of a host instead of its name": get(f"http://{PUBLIC}/"),
    "an address whose reverse name is allowed": get(f"http://{OTHER}/"),
    "a private address": get(f"http://{INSIDE}/"),
    "the tunnel to it": tunnel(f"{INSIDE}:443"),
    "the metadata address": get(f"http://{METADATA}/latest/meta-data/"),
    "the tunnel to the metadata address": tunnel(f"{METADATA}:80"),
    "loopback": get("http://127.0.0.1/"),
    "localhost": get("http://localhost/"),
    "any address": get("http://0.0.0.0/"),
    "a decimal address": get("http://2852039166/"),
    "a hexadecimal address": get("http://0xa9fea9fe/"),
    "an octal address": get("http://0251.0376.0251.0376/"),
    "IPv6 loopback": get("http://[::1]/"),
    "IPv4 mapped into IPv6": get(f"http://[::ffff:{METADATA}]/"),
    "IPv4 behind NAT64": get("http://[64:ff9b::a9fe:a9fe]/"),
    "an allowed name with a private address": get("http://inside.index.example/"),
    "the tunnel to that": tunnel("inside.index.example:443"),
    "an allowed name with the metadata address": get("http://metadata.index.example/"),
    "an allowed name with a loopback address": get("http://loop.index.example/"),
    "an allowed name in the site's own public network": get("http://own.index.example/"),
    "a name before the address": get(f"http://files.example@{METADATA}/"),
    "a name after the address": get(f"http://{METADATA}/@files.example"),
    "another port": get("http://files.example:8080/"),
    "a tunnel to another port": tunnel("files.example:8443"),
    "a tunnel to SSH": tunnel("files.example:22"),
    "a tunnel without TLS": tunnel("files.example:80"),
    "the proxy's own management": get("/squid-internal-mgr/info", "127.0.0.1:3128"),
    "its management by URL": get("http://files.example/squid-internal-mgr/menu", "ssrf-proxy"),
}
REBINDING = [get(f"http://{CHANGING}/")] * 5


def run(config: str, requests: list[str]) -> list[str]:
    """What the real squid answers, in a network of its own."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.proxy_run"],
        cwd=paths.ROOT,
        input=json.dumps({"config": config, "requests": requests}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[str] = json.loads(done.stdout)
    return answers


def proved(name: str, claim: str, value: int, goal: str) -> None:
    evidence.record(
        "lab",
        f"data.dify.proxy.{name}",
        claim,
        value,
        unit="requests",
        goal=goal,
        proved_on="program",
        command="pytest tests/integration/test_dify_proxy.py",
    )


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """Answers to every case, then to the five of a name that changes its address."""
    config = squid.config(3128, ALLOWED, [OWN_NETWORK])
    found = run(config, [*PASSES.values(), *REFUSED.values(), *REBINDING])
    named = [*PASSES, *REFUSED, *(f"rebinding {n}" for n in range(len(REBINDING)))]
    return dict(zip(named, found, strict=True))


def test_allowed_hosts_are_reached_and_nothing_else_is(answers: dict[str, str]) -> None:
    reached = {name for name, answer in answers.items() if REACHED in answer}
    wrong = {name: answers[name] for name in REFUSED if name in reached or answers[name][:1] not in "45c"}
    proved("refused", "requests that squid with our rules should refuse and does not", len(wrong), "== 0")
    assert not wrong
    assert {name: answers[name] for name in PASSES} == dict.fromkeys(PASSES, f"200 {REACHED} {PUBLIC}")


def test_a_name_that_moves_inside_after_it_was_judged_stays_outside(answers: dict[str, str]) -> None:
    inside = [a for name, a in answers.items() if name.startswith("rebinding") and INSIDE in a]
    proved(
        "rebinding", "requests that reach the inside by a name that changed its address", len(inside), "== 0"
    )
    assert not inside
    assert answers["rebinding 0"] == f"200 {REACHED} {PUBLIC}"


def test_without_our_rules_the_same_requests_reach_the_inside() -> None:
    """The mutant: rules as Dify ships them, which let everything through to anywhere."""
    kept = [
        line
        for line in squid.config(3128, ALLOWED, []).splitlines()
        if not line.startswith(("acl private", "http_access deny private", "http_access deny all"))
    ]
    targets = ["a private address", "the metadata address", "an allowed name with a private address"]
    found = run("\n".join([*kept, "http_access allow all", ""]), [REFUSED[name] for name in targets])
    assert [answer.rpartition(" ")[2] for answer in found] == [INSIDE, METADATA, INSIDE]


def test_without_hosts_nothing_is_reached() -> None:
    assert not [a for a in run(squid.config(3128, (), ()), list(PASSES.values())) if REACHED in a]


def test_the_names_of_the_run_are_all_used() -> None:
    used = " ".join([*PASSES.values(), *REFUSED.values()])
    assert not [name for name in NAMES if name not in used]
    assert OWN.startswith(OWN_NETWORK.rpartition(".")[0])
