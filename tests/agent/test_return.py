"""The agent core after a start: resuming, retries, giving up, foreign boots, safe mode, phone mode, clean-up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from rrsim.agent import host
from rrsim.protocol import messages as msg
from tests.agent.rig import PHONE, SETTINGS, Pc, asked, of, ordered, sent

MODES: list[msg.AgentMode] = ["application", "service"]


@pytest.mark.parametrize("mode", MODES)
def test_ordered_boot_resumes_and_leaves_no_ticket(mode: msg.AgentMode) -> None:
    """R1, R8, LO-01, LO-03, SE-01."""
    pc = ordered(mode)
    pc.start(desktop="none" if mode == "service" else "visible", user="" if mode == "service" else "ann")
    pc.greet()
    claim = sent(pc.effects)[-1]
    assert isinstance(claim, msg.Resume)
    assert (claim.session, claim.ticket, claim.boot) == ("session-1", "ticket-1", "boot-2")
    assert claim.desktop == ("none" if mode == "service" else "visible")
    pc.say(msg.Resumed("session-1", "key-2", SETTINGS, 0, 0))
    assert pc.state.goal == "member"
    assert pc.residue() == ()
    assert "give up" not in pc.timers


def test_autostart_is_armed_again_while_the_way_back_is_open() -> None:
    """Rule 2, rule 7, LO-14: Windows uses a RunOnce entry up; the next boot must still find the agent."""
    pc = ordered()
    pc.autostart = False
    pc.start()
    assert pc.autostart
    pc.give(host.SessionEnding())
    pc.reboot()
    pc.resume()
    assert pc.residue() == ()


def test_retries_back_off_with_jitter_and_saturate() -> None:
    """NE-01, LO-13, NE-14: never a loop, never the last try."""
    pc = ordered()
    pc.start()
    waits = []
    for _ in range(20):
        pc.give(host.ConnectFailed("no route", jitter=0))
        waits.append(pc.timers["retry"])
        pc.fire("retry")
    assert waits[:5] == [2_000_000, 4_000_000, 8_000_000, 16_000_000, 30_000_000]
    assert set(waits[5:]) == {30_000_000}
    state = pc.state
    pc.give(host.ConnectFailed("no route", jitter=7))
    assert pc.timers["retry"] == 30_000_000 + 30_000_000 * 7 // 16
    pc.fire("retry")
    assert pc.state == state


def test_network_change_tries_at_once() -> None:
    """R12, LO-13, NE-02, NE-04, NE-05."""
    pc = ordered()
    pc.start()
    pc.give(host.ConnectFailed("no route"))
    assert host.Connect() in pc.give(host.NetworkChanged())
    assert "retry" not in pc.timers
    assert pc.give(host.NetworkChanged()) == []


def test_lost_connection_before_the_answer_claims_again_with_the_same_ticket() -> None:
    """LO-16, NE-12: the record stays until the server has granted the claim."""
    pc = ordered()
    pc.start()
    pc.greet()
    pc.give(host.Disconnected("server gone"))
    assert pc.record is not None
    pc.fire("retry")
    pc.greet()
    claims = [m for m in sent(pc.effects) if isinstance(m, msg.Resume)]
    assert len(claims) == 2
    assert claims[0] == claims[1]


def test_turned_away_cleans_up_and_tells() -> None:
    """R13, EX-04, rule 13."""
    pc = ordered()
    pc.start()
    pc.greet()
    assert host.Tell("expired") in pc.say(msg.TurnedAway("expired"))
    assert pc.residue() == ()
    assert not pc.alive


def test_gives_up_by_itself() -> None:
    """Rule 7: a server that is never reached must not keep a ticket alive."""
    pc = ordered()
    pc.start()
    assert pc.timers["give up"] == SETTINGS.silence_us + SETTINGS.resume_window_us
    assert host.Tell("expired") in pc.fire("give up")
    assert pc.residue() == ()
    assert not pc.alive


def test_longer_patience_is_an_account_setting() -> None:
    """EX-05, rule 10."""
    pc = ordered(settings=msgspec.structs.replace(SETTINGS, give_up_us=5))
    pc.start()
    assert pc.timers["give up"] == 5


# --- no right to resume -------------------------------------------------------------------------------------------


def foreign(pc: Pc) -> None:
    """Somebody else restarts the PC while the agent is arming."""
    pc.hold = (host.Save,)
    pc.order()
    pc.hold = ()
    pc.reboot()


def same_boot(pc: Pc) -> None:
    """The agent's process dies after the request and starts again before the restart."""
    pc.order()
    pc.die()


def other_machine(pc: Pc) -> None:
    """The record is copied."""
    pc.order()
    pc.reboot()


@pytest.mark.parametrize("way", [foreign, same_boot, other_machine])
@pytest.mark.parametrize("mode", MODES)
def test_no_right_to_resume(way: Callable[[Pc], None], mode: msg.AgentMode) -> None:
    """Rule 3, rule 14, R6, I11, SE-02, IN-02: disarmed, told, no claim."""
    pc = Pc(mode).join()
    way(pc)
    pc.start(machine="machine-2" if way is other_machine else "machine-1")
    assert sent(pc.effects) == []
    assert host.Tell("lost") in pc.effects
    assert ("AbortRestart" in asked(pc.effects)) == (way is same_boot)
    assert pc.residue() == ()
    assert not pc.restarting


def test_nothing_saved_application_waits_shortly_then_exits() -> None:
    """Rule 7: an autostart entry that outlived its session starts an agent with nothing to do."""
    pc = Pc("application")
    pc.start()
    assert asked(pc.effects) == []
    pc.fire("idle")
    assert not pc.alive


def test_nothing_saved_service_is_idle() -> None:
    """A service waits for the customer."""
    pc = Pc("service")
    pc.start()
    assert pc.timers == {}
    assert pc.alive
    assert host.Connect() in pc.give(host.CustomerStarts("session-2"))


@pytest.mark.parametrize("mode", MODES)
def test_corrupt_record_is_removed_and_told(mode: msg.AgentMode) -> None:
    """SH-09, BO-14."""
    pc = ordered(mode)
    pc.corrupt = True
    pc.start()
    assert host.Tell("lost") in pc.effects
    assert pc.residue() == ()


def test_corrupt_record_with_our_key_clears_our_flag() -> None:
    """I6, SH-09: the flag can be ours only with the key."""
    pc = Pc().join()
    pc.order("safe")
    pc.die()
    pc.corrupt = True
    pc.start()
    assert asked(pc.effects)[:3] == ["ReadSafeBootKey", "ClearBootFlag", "UnregisterSafeBoot"]
    assert pc.residue() == ()


def test_corrupt_record_without_our_key_leaves_the_owners_flag() -> None:
    """Rule 7: a flag that the owner set stays."""
    pc = Pc("service")
    pc.corrupt = True
    pc.start()
    assert "ClearBootFlag" not in asked(pc.effects)


# --- safe mode (R2, I6) -------------------------------------------------------------------------------------------


def test_safe_mode_clears_the_flag_before_anything_else() -> None:
    """I6, SM-01, SM-04, SM-05."""
    pc = ordered("service", "safe")
    assert pc.safe_mode
    pc.start(desktop="none", user="")
    assert asked(pc.effects[:1]) == ["ClearBootFlag"]
    pc.greet()
    claim = sent(pc.effects)[-1]
    assert isinstance(claim, msg.Resume)
    assert claim.safe_mode


def test_safe_mode_flag_goes_even_before_an_abort() -> None:
    """I6, rule 14: the service died in safe mode with the next safe restart requested."""
    pc = ordered("service", "safe").resume(desktop="none")
    pc.order("safe", 2)
    pc.die()
    pc.start(desktop="none", user="")
    assert asked(pc.effects)[:2] == ["ClearBootFlag", "AbortRestart"]
    assert pc.residue() == ()


def test_safe_mode_keeps_the_key_until_the_first_normal_boot() -> None:
    """Rule 7: a service that crashes in safe mode must be able to start again."""
    pc = ordered("service", "safe").resume(desktop="none")
    assert pc.residue() == ("record", "key")
    assert pc.record is not None
    assert (pc.record.ticket, pc.record.boot_mode) == ("", "normal")
    pc.order(number=2)
    pc.reboot()
    assert not pc.safe_mode
    pc.resume(desktop="none")
    assert pc.residue() == ()
    assert pc.state.goal == "member"


def test_session_ending_in_safe_mode_leaves_nothing() -> None:
    """I6, I7, SM-13."""
    pc = ordered("service", "safe").resume(desktop="none")
    pc.say(msg.SessionOver("ended"))
    assert pc.residue() == ()


def test_failed_order_in_safe_mode_keeps_the_key() -> None:
    """Rule 7, rule 8."""
    pc = ordered("service", "safe").resume(desktop="none")
    pc.fail = {host.RequestRestart: "5"}
    pc.order("safe", 2)
    assert pc.residue() == ("record", "key")
    assert not pc.flag


def test_flag_that_cannot_be_cleared_stays_on_record_and_is_tried_again() -> None:
    """I6, SE-10: tried before the next order, and at the end."""
    pc = ordered("service", "safe")
    pc.fail = {host.ClearBootFlag: "blocked"}
    pc.resume(desktop="none")
    assert pc.record is not None
    assert pc.record.boot_mode == "safe"
    assert sent(pc.order(number=2))[-1] == msg.ArmFailed(2, "left boot flag cleared", "blocked")
    pc.fail = {}
    pc.order(number=3)
    assert not pc.flag
    assert pc.restarting


def test_wrong_boot_mode_takes_flag_and_key_away() -> None:
    """SM-07: ordered to safe mode, came up normally."""
    pc = ordered("service", "safe")
    pc.safe_mode = False
    pc.start(desktop="none", user="")
    assert asked(pc.effects)[:2] == ["ClearBootFlag", "UnregisterSafeBoot"]
    pc.greet()
    pc.say(msg.Resumed("session-1", "key-2", SETTINGS, 0, 0))
    assert pc.residue() == ()


def test_safe_mode_without_a_record_still_clears_the_flag() -> None:
    """I6, BO-14: the record was deleted, the service runs there only by our key."""
    pc = ordered("service", "safe")
    pc.record = None
    pc.start(desktop="none", user="")
    assert asked(pc.effects)[:2] == ["ReadSafeBootKey", "ClearBootFlag"]
    assert pc.residue() == ()


def test_owners_flag_stays_after_a_normal_order() -> None:
    """Rule 7."""
    pc = ordered("service")
    pc.owner_flag = pc.key = pc.key_owners = True
    pc.safe_mode = True
    pc.start()
    assert "ClearBootFlag" not in asked(pc.effects)


# --- phone mode (R11) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["connecting", "claiming"])
def test_cancel_destroys_the_ticket_at_once_and_tells_the_server(link: str) -> None:
    """R11, CO-13."""
    pc = ordered(settings=PHONE)
    pc.start()
    assert host.ShowCancel() in pc.effects
    if link == "claiming":
        pc.greet()
    effects = pc.give(host.CancelClicked())
    assert pc.residue() == ()
    assert host.Tell("cancelled") in effects
    assert host.HideCancel() in effects
    if link == "connecting":
        assert sent(effects) == []
        pc.greet()
    assert sent(pc.effects)[-1] == msg.CancelResume("session-1", "ticket-1")
    pc.say(msg.SessionOver("reconnect cancelled"))
    assert not pc.alive


def test_cancel_that_crosses_the_resumption_leaves() -> None:
    """R11: nobody stays in a session that the customer cancelled."""
    pc = ordered(settings=PHONE)
    pc.start()
    pc.greet()
    pc.give(host.CancelClicked())
    effects = pc.say(msg.Resumed("session-1", "key-2", PHONE, 0, 0))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    assert not pc.alive


def test_cancel_is_there_only_in_phone_mode_and_only_until_resumed() -> None:
    """R11."""
    pc = ordered()
    pc.start()
    assert of(pc.effects, host.ShowCancel) == []
    pc = ordered(settings=PHONE).resume(PHONE)
    assert pc.effects.index(host.ShowCancel()) < pc.effects.index(host.HideCancel())


def test_cancel_option_waits_for_a_helper() -> None:
    """R11 in service mode."""
    pc = ordered("service", settings=PHONE)
    pc.start(desktop="none")
    assert of(pc.effects, host.ShowCancel) == []
    assert host.ShowCancel() in pc.give(host.HelperReady("visible", "ann"))


# --- stand-by (rule 3, profiles in which foreign restarts resume) -------------------------------------------------


def test_stand_by_ticket_resumes_a_foreign_boot() -> None:
    """IN-03 variant, rule 10."""
    pc = Pc("application").join()
    pc.say(msg.StandBy("standby-1"))
    assert pc.record is not None
    assert (pc.record.order, pc.record.ticket, pc.autostart) == (0, "standby-1", True)
    pc.reboot()
    pc.start()
    pc.greet()
    claim = sent(pc.effects)[-1]
    assert isinstance(claim, msg.Resume)
    assert claim.ticket == "standby-1"


def test_undone_order_puts_the_stand_by_record_back() -> None:
    """Rule 8: as it was before."""
    pc = Pc("application").join()
    pc.say(msg.StandBy("standby-1"))
    before = pc.record
    pc.fail = {host.RequestRestart: "5"}
    pc.order()
    assert pc.record == before
    assert pc.autostart
    pc.say(msg.SessionOver("ended"))
    assert pc.residue() == ()


def test_second_boot_before_the_resumption_uses_the_same_record() -> None:
    """Rule 2: a restart that Windows servicing adds."""
    pc = ordered("service")
    pc.start(desktop="none")
    pc.give(host.SessionEnding())
    pc.reboot()
    pc.resume()
    assert pc.state.goal == "member"


def test_customer_asks_anew_while_the_agent_still_tries() -> None:
    """R13: the old claim is dropped and cleaned up before the new join."""
    pc = ordered("service")
    pc.start()
    pc.give(host.ConnectFailed("no route"))
    pc.give(host.CustomerStarts("session-9"))
    assert pc.residue() == ()
    pc.greet()
    assert isinstance(sent(pc.effects)[-1], msg.Join)


def test_no_secret_in_the_log() -> None:
    """Rule 5, SE-03, SE-04."""
    pc = ordered("service", "safe", PHONE).resume(PHONE)
    pc.give(host.Failed(3, "late"))
    pc.say(msg.Welcome(1))
    notes = [e for e in pc.effects if isinstance(e, host.Note)]
    assert notes
    assert not any(secret in n.text for n in notes for secret in ("ticket-", "key-"))
