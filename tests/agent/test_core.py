"""The agent core, joined: arming, undoing, restarts that do not happen, loss of network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rrsim.agent import host
from rrsim.protocol import messages as msg
from tests.agent.rig import Pc, asked, sent

NORMAL = ["ArmAutostart", "Save", "Save", "RequestRestart"]
SAFE = [
    "ArmAutostart", "ReadBootFlag", "Save", "RegisterSafeBoot", "ReadSafeBootKey", "SetBootFlag", "ReadBootFlag",
    "Save", "RequestRestart",
]


def shutdown(pc: Pc) -> list[host.Effect]:
    """Windows asks, and then goes down."""
    pc.give(host.QueryEndSession("shutdown"))
    return pc.give(host.SessionEnding())


# --- arming (R1, R2, rule 8) --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["application", "service"])
def test_normal_order_arms_in_one_order_and_tells_before_the_intent(mode: msg.AgentMode) -> None:
    """R1, rule 3, rule 8."""
    pc = Pc(mode).join()
    effects = pc.order()
    assert asked(effects) == (NORMAL if mode == "application" else [*NORMAL[:1], "ReadBootFlag", *NORMAL[1:]])
    assert sent(effects) == [msg.Armed(1)]
    saves = [e.what.record for e in effects if isinstance(e, host.Request) and isinstance(e.what, host.Save)]
    assert [r.intent for r in saves] == [False, True]
    assert effects.index(host.Send(msg.Armed(1))) < next(
        i for i, e in enumerate(effects) if isinstance(e, host.Request) and e.what == host.Save(saves[1]))
    assert pc.restarting
    assert pc.timers["restart limit"] == pc.state.settings.restart_limit_us


def test_safe_order_sets_and_reads_back() -> None:
    """R2, SM-01, SM-03, SM-16: verified, not only written."""
    pc = Pc().join()
    assert asked(pc.order("safe")) == SAFE
    assert pc.record is not None
    assert (pc.record.safe_key, pc.record.boot_mode, pc.record.intent) == (True, "safe", True)


def test_session_ending_announces_and_closes_the_chat_itself() -> None:
    """R5, CO-11, rule 1: the announcement comes when Windows really goes down, not when it asks."""
    pc = Pc().join()
    pc.order()
    assert sent(pc.give(host.QueryEndSession("shutdown"))) == []
    effects = pc.give(host.SessionEnding())
    assert sent(effects) == [msg.Restarting(1)]
    assert host.CloseChat() in effects
    assert sent(pc.give(host.Disconnected("gone"))) == []
    assert pc.state.link.phase == "down"


FAILURES: dict[type, tuple[str, list[str]]] = {
    host.Save: ("ticket saved", ["Erase", "DisarmAutostart"]),
    host.ArmAutostart: ("autostart armed", ["DisarmAutostart"]),
    host.RegisterSafeBoot: ("safe boot key registered", ["UnregisterSafeBoot", "Erase", "DisarmAutostart"]),
    host.ReadSafeBootKey: ("safe boot key read", ["UnregisterSafeBoot", "Erase", "DisarmAutostart"]),
    host.SetBootFlag: ("boot flag set", ["ClearBootFlag", "UnregisterSafeBoot", "Erase", "DisarmAutostart"]),
    host.ReadBootFlag: ("boot flag looked at", ["DisarmAutostart"]),
    host.RequestRestart: (
        "restart requested", ["Save", "ClearBootFlag", "UnregisterSafeBoot", "Erase", "DisarmAutostart"],
    ),
}


@pytest.mark.parametrize("broken", FAILURES)
def test_failure_at_any_step_undoes_everything_before_it_and_then_reports(broken: type) -> None:
    """Rule 8, BO-12, BO-13, IN-09, SE-10, SM-08, SM-09."""
    pc = Pc().join()
    pc.fail = {broken: "access denied"}
    effects = pc.order("safe")
    step, undo = FAILURES[broken]
    assert sent(effects)[-1] == msg.ArmFailed(1, step, "access denied")
    failed = asked(effects).index(broken.__name__)
    assert asked(effects)[failed + 1:] == undo
    assert effects.index(host.Send(sent(effects)[-1])) > max(
        i for i, e in enumerate(effects) if isinstance(e, host.Request))
    assert pc.residue() == ()
    assert not pc.restarting
    assert pc.state.restart is None
    assert pc.state.goal == "member"


@pytest.mark.parametrize(
    ("reads", "says", "step"),
    [(host.ReadSafeBootKey, "absent", "safe boot key read"), (host.ReadBootFlag, "other", "boot flag read")],
)
def test_read_back_must_say_what_was_written(reads: type, says: str, step: str) -> None:
    """SM-03, SM-07, SM-16."""
    pc = Pc().join()
    pc.read = {reads: says}
    last = sent(pc.order("safe"))[-1]
    assert isinstance(last, msg.ArmFailed)
    assert last.step == step
    assert pc.residue() == ()


def test_boot_flag_that_cannot_be_read_back_is_undone() -> None:
    """Rule 8, SM-07: the second look at the flag fails, after it was set."""
    pc = Pc().join()
    pc.hold = (host.SetBootFlag,)
    pc.order("safe")
    pc.fail = {host.ReadBootFlag: "access denied"}
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert sent(effects) == [msg.ArmFailed(1, "boot flag read", "access denied")]
    assert asked(effects)[-4:] == ["ClearBootFlag", "UnregisterSafeBoot", "Erase", "DisarmAutostart"]
    assert pc.residue() == ()


def test_owners_boot_flag_is_used_and_never_cleared() -> None:
    """Rule 7: a flag that stood before the order is the owner's; the order boots with it, the end leaves it."""
    pc = Pc().join()
    pc.owner_flag = True
    pc.read = {host.ReadBootFlag: "network"}
    asked_for = asked(pc.order("safe"))
    assert "SetBootFlag" not in asked_for
    assert pc.record is not None
    assert (pc.record.safe_key, pc.record.boot_mode) == (True, "normal")
    pc.reboot()
    pc.clear()
    pc.resume(desktop="none")
    pc.say(msg.SessionOver("ended"))
    assert "ClearBootFlag" not in asked(pc.effects)
    assert pc.residue() == ()


def test_normal_order_under_an_owners_flag_prepares_for_safe_mode() -> None:
    """R1, rule 7: the next boot is a safe one although nobody ordered that; without our key the service stays away."""
    pc = Pc().join()
    pc.owner_flag = True
    pc.read = {host.ReadBootFlag: "network"}
    asked_for = asked(pc.order())
    assert "RegisterSafeBoot" in asked_for
    assert "SetBootFlag" not in asked_for
    assert pc.record is not None
    assert pc.record.safe_key
    pc.reboot()
    pc.resume(desktop="none")
    pc.say(msg.SessionOver("ended"))
    assert pc.residue() == ()


@pytest.mark.parametrize(
    ("hangs", "undo"),
    [
        (host.RegisterSafeBoot, "UnregisterSafeBoot"), (host.SetBootFlag, "ClearBootFlag"),
        (host.RequestRestart, "AbortRestart"), (host.Save, "Erase"),
    ],
)
def test_what_is_carried_out_after_it_was_given_up_is_undone_again(hangs: type, undo: str) -> None:
    """Rule 7, rule 8: a call that hung, as over a sleep of the PC, may still be carried out when its undo is done."""
    pc = Pc().join()
    pc.hold = (hangs,)
    pc.order("safe")
    late = pc.state.hands.op
    pc.fire("step")
    assert pc.state.restart is None
    pc.hold = ()
    pc.clear()
    pc.give(host.Completed(late))
    assert undo in asked(pc.effects)
    pc.clear()
    pc.give(host.Completed(late))
    assert asked(pc.effects) == []
    assert pc.residue() == ()


def test_failed_intent_is_withdrawn() -> None:
    """Rule 3, rule 8: the second save fails, the first did not."""
    pc = Pc().join()
    pc.hold = (host.SetBootFlag,)
    pc.order("safe")
    pc.fail = {host.Save: "disk full"}
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert sent(effects) == [msg.Armed(1), msg.ArmFailed(1, "intent saved", "disk full")]
    assert asked(effects)[:3] == ["ReadBootFlag", "Save", "Save"]
    assert pc.residue() == ()


def test_failure_while_undoing_is_noted_and_undoing_goes_on() -> None:
    """Rule 8. What could not be undone stays on record, and is undone at the next start (rule 7)."""
    pc = Pc().join()
    pc.fail = {host.RequestRestart: "1115", host.UnregisterSafeBoot: "access denied"}
    effects = pc.order("safe")
    assert asked(effects)[-4:] == ["ClearBootFlag", "UnregisterSafeBoot", "Save", "DisarmAutostart"]
    assert any("remove key" in n.text for n in effects if isinstance(n, host.Note))
    assert pc.residue() == ("record", "key")
    assert pc.record is not None
    assert pc.record.ticket == ""
    pc.fail = {}
    pc.reboot()
    pc.start(desktop="none", user="")
    assert pc.residue() == ()


def test_request_without_an_answer_counts_as_failed() -> None:
    """Rule 8: a hanging ``bcdedit`` does not hold the session up for ever."""
    pc = Pc().join()
    pc.hold = (host.SetBootFlag,)
    pc.order("safe")
    effects = pc.fire("step")
    assert sent(effects) == [msg.ArmFailed(1, "boot flag set", "Windows gave no answer")]
    assert pc.residue() == ()


def test_refused_restart_is_not_aborted() -> None:
    """IN-07, IN-08: what is coming all the same is somebody else's."""
    pc = Pc().join()
    pc.fail = {host.RequestRestart: "1190"}
    assert "AbortRestart" not in asked(pc.order())


# --- orders that are refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "platform", "boot_mode", "step"),
    [
        ("application", "mac", "normal", "platform"), ("service", "mac", "safe", "platform"),
        ("application", "linux", "normal", "platform"), ("application", "windows", "safe", "boot mode"),
    ],
)
def test_impossible_orders_are_refused_untouched(
    mode: msg.AgentMode, platform: msg.Platform, boot_mode: msg.BootMode, step: str,
) -> None:
    """R10, I8, PL-01, PL-02; R2, I10, SM-02."""
    pc = Pc(mode, platform).join()
    effects = pc.order(boot_mode)
    assert asked(effects) == []
    answer, = sent(effects)
    assert isinstance(answer, msg.ArmFailed)
    assert answer.step == step
    assert pc.state.restart is None


def test_second_order_is_one_reboot() -> None:
    """IN-11."""
    pc = Pc().join()
    pc.order()
    again = pc.order()
    assert (asked(again), sent(again)) == ([], [])
    assert sent(pc.order(number=2)) == [msg.ArmFailed(2, "order", "another restart is under way or still being undone")]
    assert pc.restarting


def test_order_needs_the_live_connection() -> None:
    """An order before the claim is granted is ignored."""
    pc = Pc().join()
    pc.give(host.Disconnected("cable"))
    pc.fire("retry")
    pc.give(host.Connected())
    assert asked(pc.order()) == []
    assert pc.state.restart is None


# --- a restart that does not happen (rule 11) ---------------------------------------------------------------------


UNDONE = ["AbortRestart", "Save", "Erase", "DisarmAutostart"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda pc: pc.say(msg.Withdraw(1, "restart limit")), "restart limit"),
        (lambda pc: pc.fire("restart limit"), "the restart limit has passed"),
        (lambda pc: pc.give(host.EndSessionCancelled("the customer")), "cancelled by the customer"),
    ],
    ids=["withdraw", "restart limit", "cancelled"],
)
def test_restart_that_does_not_happen_is_taken_back(how: Callable[[Pc], list[host.Effect]], reason: str) -> None:
    """Rule 11, SH-01, SH-02."""
    pc = Pc().join()
    pc.order()
    effects = how(pc)
    assert asked(effects) == UNDONE
    assert sent(effects) == [msg.NotRestarting(1, reason)]
    assert pc.residue() == ()
    assert "restart limit" not in pc.timers


def test_cancelled_after_the_announcement_reopens_the_chat() -> None:
    """Rule 11, R5."""
    pc = Pc().join()
    pc.order()
    shutdown(pc)
    effects = pc.give(host.EndSessionCancelled("Windows"))
    assert host.OpenChat() in effects
    assert sent(effects) == [msg.NotRestarting(1, "cancelled by Windows")]
    assert pc.residue() == ()


def test_restart_manager_is_no_restart() -> None:
    """Rule 12, Windows facts 3.2: CLOSEAPP alone says nothing about a restart."""
    pc = Pc().join()
    pc.order()
    pc.give(host.QueryEndSession("closeapp"))
    assert asked(pc.give(host.EndSessionCancelled("restart manager"))) == []
    assert pc.state.restart is not None
    pc.give(host.QueryEndSession("closeapp"))
    assert sent(pc.give(host.SessionEnding())) == []


def test_withdrawn_while_arming_waits_for_windows_and_then_undoes() -> None:
    """Rule 11: the pending request is awaited, its answer is not acted on."""
    pc = Pc().join()
    pc.hold = (host.Save,)
    pc.order()
    assert asked(pc.say(msg.Withdraw(1, "rep"))) == []
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert asked(effects) == ["Erase", "DisarmAutostart"]
    assert sent(effects) == [msg.NotRestarting(1, "rep")]


def test_foreign_shutdown_while_arming_stops_arming() -> None:
    """Rule 3: a boot without a recorded intent stays foreign."""
    pc = Pc().join()
    pc.hold = (host.Save,)
    pc.order()
    shutdown(pc)
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert not pc.restarting
    assert isinstance(sent(effects)[-1], msg.ArmFailed)
    assert pc.residue() == ()


def test_foreign_shutdown_announces_nothing() -> None:
    """R6, IN-02, IN-03."""
    pc = Pc().join()
    assert sent(shutdown(pc)) == []
    assert sent(pc.order()) == [msg.ArmFailed(1, "shutdown", "Windows is going down already")]


def test_stale_completion_changes_nothing() -> None:
    """An answer to a request that is not pending is noted."""
    pc = Pc().join()
    pc.hold = (host.Save,)
    pc.order()
    before = pc.state
    for stale in (host.Completed(9), host.Failed(9, "late")):
        effects = pc.give(stale)
        assert pc.state == before
        assert [type(e) for e in effects] == [host.Note]


# --- loss of network without a boot (rule 1, rule 3) --------------------------------------------------------------


def reconnect(pc: Pc, lines: int = 0, order: int = 0) -> list[host.Effect]:
    """Lose the connection and get it back."""
    pc.give(host.Disconnected("cable", 3))
    pc.fire("retry")
    pc.give(host.Connected())
    pc.clear()
    pc.say(msg.Welcome(1))
    pc.say(msg.Resumed("session-1", "key-2", pc.state.settings, lines, order))
    return pc.effects


def test_reconnect_proves_itself_with_the_live_key() -> None:
    """Rule 3, NE-08, LO-16."""
    pc = Pc().join()
    effects = reconnect(pc)
    assert sent(effects)[0] == msg.Reconnect("session-1", "key-1", "boot-1", restarting=False)
    assert pc.state.claim.live_key == "key-2"
    assert "give up" not in pc.timers


def test_reconnect_says_that_a_restart_is_under_way() -> None:
    """Rule 1: contact from the old boot. The order stands on both sides; *armed* may have been lost."""
    pc = Pc("application").join()
    pc.order()
    effects = reconnect(pc, order=1)
    assert sent(effects) == [msg.Reconnect("session-1", "key-1", "boot-1", restarting=True), msg.Armed(1)]
    assert pc.restarting


def test_reconnect_disarms_an_order_that_no_longer_stands() -> None:
    """Rule 11: Resumed.order decides."""
    pc = Pc("application").join()
    pc.order()
    effects = reconnect(pc, order=0)
    assert asked(effects) == UNDONE
    assert [m for m in sent(effects) if isinstance(m, msg.NotRestarting)] == []
    assert pc.residue() == ()


def test_order_lost_on_the_way_is_denied() -> None:
    """Rule 1: the window ends by the statement that no restart is under way."""
    pc = Pc("application").join()
    assert sent(reconnect(pc, order=4))[-1] == msg.NotRestarting(4, "the order is not under way on this PC")


def test_arming_waits_for_the_connection_before_it_tells() -> None:
    """The server is told *armed* before the intent is recorded, or the restart does not go on."""
    pc = Pc("application").join()
    pc.hold = (host.Save,)
    pc.order()
    pc.give(host.Disconnected("cable"))
    pc.give(host.Completed(pc.state.hands.op))
    assert not pc.restarting
    assert pc.record is not None
    assert not pc.record.intent
    pc.hold = ()
    pc.fire("retry")
    pc.greet()
    pc.say(msg.Resumed("session-1", "key-2", pc.state.settings, 0, 1))
    assert pc.restarting


def test_silence_is_a_dead_connection() -> None:
    """NE-08."""
    pc = Pc().join()
    pc.clear()
    pc.fire("heartbeat")
    assert sent(pc.effects) == [msg.Heartbeat()]
    effects = pc.fire("silence")
    assert host.Disconnect() in effects
    assert pc.state.link.phase == "waiting"
