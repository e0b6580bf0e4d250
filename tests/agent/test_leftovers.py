"""What of ours may be left on the PC, whose it is, and that it is tried again to take it away (rule 7, I6, I7)."""

from __future__ import annotations

import pytest

from rrsim.agent import host
from rrsim.protocol import messages as msg
from tests.agent.rig import Pc, asked, ordered


@pytest.mark.parametrize("answer", ["failed", "none"])
def test_safe_mode_without_a_record_clears_the_flag_if_nobody_says_whose_it_is(answer: str) -> None:
    """I6: a PC that stays in safe mode by us is worse than an owner's flag that has to be set again."""
    pc = ordered("service", "safe")
    pc.record = None
    if answer == "failed":
        pc.fail[host.ReadSafeBootKey] = "access denied"
    else:
        pc.hold = (host.ReadSafeBootKey,)
    pc.start(desktop="none", user="")
    if answer == "none":
        pc.fire("step")
    assert pc.residue() == ()


def test_safe_mode_without_a_record_leaves_the_owners_flag() -> None:
    """Rule 7, BO-14: the key says that the flag beside it was there before us."""
    pc = Pc().join()
    pc.owner_flag = True
    pc.read[host.ReadBootFlag] = "network"
    pc.order()
    pc.reboot()
    assert pc.safe_mode
    pc.record = None
    pc.start(desktop="none", user="")
    assert asked(pc.effects) == ["ReadSafeBootKey", "UnregisterSafeBoot", "Erase", "DisarmAutostart"]
    assert pc.residue() == ()


def test_in_safe_mode_an_old_record_does_not_hide_key_and_flag() -> None:
    """I6, I7: a tool said that the newer record was written, and it was not. The flag is cleared before the claim."""
    pc = ordered("service")
    old = pc.record
    pc.start()
    pc.greet()
    pc.say(msg.Resumed("session-1", "key-2", pc.state.settings, 0, 0))
    pc.order("safe", number=2)
    pc.reboot()
    pc.record = old
    pc.start(desktop="none", user="")
    assert asked(pc.effects) == ["ReadSafeBootKey", "ClearBootFlag"]
    assert host.Connect() in pc.effects[-2:]
    pc.greet()
    pc.say(msg.TurnedAway("ticket already used"))
    assert pc.residue() == ()


# --- what could not be taken away ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [host.ClearBootFlag, host.UnregisterSafeBoot, host.Erase, host.Save])
def test_an_idle_service_tries_again_to_take_away_what_is_left(kept: type) -> None:
    """Rule 7, I6, SE-10: a tool that blocks today lets go tomorrow."""
    pc = ordered("service", "safe")
    pc.fail[kept] = "access denied"
    pc.start(desktop="none", user="")
    pc.greet()
    if kept is host.Save:  # what stays is a record that says so, and that cannot be written either
        pc.fail[host.UnregisterSafeBoot] = "access denied"
    pc.say(msg.TurnedAway("expired"))
    assert (pc.state.goal, pc.residue() != ()) == ("idle", True)
    pc.fire("tidy")
    assert pc.residue() != ()
    pc.fail.clear()
    pc.fire("tidy")
    assert pc.residue() == ()
    assert "tidy" not in pc.timers


def test_a_flag_that_could_not_be_cleared_is_tried_again_while_there_is_no_network() -> None:
    """I6, SE-10: in safe mode over Wi-Fi the session does not come back, and the flag must not wait for its end."""
    pc = ordered("service", "safe")
    pc.fail[host.ClearBootFlag] = "access denied"
    pc.start(desktop="none", user="")
    assert asked(pc.fire("tidy")) == ["ClearBootFlag"]
    pc.fail.clear()
    pc.fire("tidy")
    assert (pc.state.goal, pc.flag, pc.key, "tidy" in pc.timers) == ("resuming", False, True, False)


def back_with_the_flag_denied() -> Pc:
    """Return a PC whose session goes on in safe mode, while a tool denies the agent the boot flag."""
    pc = ordered("service", "safe")
    pc.fail[host.ClearBootFlag] = "access denied"
    pc.start(desktop="none", user="")
    pc.greet()
    pc.say(msg.Resumed("session-1", "key-2", pc.state.settings, 0, 0))
    return pc


def test_while_an_order_is_under_way_the_flag_is_its_affair() -> None:
    """Rule 7: a new safe restart needs the flag."""
    pc = back_with_the_flag_denied()
    pc.order("safe", number=2)
    assert asked(pc.fire("tidy")) == []
    assert (pc.flag, "tidy" in pc.timers) == (True, True)


def test_trying_again_does_not_put_the_flag_behind_the_key() -> None:
    """I6, SM-03: while the agent tidies up anyway, dying in between must not leave a flag without a key."""
    pc = back_with_the_flag_denied()
    pc.fail.clear()
    pc.hold = (host.Save, host.Erase, host.AbortRestart)
    pc.order("normal", number=2)  # its record is being written, without an answer
    pc.say(msg.SessionOver("ended"))
    assert pc.state.goal == "over"
    before = pc.state.hands.chores
    pc.fire("tidy")
    assert pc.state.hands.chores == before


def test_a_service_in_its_next_session_is_not_disturbed_by_what_is_left() -> None:
    """Rule 7: the next end of a session takes it away."""
    pc = ordered("service")
    pc.start()
    pc.greet()
    pc.fail[host.Erase] = "access denied"
    pc.say(msg.TurnedAway("expired"))
    pc.give(host.CustomerStarts("session-2"))
    assert asked(pc.fire("tidy")) == []
    pc.fail.clear()
    pc.greet()
    pc.say(msg.Joined("session-2", "key-9", pc.state.settings))
    pc.say(msg.SessionOver("ended"))
    assert pc.residue() == ()
