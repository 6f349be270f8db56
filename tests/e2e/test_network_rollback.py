"""Wrong networks pushed to a machine of the twin: it comes back by itself, and says what was tried.

The controller reaches the machines over their own management network: what is wrong there really cuts it off.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from conftest import LabTwin

from bedplate import evidence, inventory, paths, playbook
from bedplate.playbook import Event, PlaybookResult
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine

INVENTORY = paths.INVENTORIES / "lab"
PLAYBOOK = str(paths.ROOT / "tests/e2e/playbooks/network.yml")
COMMAND = "pytest tests/e2e/test_network_rollback.py"
ROLLBACK_SECONDS = 40  # what a host waits for the controller; it then needs some seconds to go back
GOAL = 90
TASKS_BUDGET = 6
ARMED = "/var/lib/bedplate/safe_change/vlan_network/armed"

pytestmark = pytest.mark.long


@dataclass
class Site:
    """Two machines of the twin, one that is mistreated and one that is asked, and what the inventory says."""

    twin: Twin
    hosts: dict[str, inventory.Vars]
    seconds: list[float] = field(default_factory=list)

    @property
    def victim(self) -> str:
        return list(self.hosts)[-1]

    @property
    def machine(self) -> VirtualMachine:
        return self.twin.machine(self.victim)

    def network(self, **wanted: object) -> inventory.Vars:
        """The first network with these properties."""
        networks: list[inventory.Vars] = self.hosts[self.victim]["site_networks"]
        return next(n for n in networks if all(n.get(key) == value for key, value in wanted.items()))

    def networks(self, name: str, **changes: object) -> list[inventory.Vars]:
        """site_networks with one of them changed."""
        found = self.hosts[self.victim]["site_networks"]
        return [n | changes if n["name"] == name else n for n in found]

    def address(self, network: str, host: str = "") -> str:
        return str(self.hosts[host or self.victim]["vlan_network_addresses"][network])

    def apply(self, on_event: Callable[[Event], None] | None = None, **extra: object) -> PlaybookResult:
        """Run the role; with ``extra`` on the victim alone and with a short time to confirm."""
        limit = self.victim if extra else ""
        if extra:
            extra["vlan_network_rollback_seconds"] = ROLLBACK_SECONDS
        return playbook.run(
            INVENTORY,
            PLAYBOOK,
            overlays=[self.twin.overlay],
            limit=limit,
            extra=extra,
            on_event=on_event,
        )

    def refused(self, **extra: object) -> str:
        """Push something that must be taken back; the message. Remembers how long that took."""
        found: list[dict[str, float]] = []

        def watch(event: Event) -> None:
            if event["event"] == "runner_on_failed":
                found.append(event["event_data"]["res"])

        result = self.apply(on_event=watch, **extra)
        assert result.rc != 0
        assert found, result.output
        seconds = found[0].get("rollback_seconds")
        if seconds is not None:
            self.seconds.append(float(seconds))
        return result.failures[0][2]

    def state(self) -> str:
        """Files and devices of the victim, as far as they must be the same again."""
        vlans = "ip -d link show type vlan | grep -o 'id [0-9]*'"
        shown = f"cat /etc/systemd/network/*; ip -br address; ip route; {vlans}"
        return "\n".join(sorted(self.machine.ssh(shown, check=True).out.splitlines()))

    def ping(self, network: str, size: int) -> bool:
        other = self.address(network, next(iter(self.hosts)))
        return self.machine.ssh(f"ping -c 2 -W 5 -M do -s {size} {other}").code == 0


@pytest.fixture(scope="module")
def site(lab_twin: LabTwin) -> Iterator[Site]:
    """The network as the inventory says; at the end, the longest rollback becomes evidence."""
    site = Site(lab_twin.twin, inventory.load(INVENTORY).hosts)
    result = site.apply()
    assert result.rc == 0, result.output
    yield site
    if site.seconds:
        record(
            site,
            "network.rollback_seconds",
            "a host that a wrong network cut off is back",
            max(site.seconds),
            f"< {GOAL}",
        )


def record(site: Site, name: str, claim: str, value: float, goal: str = "", *, unit: str = "s") -> None:
    evidence.record(
        site.twin.environment,
        f"hosts.{name}",
        claim,
        value,
        unit=unit,
        goal=goal,
        proved_on="twin",
        command=COMMAND,
        machine={"accelerator": site.twin.accelerator},
    )


def test_vlans_carry_packets_of_the_full_mtu(site: Site) -> None:
    jumbo = site.network(mtu=9000)
    assert site.ping(jumbo["name"], 8972)
    assert not site.ping(jumbo["name"], 8973), "one byte more than the MTU must not fit"
    record(
        site,
        "network.full_frame_bytes",
        "packets of the full MTU pass between hosts on their VLAN",
        8972,
        ">= 8972",
        unit="B",
    )


def test_a_second_run_changes_nothing(site: Site) -> None:
    result = site.apply()
    assert (result.rc, result.changed) == (0, 0), result.output
    assert max(result.tasks.values()) <= TASKS_BUDGET


def test_a_wrong_vlan_id_on_the_data_link(site: Site) -> None:
    before, jumbo = site.state(), site.network(mtu=9000)
    said = site.refused(site_networks=site.networks(jumbo["name"], vlan=jumbo["vlan"] + 1))
    peer = site.address(jumbo["name"], next(iter(site.hosts)))
    assert f"peer {peer} on {jumbo['name']} answered before or must answer now, and did not" in said, said
    assert site.state() == before
    assert site.ping(jumbo["name"], 8972)


def test_a_wrong_gateway_on_the_management_link(site: Site) -> None:
    before, management = site.state(), site.network(zone="management")
    wrong = management["gateway"].rsplit(".", 1)[0] + ".253"  # .254 is the name server of the twin
    said = site.refused(site_networks=site.networks(management["name"], gateway=wrong))
    assert f"gateway {wrong}" in said
    assert site.address(management["name"]) in said, "what came back is named"
    assert site.state() == before


def test_a_wrong_address_on_the_management_link_cuts_the_controller_off_and_comes_back(site: Site) -> None:
    before, name = site.state(), site.network(zone="management")["name"]
    addresses = site.hosts[site.victim]["vlan_network_addresses"]
    wrong = addresses[name].rsplit(".", 1)[0] + ".99"
    said = site.refused(vlan_network_addresses=addresses | {name: wrong}, vlan_network_reconnect=wrong)
    assert "the controller could not come back" in said
    assert site.state() == before


def test_the_controllers_own_address_is_not_taken_away_by_mistake(site: Site) -> None:
    before, name = site.state(), site.network(zone="management")["name"]
    addresses = site.hosts[site.victim]["vlan_network_addresses"]
    wrong = addresses[name].rsplit(".", 1)[0] + ".99"
    said = site.refused(vlan_network_addresses=addresses | {name: wrong})
    assert f"address {addresses[name]}: the controller came in by it" in said
    assert site.state() == before


def test_a_reboot_while_the_change_waits_restores_the_old_network(site: Site) -> None:
    before, name = site.state(), site.network(zone="management")["name"]
    addresses = site.hosts[site.victim]["vlan_network_addresses"]
    wrong = addresses[name].rsplit(".", 1)[0] + ".99"
    machine, cut = site.machine, threading.Event()

    def power() -> None:
        """Cut the power once the machine no longer answers: the change is applied and nobody confirmed it."""
        while machine.ssh(f"sudo test ! -e {ARMED}", limit=60).code == 0:
            time.sleep(0.5)
        while machine.ssh("true", limit=20).code == 0:
            time.sleep(0.5)
        machine.power_cut()
        cut.set()
        machine.boot()

    watcher = threading.Thread(target=power)
    watcher.start()
    extra = {"vlan_network_addresses": addresses | {name: wrong}, "vlan_network_reconnect": wrong}
    # Longer than a boot takes: it is the boot that restores here, not the timer.
    result = playbook.run(
        INVENTORY,
        PLAYBOOK,
        overlays=[site.twin.overlay],
        limit=site.victim,
        extra=extra | {"vlan_network_rollback_seconds": 300},
    )
    watcher.join()
    assert cut.is_set()
    machine.wait()
    assert result.rc != 0
    assert "the host booted before the change was confirmed" in result.failures[0][2]
    assert site.state() == before
    assert site.apply().changed == 0
    record(
        site,
        "network.reboot_restores",
        "a boot before a change is confirmed restores the old network",
        True,
        unit="",
    )
