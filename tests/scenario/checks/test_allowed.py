"""What looks like a violation of an invariant and is none."""

from __future__ import annotations

import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.protocol.settings import PROFILES
from tests.scenario.checks.hand import SESSION, Hand, S


def test_the_owners_safe_boot_flag_may_keep_the_pc_in_safe_mode() -> None:
    flag = ("boot:safeboot=network", "file:theirs")
    assert "I6" not in Hand().opening(items=flag).restarts().healed().winds_down(safe=True, items=flag).failing()


@pytest.mark.parametrize("what", ["agent", "agent deleted", "the agent was removed by a security tool"])
def test_a_deleted_agent_cannot_clean_up_and_the_pass_says_so(what: str) -> None:
    hand = Hand().opening().call("autostart armed").pc(seen.MachineTampered(what))
    result = hand.healed().winds_down(items=("file:theirs", "registry:ours")).results()["I7"]
    assert result.outcome == "passed"
    assert "registry:ours" in result.message


def test_clean_up_that_still_went_on_after_the_deletion_adds_nothing() -> None:
    hand = Hand().opening().call("autostart armed").pc(seen.MachineTampered("agent")).call("record erased")
    hand.pc(seen.HostCall("autostart armed", False)).healed()
    assert "I7" not in hand.winds_down(items=("file:theirs", "registry:ours")).failing()


def test_deleting_an_agent_after_the_end_excuses_nothing() -> None:
    hand = Hand().opening().server(r.SessionEnded(SESSION, "representative", "done"))
    hand.pc(seen.MachineTampered("agent deleted")).healed()
    assert "I7" in hand.winds_down(over=False, items=("file:theirs", "registry:ours")).failing()


def test_an_agent_without_its_autostart_entry_cannot_clean_up_unless_it_runs_at_the_end() -> None:
    """Rule 7, BO-09: what nobody starts any more cannot remove its ticket; who lives to the end can."""
    ticket = ("file:theirs", "file:ticket")
    hand = Hand().opening().asked().confirmed().given().armed().intended()
    hand.pc(seen.MachineTampered("autostart"), seen.AgentStopped("windows goes down")).goes_down().boots_up()
    hand.server(r.SessionExpired(SESSION, 1)).healed()
    assert "I7" not in hand.winds_down(over=False, items=ticket).failing()
    alive = Hand().opening().call("ticket saved").pc(seen.MachineTampered("autostart"))
    alive.server(r.SessionEnded(SESSION, "representative", "done")).pc(seen.AgentStopped("done")).healed()
    assert "I7" in alive.winds_down(over=False, items=ticket).failing()


FLAG = ("boot:safeboot=network", "file:theirs")


@pytest.mark.parametrize(
    ("boot", "items", "fails"),
    [
        ("none", ("file:theirs",), False),
        ("none", FLAG, True),
        ("cut short", ("file:theirs",), False),
        ("hangs", ("file:theirs",), True),
        ("desktop", ("file:theirs",), True),
    ],
)
def test_a_pc_that_was_off_until_the_end_goes_through_safe_mode_once(
    boot: str, items: tuple[str, ...], fails: bool
) -> None:
    """I6: if the first boot of use is the harness's own, safe mode there is no fault, and the next boot counts."""
    hand = Hand(mode="service").opening().asked(mode="safe").confirmed().given(mode="safe").armed()
    hand.call("boot flag set").intended().goes_down()
    if boot != "none":
        hand.boots_up(safe=True)
    if boot == "desktop":
        hand.pc(seen.PhaseBegan("desktop"))
    if boot in ("cut short", "desktop"):
        hand.pc(seen.WentDown("power", False))
    hand.server(r.SessionExpired(SESSION, 1)).healed()
    assert ("I6" in hand.winds_down(over=False, safe=True, items=items).failing()) is fails


def test_residue_that_the_scenario_allows_is_no_violation() -> None:
    hand = Hand().opening().restarts().healed().winds_down(items=("file:theirs", "file:ticket"))
    assert "I7" in hand.failing()
    assert hand.results(("file:ticket",))["I7"].outcome == "passed"


def test_foreign_restarts_may_resume_where_the_profile_says_so() -> None:
    hand = Hand(PROFILES["setme"]).opening().boots_up("windows dialog").logs_on().resumed(0).ends()
    assert hand.failing() == {}


def test_a_late_agent_may_resume_where_expiry_is_not_final() -> None:
    hand = Hand(PROFILES["rescue"]).opening().asked().confirmed().given().armed().intended().goes_down()
    hand.put("server", r.WindowOffline(SESSION, 1), hand.t_us + 300 * S)
    assert hand.boots_up().logs_on().resumed(late=True).ends().failing() == {}


def test_the_deadline_of_i9_runs_from_armed() -> None:
    hand = Hand().opening().asked().confirmed().given()
    limit_us = hand.account.restart_limit_us + hand.account.resume_window_us
    hand.put("server", r.OrderArmed(SESSION, 1), hand.t_us + 200 * S)
    hand.put("server", r.SessionExpired(SESSION, 1), hand.t_us + limit_us + 29 * S)
    assert "I9" not in hand.healed().winds_down(over=False).failing()


def test_time_in_which_the_server_is_down_is_added_to_the_deadline_of_i9() -> None:
    hand = Hand().opening().asked().confirmed().given().armed()
    limit_us = hand.account.restart_limit_us + hand.account.resume_window_us
    hand.put("server", seen.ServerDown())
    hand.put("server", seen.ServerUp(), hand.t_us + limit_us + 40 * S)
    hand.server(r.SessionExpired(SESSION, 1))
    assert "I9" not in hand.healed().winds_down(over=False).failing()


@pytest.mark.parametrize(("what", "excused"), [("autostart", True), ("ticket", True), ("wall clock", False)])
def test_what_somebody_else_took_away_is_not_missing_because_of_us(what: str, excused: bool) -> None:
    hand = Hand().opening(items=("file:theirs", "registry:owned")).pc(seen.MachineTampered(what))
    assert ("I7" not in hand.ends().failing()) == excused


def test_tampering_with_something_else_excuses_no_residue() -> None:
    hand = Hand().opening().call("autostart armed").pc(seen.MachineTampered("ticket")).healed()
    assert "I7" in hand.winds_down(items=("file:theirs", "registry:ours")).failing()


@pytest.mark.parametrize("what", ["ticket", "record readable by everyone"])
def test_loosened_protection_is_not_the_products_doing(what: str) -> None:
    hand = Hand().opening().pc(seen.MachineTampered(what), seen.SecretSeen("record"))
    assert "I2" not in hand.ends().failing()


def test_the_same_machine_may_take_its_own_place_over() -> None:
    hand = Hand().opening().asked().confirmed().given().armed().intended().boots_up().logs_on().resumed().ends()
    assert "I3" not in hand.failing()
