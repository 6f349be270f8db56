"""The check and the planners on the hosts agree: what passes the one is not refused by the other as words."""

import pytest
from storage_tiers import layout, model, wish
from vlan_network.wish import wish as network_wish

from bedplate.check import storage
from tests.inventory_samples import base

ENVIRONMENTS = ["lab", "staging", "production"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_network_planner_refuses_nothing(environment: str) -> None:
    for host, values in base(environment).hosts.items():
        _, refusals = network_wish(
            "networkd",
            nics=values["hardware_nics"],
            networks=values["site_networks"],
            links=values["vlan_network_links"],
            addresses=values["vlan_network_addresses"],
            routes=[],
            dns=[],
        )
        assert refusals == [], host


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_storage_planner_understands_every_tier(environment: str) -> None:
    for values in base(environment).hosts.values():
        tiers = wish.tiers(values.get("storage_tiers", []))
        assert [tier.name for tier in tiers] == [tier["name"] for tier in values.get("storage_tiers", [])]


def test_levels_need_as_many_disks_in_both() -> None:
    assert storage.SMALLEST == model.SMALLEST


@pytest.mark.parametrize("level", storage.SMALLEST)
def test_usable_capacity_is_the_same_in_both(level: int) -> None:
    for count in range(storage.SMALLEST[level], 25):
        assert storage.data_disks(level, count) == layout.data_disks(level, count)


@pytest.mark.parametrize("name", ["hot", "a", "x" * 18, "x" * 19, "Hot", "hot-", "-hot", "hot_1", ""])
def test_tier_names_are_the_same_in_both(name: str) -> None:
    assert bool(storage._TIER_NAME.fullmatch(name)) == bool(wish.NAME.fullmatch(name))
