"""The lists of cases for virtual machines: every one can run there, and the short one has what was promised of it."""

from __future__ import annotations

import pytest

from rrsim.backends.live.vm.bench import DEFAULT_SCALE
from rrsim.backends.live.vm.guest_pc import CAPABILITIES, RESOLUTION_US, RESTART_US
from rrsim.images.loader import load
from rrsim.scenario import actions, needs, scaling
from rrsim.scenario.accounts import account_of
from tests.backends.live.wine.test_lists import listed

MINUTES_TEN_US = 600_000_000


@pytest.mark.parametrize(("name", "scale"), [("vm-ci.txt", DEFAULT_SCALE), ("vm-nightly.txt", 1.0)])
def test_every_listed_case_can_run_in_a_virtual_machine(name: str, scale: float) -> None:
    has = CAPABILITIES - frozenset(load("wine-guest").lacks)
    for case in listed(name):
        assert set(needs.needs(case)) <= has, case.id
        assert needs.too_close(case, account_of(case.given), RESOLUTION_US, scale) == "", case.id
        scaling.check(scale, account_of(case.given).resume_window_us, RESTART_US)  # a shorter window is skipped


def test_the_list_for_every_commit_has_what_was_promised() -> None:
    cases = listed("vm-ci.txt")
    assert len(cases) >= 12
    assert {case.given.agent for case in cases} == {"application", "service"}
    covered = {identifier for case in cases for identifier in case.covers}
    assert {"R1", "R2", "R6", "R11", "R12", "R13", "R14"} <= covered
    done = {type(step.action) for case in cases for step in case.steps}
    assert {actions.PowerCut, actions.CablePulled} <= done


def test_a_night_waits_the_real_ten_minutes() -> None:
    assert any(
        account_of(case.given).resume_window_us == MINUTES_TEN_US and "expired" in str(case.expect)
        for case in listed("vm-nightly.txt")
    )
