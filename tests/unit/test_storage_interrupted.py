"""A run cut short at any point converges when run again: on a model of a host, at every action, in every
state that
a cut in the middle of an action can leave, with and without udev assembling arrays at boot."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_samples import COLD, HOT, SCRATCH, SETTINGS, WARM, disks, host
from storage_tiers.model import Tier
from storage_tiers.plan import Plan, plan
from storage_world import World, carry_out, cut_states, essence, reboot

SETS: dict[str, tuple[Tier, ...]] = {
    "raid5": (HOT,),
    "raid1 encrypted": (WARM,),
    "raid1": (COLD,),
    "raid0": (SCRATCH,),
    "raid0 of one disk": (Tier("one", 0, "/srv/one", 1, "nvme"),),
    "raid6": (Tier("big", 6, "/srv/big", 4, "hdd"),),
    "raid10 encrypted": (Tier("db", 10, "/srv/db", 4, "nvme", encrypt=True),),
    "three tiers": (HOT, WARM, COLD),
}
ROUNDS = 5


def fresh(tiers: tuple[Tier, ...]) -> World:
    """A host with exactly the disks that the tiers ask for, all empty."""
    return World(host(*(disks(t.kind, t.count, f"{t.name}-") for t in tiers)))


def planned(world: World, tiers: tuple[Tier, ...]) -> Plan:
    """The plan, which must not refuse."""
    wanted = plan(tiers, world.host, SETTINGS)
    assert not wanted.refusals, "\n".join(map(str, wanted.refusals))
    return wanted


def converged(world: World, tiers: tuple[Tier, ...]) -> World:
    """The world after as many runs as one module run makes rounds; the last plan is empty."""
    for _ in range(ROUNDS):
        wanted = planned(world, tiers)
        if not wanted.actions:
            return world
        for action in wanted.actions:
            world = carry_out(world, action)
    raise AssertionError(f"still to do after {ROUNDS} rounds: {planned(world, tiers).lines}")


def cuts(world: World, tiers: tuple[Tier, ...]) -> list[World]:
    """Every state that cutting the next round can leave."""
    states = []
    for action in planned(world, tiers).actions:
        states += [world, *cut_states(world, action)]
        world = carry_out(world, action)
    return [*states, world]


@pytest.mark.parametrize("tiers", SETS.values(), ids=SETS)
def test_second_plan_is_empty(tiers):
    done = converged(fresh(tiers), tiers)
    assert planned(done, tiers).actions == ()
    assert {point for _, point in done.host.mounts} == {t.mount for t in tiers}


@pytest.mark.parametrize("udev", [True, False], ids=["udev assembles", "nothing assembles"])
@pytest.mark.parametrize("tiers", SETS.values(), ids=SETS)
def test_power_cut_anywhere_converges_to_the_same_end(tiers, udev):
    end = essence(converged(fresh(tiers), tiers))
    states = cuts(fresh(tiers), tiers)
    assert len(states) > 10
    for state in states:
        assert essence(converged(reboot(state, udev), tiers)) == end


@pytest.mark.parametrize("tiers", SETS.values(), ids=SETS)
def test_connection_cut_anywhere_converges_to_the_same_end(tiers):
    """The module dies and the host runs on: no reboot tidies up between."""
    end = essence(converged(fresh(tiers), tiers))
    for state in cuts(fresh(tiers), tiers):
        assert essence(converged(state, tiers)) == end


@pytest.mark.parametrize("tiers", [SETS["raid5"], SETS["raid1 encrypted"]], ids=["raid5", "raid1 encrypted"])
def test_two_power_cuts_converge(tiers):
    end = essence(converged(fresh(tiers), tiers))
    for first, udev in product(cuts(fresh(tiers), tiers), (True, False)):
        for second in cuts(reboot(first, udev), tiers):
            assert essence(converged(reboot(second, not udev), tiers)) == end


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_number_of_cuts_converges(data):
    tiers = data.draw(st.sampled_from(list(SETS.values())))
    end = essence(converged(fresh(tiers), tiers))
    world = fresh(tiers)
    for _ in range(data.draw(st.integers(1, 5))):
        world = data.draw(st.sampled_from(cuts(world, tiers)))
        if data.draw(st.booleans()):
            world = reboot(world, data.draw(st.booleans()))
    assert essence(converged(world, tiers)) == end


@pytest.mark.parametrize("udev", [True, False])
@pytest.mark.parametrize("tiers", SETS.values(), ids=SETS)
def test_a_reboot_of_a_finished_host_makes_nothing_anew(tiers, udev):
    end = converged(fresh(tiers), tiers)
    kinds = {type(a).__name__ for a in planned(reboot(end, udev), tiers).actions}
    assert kinds <= {"StopArray", "AssembleArray", "OpenLuks", "MountTier"}
    assert essence(converged(reboot(end, udev), tiers)) == essence(end)
