"""A run cut short at any point converges when run again: on a model of a host, at every action, in every
state that
a cut in the middle of an action can leave, with and without udev assembling arrays at boot."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_samples import SETS
from storage_world import converged, cuts, essence, fresh, planned, reboot


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
