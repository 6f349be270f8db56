"""Three control-plane hosts with one address of the API: real HAProxy and keepalived as the role configures
them, each host a network namespace. The API servers are stand-ins that answer health; what kubelets make of a
switch, and switches that learn slowly, are not shown.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import jinja2
import pytest

from bedplate import evidence, paths
from tests.kubernetes_standins import API_SERVER
from tests.namespaces import ip, space, switch

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("keepalived") or not shutil.which("haproxy"),
    reason="needs root for network namespaces, keepalived and haproxy",
)
COMMAND = "pytest tests/integration/test_kubernetes_address.py"
SHARED, PORT, API, HEALTH = "192.0.2.10", 8443, 6443, 8082
HOSTS = {"ctl1": "192.0.2.11", "ctl2": "192.0.2.12", "ctl3": "192.0.2.13"}
GOAL = 5  # seconds
CLIENT = f"""
import http.client, json, ssl, time
context = ssl._create_unverified_context()
while True:
    begun = time.time()
    try:
        connection = http.client.HTTPSConnection("{SHARED}", {PORT}, timeout=0.5, context=context)
        connection.request("GET", "/livez"); status = connection.getresponse().status; connection.close()
    except OSError:
        status = 0
    except http.client.HTTPException:
        status = 0
    print(json.dumps([time.time(), status]), flush=True)
    time.sleep(max(0, 0.05 - (time.time() - begun)))
"""


def rendered(template: str, host: str, judge: Path) -> str:
    """A template of the role for one host."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.ROLES / "kubernetes_control_plane/templates"),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    return environment.get_template(template).render(
        kubernetes_control_plane_shared={"address": SHARED},
        port_kubernetes_api_shared=PORT,
        port_kubernetes_api=API,
        port_kubernetes_balancer_health=HEALTH,
        __kubernetes_control_plane_network="cluster",
        __kubernetes_control_plane_shared_network={"name": "cluster", "subnet": "192.0.2.0/24"},
        __kubernetes_control_plane_device="net0",
        __kubernetes_control_plane_judge=str(judge),
        inventory_hostname=host,
        groups={"control_plane": list(HOSTS)},
        vlan_network_addresses={"cluster": HOSTS[host]},
        hostvars={name: {"vlan_network_addresses": {"cluster": at}} for name, at in HOSTS.items()},
    )


@dataclass
class Member:
    """One host: its namespace, its folder, and what runs there."""

    name: str
    space: str
    folder: Path
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, program: str) -> None:
        folder = self.folder
        command = {
            "api": [
                sys.executable,
                "-c",
                API_SERVER,
                HOSTS[self.name],
                str(API),
                str(folder.parent / "pair.pem"),
            ],
            "haproxy": ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")],
            "keepalived": ["keepalived", "-n", "-l", "-P", "-f", str(folder / "keepalived.conf")]
            + [f"--{kind}={folder / kind}" for kind in ("pid", "vrrp_pid")],
        }[program]
        with (folder / f"{program}.out").open("ab") as said:
            inside = ["ip", "netns", "exec", self.space, *command]
            made = subprocess.Popen(inside, stdout=said, stderr=said, start_new_session=True)
        self.running[program] = made

    def kill(self, program: str) -> None:
        os.killpg(self.running[program].pid, 9)

    def holds(self) -> bool:
        links = json.loads(subprocess.check_output(["ip", "-n", self.space, "-j", "address", "show"]))
        return any(a.get("local") == SHARED for link in links for a in link["addr_info"])


@dataclass
class Lan:
    """All members, the switch between them, and a client that never stops asking."""

    members: dict[str, Member]
    switch: str
    asked: Path

    def answers(self) -> list[tuple[float, int]]:
        lines = self.asked.read_text().splitlines()
        return [tuple(json.loads(line)) for line in lines if line.endswith("]")]

    def holder(self) -> Member:
        (found,) = [member for member in self.members.values() if member.holds()]
        return found

    def served(self, since: float, holder: str = "", seconds: float = 30) -> None:
        """Wait until the client has been answered for a second, with the address at ``holder``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            last = [status for at, status in self.answers() if at > max(since, time.time() - 1)]
            holders = [name for name, member in self.members.items() if member.holds()]
            if (
                len(last) > 3
                and set(last) == {200}
                and holders in ([holder], [holder] if holder else holders)
            ):
                return
            time.sleep(0.1)
        said = "".join(f.read_text()[-600:] for m in self.members.values() for f in m.folder.glob("*.out"))
        raise AssertionError(f"nobody serves the address: {said}")

    def silence(self, since: float) -> float:
        """The longest time between two answers since then, in seconds."""
        good = [at for at, status in self.answers() if status == 200]
        before = max((at for at in good if at <= since), default=since)
        return max(b - a for a, b in pairwise([before, *(at for at in good if at > since)]))


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    place = Path(tempfile.mkdtemp())
    place.chmod(0o711)  # keepalived's script runs as nobody, who must be let through
    pair = place / "pair.pem"
    subject = ["-subj", "/CN=stand-in", "-days", "1", "-nodes"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *subject]
    subprocess.run([*make, "-keyout", f"{pair}.key", "-out", pair], check=True, capture_output=True)
    pair.write_text(pair.read_text() + Path(f"{pair}.key").read_text())
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place)
        between = stack.enter_context(switch())
        members = {}
        for host, address in HOSTS.items():
            folder = place / host
            folder.mkdir()
            judge = folder / "api-well"
            for name in ("haproxy.cfg", "keepalived.conf"):
                (folder / name).write_text(rendered(f"{name}.j2", host, judge))
            judge.write_text(rendered("api-well.j2", host, judge))
            judge.chmod(0o755)
            members[host] = Member(host, stack.enter_context(space(host, between, address)), folder)
            for program in ("api", "haproxy", "keepalived"):
                members[host].start(program)
        asked, user = place / "asked", stack.enter_context(space("user", between, "192.0.2.20"))
        with asked.open("wb") as said:
            subprocess.Popen(["ip", "netns", "exec", user, sys.executable, "-c", CLIENT], stdout=said)
        made = Lan(members, between, asked)
        made.served(since=0)
        yield made


def proved(what: str, claim: str, seconds: float) -> None:
    evidence.record(
        "lab",
        f"kubernetes.address.{what}",
        claim,
        round(seconds, 2),
        unit="s",
        goal=f"< {GOAL}",
        proved_on="program",
        command=COMMAND,
    )
    assert seconds < GOAL


def test_an_api_server_dies_and_the_address_goes_on(lan: Lan) -> None:
    holder, since = lan.holder(), time.time()
    holder.kill("api")
    lan.served(since + 1)
    time.sleep(3)  # until every HAProxy has seen it, and a few seconds with two members
    proved(
        "server",
        "Nobody answers at the API's shared address after an API server was killed for",
        lan.silence(since),
    )
    assert lan.holder() is holder, "HAProxy there still reaches the others"
    holder.start("api")


def test_a_balancer_dies_and_another_host_has_the_address(lan: Lan) -> None:
    holder, since = lan.holder(), time.time()
    holder.kill("haproxy")
    lan.served(since + 1)
    proved("balancer", "The same after the HAProxy that had it was killed", lan.silence(since))
    taker = lan.holder()
    assert taker is not holder
    holder.start("haproxy")
    time.sleep(4)
    assert lan.holder() is taker, "who comes back does not ask for the address again"


def test_a_host_is_cut_off_and_another_has_the_address(lan: Lan) -> None:
    holder, since = lan.holder(), time.time()
    ip("-n", lan.switch, "link", "set", f"to-{holder.name}", "down")
    taker = next(name for name in HOSTS if name != holder.name)
    deadline = time.monotonic() + 30
    while not lan.members[taker].holds() and time.monotonic() < deadline:
        taker = next((n for n, m in lan.members.items() if m is not holder and m.holds()), taker)
        time.sleep(0.1)
    time.sleep(3)
    proved("host", "The same after the host that had it was cut off", lan.silence(since))
    ip("-n", lan.switch, "link", "set", f"to-{holder.name}", "up")
    lan.served(time.time(), seconds=30)


def test_nobody_claims_the_address_when_no_api_server_is_ready(lan: Lan) -> None:
    for member in lan.members.values():
        member.kill("api")
    deadline = time.monotonic() + 20
    while any(m.holds() for m in lan.members.values()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(member.holds() for member in lan.members.values())
    since = time.time()
    for member in lan.members.values():
        member.start("api")
    lan.served(since)
