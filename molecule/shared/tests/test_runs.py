"""What holds for every role: check mode says what the next run does, and a second run changes nothing."""

from itertools import pairwise

import pytest


def test_check_mode_tells_the_truth(runs):
    pairs = [(check, real) for check, real in pairwise(runs) if check["check"] and not real["check"]]
    if not pairs:
        pytest.skip("check and converge did not run one after the other")
    for check, real in pairs:
        assert check["changed"] == real["changed"]


def test_second_run_changes_nothing(runs):
    real = [run for run in runs if not run["check"]]
    if len(real) < 2:
        pytest.skip("converge ran once only")
    assert real[-1]["changed"] == [] == real[-1]["handled"]
