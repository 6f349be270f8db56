"""Two gateways with one address: real keepalived and nginx, each pair in a network namespace of its own.

Shows how long nobody answers when nginx dies, and when a whole gateway goes. Switches that learn slowly are
not shown.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from bedplate import evidence
from bedplate.gateway.lab import NAME, Lab
from bedplate.gateway.render import rendered
from tests.namespaces import ip, space, switch

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("keepalived") or not shutil.which("nginx"),
    reason="needs root for network namespaces, keepalived and nginx",
)
COMMAND = "pytest tests/integration/test_gateway_takeover.py"
SHARED, PORT, HEALTH = "192.0.2.10", 8443, 8081
HOSTS = {"one": "192.0.2.11", "two": "192.0.2.12"}
USER = "192.0.2.20"
GOAL = 5  # seconds
CLIENT = f"""
import json, socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[1])
context.load_cert_chain(sys.argv[2])
while True:
    begun = time.time()
    try:
        raw = socket.create_connection(("{SHARED}", {PORT}), 0.5)
        with context.wrap_socket(raw, server_hostname="{NAME}") as connection:
            connection.sendall(b"GET /health HTTP/1.1\\r\\nHost: {NAME}\\r\\nConnection: close\\r\\n\\r\\n")
            status = int(connection.recv(4096).split()[1])
    except OSError:
        status = 0
    print(json.dumps([time.time(), status]), flush=True)
    time.sleep(max(0, 0.05 - (time.time() - begun)))
"""


@dataclass
class Gateway:
    """One host: ``space`` is its network namespace, ``lab`` its certificates and nginx's configuration."""

    name: str
    space: str
    folder: Path
    lab: Lab
    nginx: subprocess.Popen[bytes] | None = None
    keepalived: subprocess.Popen[bytes] | None = None

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command[0]}.out").open("ab") as said:
            inside = ["ip", "netns", "exec", self.space, *command]
            return subprocess.Popen(inside, stdout=said, stderr=said, start_new_session=True)

    def start_nginx(self) -> None:
        self.nginx = self.run("nginx", "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;")

    def start_keepalived(self) -> None:
        place = self.folder / "keepalived.conf"
        pids = [f"--{kind}={self.folder / kind}" for kind in ("pid", "vrrp_pid")]
        self.keepalived = self.run("keepalived", "-n", "-l", "-P", "-f", str(place), *pids)

    def holds(self) -> bool:
        """Whether the shared address is here."""
        command = ["ip", "-n", self.space, "-j", "address", "show"]
        links = json.loads(subprocess.check_output(command))
        return any(a.get("local") == SHARED for link in links for a in link["addr_info"])

    def write(self) -> None:
        """nginx's and keepalived's configuration, as the role renders them."""
        self.lab.configure(
            nginx_gateway_listen=[f"0.0.0.0:{PORT}"],
            __nginx_gateway_health=f"127.0.0.1:{HEALTH}",
            nginx_gateway_groups=[{"name": "people", "clients": ["alice"], "rate": 1000, "burst": 1000}],
            nginx_gateway_upstreams=[{"name": "self", "servers": [{"address": f"127.0.0.1:{HEALTH}"}]}],
            nginx_gateway_routes=[{"path": "/health", "upstream": "self", "groups": ["people"]}],
        )
        judge = self.folder / "gateway-well"
        values = {
            "__nginx_gateway_health": f"127.0.0.1:{HEALTH}",
            "__nginx_gateway_judge": str(judge),
            "__nginx_gateway_device": "net0",
            "nginx_gateway_shared": {"network": "business", "address": f"{SHARED}/24"},
            "nginx_gateway_peers": list(HOSTS),
            "inventory_hostname": self.name,
            "vlan_network_addresses": {"business": HOSTS[self.name]},
            "hostvars": {n: {"vlan_network_addresses": {"business": a}} for n, a in HOSTS.items()},
        }
        judge.write_text(rendered("gateway-well.j2", values))
        judge.chmod(0o755)
        (self.folder / "keepalived.conf").write_text(rendered("keepalived.conf.j2", values))


@dataclass
class Pair:
    """Both gateways, the switch between them, and a client that never stops asking."""

    gateways: dict[str, Gateway]
    switch: str
    asked: Path

    def answers(self) -> list[tuple[float, int]]:
        lines = self.asked.read_text().splitlines()
        return [tuple(json.loads(line)) for line in lines if line.endswith("]")]

    def holders(self) -> list[str]:
        return [name for name, one in self.gateways.items() if one.holds()]

    def until(self, holder: str, since: float, seconds: float = 30) -> None:
        """Wait until ``holder`` alone has the address and the client was answered for a second."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            last = [status for at, status in self.answers() if at > max(since, time.time() - 1)]
            if self.holders() == [holder] and len(last) > 3 and set(last) == {200}:
                return
            time.sleep(0.1)
        said = (self.gateways[holder].folder / "keepalived.out").read_text()[-2000:]
        raise AssertionError(f"{holder} does not serve the address: {said}")

    def silence(self, since: float) -> float:
        """The longest time between two answers since then."""
        good = [at for at, status in self.answers() if status == 200]
        before = max((at for at in good if at <= since), default=since)
        return max(b - a for a, b in pairwise([before, *(at for at in good if at > since)]))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # keepalived's script runs as nobody, who must be let through
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        place = Path(name)
        place.chmod(0o711)
        lan = stack.enter_context(switch())
        first = Lab(place / "one")
        gateways = {}
        for host, address in HOSTS.items():
            lab = first if host == "one" else Lab(place / host)
            lab.root, lab.intermediate, lab.trusted = first.root, first.intermediate, first.trusted
            lab.renew()
            lab.write_trust()
            made = Gateway(host, stack.enter_context(space(host, lan, address)), place / host, lab)
            made.write()
            made.start_nginx()
            made.start_keepalived()
            gateways[host] = made
        (place / "root.pem").write_bytes(first.root.pem())
        asked, user = place / "asked", stack.enter_context(space("user", lan, USER))
        inside = ["ip", "netns", "exec", user, "python3", "-c", CLIENT]
        with asked.open("wb") as said:
            subprocess.Popen([*inside, str(place / "root.pem"), str(first.client("alice"))], stdout=said)
        found = Pair(gateways, lan, asked)
        found.until("one", since=0)
        yield found


def proved(what: str, claim: str, seconds: float) -> None:
    evidence.record(
        "lab",
        f"gateway.takeover.{what}",
        claim,
        round(seconds, 2),
        unit="s",
        goal=f"< {GOAL}",
        proved_on="program",
        command=COMMAND,
    )
    assert seconds < GOAL


def test_one_gateway_has_the_address(pair: Pair) -> None:
    assert pair.holders() == ["one"]


def test_nginx_dies_and_the_other_gateway_answers(pair: Pair) -> None:
    one, since = pair.gateways["one"], time.time()
    assert one.nginx
    os.killpg(one.nginx.pid, 9)
    pair.until("two", since)
    proved("service", "Nobody answers at the shared address after nginx was killed for", pair.silence(since))
    since = time.time()
    one.start_nginx()
    pair.until("one", since)
    proved("back", "The same while the address goes back to the first gateway", pair.silence(since))


def test_a_gateway_loses_its_network_and_the_other_answers(pair: Pair) -> None:
    since = time.time()
    ip("-n", pair.switch, "link", "set", "to-one", "down")
    pair.until("two", since)
    proved(
        "host", "Nobody answers at the shared address after its gateway was cut off for", pair.silence(since)
    )
    since = time.time()
    ip("-n", pair.switch, "link", "set", "to-one", "up")
    pair.until("one", since)
