"""The agent core, joined: arming, undoing, restarts that do not happen, chat, questions, leaving."""

from __future__ import annotations

import pytest

from rrsim.agent import core, host
from rrsim.agent._state import TAIL
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from tests.agent.rig import PHONE, Pc, asked, of, sent

NORMAL = ["Save", "ArmAutostart", "Save", "RequestRestart"]
SAFE = [
    "Save", "ArmAutostart", "RegisterSafeBoot", "ReadSafeBootKey", "SetBootFlag", "ReadBootFlag", "Save",
    "RequestRestart",
]


def shutdown(pc: Pc) -> list[host.Effect]:
    """Windows asks, and then goes down."""
    pc.give(host.QueryEndSession("shutdown"))
    return pc.give(host.SessionEnding())


# --- arming (R1, R2, rule 8) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["application", "service"])
def test_normal_order_arms_in_one_order_and_tells_before_the_intent(mode: msg.AgentMode) -> None:
    """R1, rule 3, rule 8."""
    pc = Pc(mode).join()
    effects = pc.order()
    assert asked(effects) == NORMAL
    assert sent(effects) == [msg.Armed(1)]
    saves = [e.what.record for e in effects if isinstance(e, host.Request) and isinstance(e.what, host.Save)]
    assert [r.intent for r in saves] == [False, True]
    assert effects.index(host.Send(msg.Armed(1))) < effects.index(host.Request(3, host.Save(saves[1])))
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


FAILURES = {
    host.Save: ("ticket saved", []),
    host.ArmAutostart: ("autostart armed", ["DisarmAutostart", "Erase"]),
    host.RegisterSafeBoot: ("safe boot key registered", ["UnregisterSafeBoot", "DisarmAutostart", "Erase"]),
    host.ReadSafeBootKey: ("safe boot key read", ["UnregisterSafeBoot", "DisarmAutostart", "Erase"]),
    host.SetBootFlag: ("boot flag set", ["ClearBootFlag", "UnregisterSafeBoot", "DisarmAutostart", "Erase"]),
    host.ReadBootFlag: ("boot flag read", ["ClearBootFlag", "UnregisterSafeBoot", "DisarmAutostart", "Erase"]),
    host.RequestRestart: (
        "restart requested", ["Save", "ClearBootFlag", "UnregisterSafeBoot", "DisarmAutostart", "Erase"],
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
    assert asked(effects)[failed + 1:] == (undo or ["Erase"])
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


def test_failed_intent_is_withdrawn() -> None:
    """Rule 3, rule 8: the second save fails, the first did not."""
    pc = Pc().join()
    pc.hold = (host.ArmAutostart,)
    pc.order()
    pc.fail = {host.Save: "disk full"}
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert sent(effects) == [msg.Armed(1), msg.ArmFailed(1, "intent saved", "disk full")]
    assert pc.residue() == ()


def test_failure_while_undoing_is_noted_and_undoing_goes_on() -> None:
    """Rule 8. What could not be undone stays on record, and is undone at the next start (rule 7)."""
    pc = Pc().join()
    pc.fail = {host.RequestRestart: "1115", host.UnregisterSafeBoot: "access denied"}
    effects = pc.order("safe")
    assert asked(effects)[-4:] == ["ClearBootFlag", "UnregisterSafeBoot", "DisarmAutostart", "Save"]
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


# --- orders that are refused -----------------------------------------------------------------------------------------


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
    assert asked(pc.order()) == []
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


# --- a restart that does not happen (rule 11) ------------------------------------------------------------------------


UNDONE = ["AbortRestart", "Save", "DisarmAutostart", "Erase"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda pc: pc.say(msg.Withdraw(1, "restart limit")), "restart limit"),
        (lambda pc: pc.fire("restart limit"), "the restart limit has passed"),
        (lambda pc: pc.give(host.EndSessionCancelled("the customer")), "cancelled by the customer"),
    ],
    ids=["withdraw", "restart limit", "cancelled"],
)
def test_restart_that_does_not_happen_is_taken_back(how, reason: str) -> None:  # type: ignore[no-untyped-def]
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
    pc.hold = (host.ArmAutostart,)
    pc.order()
    assert asked(pc.say(msg.Withdraw(1, "rep"))) == []
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert asked(effects) == ["DisarmAutostart", "Erase"]
    assert sent(effects) == [msg.NotRestarting(1, "rep")]


def test_foreign_shutdown_while_arming_stops_arming() -> None:
    """Rule 3: a boot without a recorded intent stays foreign."""
    pc = Pc().join()
    pc.hold = (host.ArmAutostart,)
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


# --- loss of network without a boot (rule 1, rule 3) -------------------------------------------------------------------


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
    pc.hold = (host.ArmAutostart,)
    pc.order()
    pc.give(host.Disconnected("cable"))
    pc.give(host.Completed(pc.state.hands.op))
    assert not pc.restarting
    assert pc.record is not None
    assert not pc.record.intent
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


# --- chat (I12) ---------------------------------------------------------------------------------------------------------


def test_lines_the_server_lacks_are_sent_again_in_order() -> None:
    """I12."""
    pc = Pc("application").join()
    for text in "abc":
        pc.give(host.ChatTyped(text))
    pc.give(host.Disconnected("cable"))
    pc.give(host.ChatTyped("d"))
    pc.fire("retry")
    pc.greet()
    pc.clear()
    pc.say(msg.Resumed("session-1", "key-2", pc.state.settings, 1, 0))
    assert sent(pc.effects) == [msg.AgentChat(2, "b"), msg.AgentChat(3, "c"), msg.AgentChat(4, "d")]


def test_heartbeat_reply_acknowledges_what_was_sent_before_it() -> None:
    """I12: the tail stays bounded, and a line typed after the heartbeat stays in it."""
    pc = Pc().join()
    pc.give(host.ChatTyped("a"))
    pc.fire("heartbeat")
    pc.give(host.ChatTyped("b"))
    pc.say(msg.HeartbeatReply())
    assert pc.state.chat.tail == ("b",)


def test_too_many_lines_offline_are_not_lost_in_silence() -> None:
    """I12."""
    pc = Pc().join()
    pc.give(host.Disconnected("cable"))
    for n in range(TAIL):
        pc.give(host.ChatTyped(str(n)))
    assert pc.give(host.ChatTyped("one too many")) == [host.Tell("line not sent")]
    assert pc.state.chat.line == TAIL


def test_server_lines_are_shown_once() -> None:
    """I12."""
    pc = Pc().join()
    assert of(pc.say(msg.ServerChat(3, "rep", "hi")), host.ShowChat) == [host.ShowChat("rep", "hi")]
    assert of(pc.say(msg.ServerChat(3, "rep", "hi")), host.ShowChat) == []


# --- questions (R7, R9, rule 6, rule 14) ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "answer", "human"),
    [
        (lambda pc: pc.give(host.Answered(1, "yes")), "yes", True),
        (lambda pc: pc.give(host.Answered(1, "no")), "no", True),
        (lambda pc: pc.fire("ask restart"), "silence", False),
        (lambda pc: pc.give(host.PromptGone(1)), "no", False),
        (lambda pc: pc.give(host.HelperGone()), "no", False),
    ],
    ids=["yes", "no", "silence", "window gone", "helper gone"],
)
def test_answers(how, answer: msg.Answer, human: bool) -> None:  # type: ignore[no-untyped-def]
    """R7, CO-01 to CO-03, rule 6, rule 14."""
    pc = Pc().join()
    effects = pc.say(msg.Ask(7, "restart", 60))
    assert host.ShowPrompt(1, "restart") in effects
    assert pc.timers["ask restart"] == 60
    assert msg.ConsentAnswer(7, answer, human) in sent(how(pc))
    assert pc.state.questions == ()
    assert "ask restart" not in pc.timers


def test_question_waits_for_somebody_to_see_it() -> None:
    """CO-07, LO-05: a service at the welcome screen."""
    pc = Pc().join()
    pc.give(host.HelperGone())
    assert of(pc.say(msg.Ask(1, "sharing", 60)), host.ShowPrompt) == []
    effects = pc.give(host.HelperReady("visible", "bob"))
    assert of(effects, host.ShowPrompt) == [host.ShowPrompt(1, "sharing")]
    assert msg.HelperState("visible", "bob") in sent(effects)


def test_question_nobody_could_see_is_silence() -> None:
    """CO-07, rule 6."""
    pc = Pc().join()
    pc.give(host.HelperGone())
    pc.say(msg.Ask(1, "sharing", 60))
    assert msg.ConsentAnswer(1, "silence", False) in sent(pc.fire("ask sharing"))


def test_answer_given_offline_is_sent_after_the_reconnect() -> None:
    """CO-01 with a loss of network."""
    pc = Pc("application").join()
    pc.say(msg.Ask(7, "restart", 60))
    pc.give(host.Disconnected("cable"))
    pc.give(host.Answered(1, "no"))
    pc.fire("retry")
    pc.greet()
    assert msg.ConsentAnswer(7, "no", True) in sent(pc.say(msg.Resumed("session-1", "k", pc.state.settings, 0, 0)))


def test_sharing_is_captured_and_stops_with_the_session() -> None:
    """R9, I5."""
    pc = Pc().join()
    assert host.Capture(True) in pc.say(msg.Sharing(True))
    assert host.Capture(False) in pc.say(msg.SessionOver("ended"))


# --- leaving (R5, rule 12) -------------------------------------------------------------------------------------------------


def close(pc: Pc) -> int:
    """Press the close button; return the number of the question that follows."""
    prompt = of(pc.give(host.CloseClicked()), host.ShowPrompt)[0]
    assert isinstance(prompt, host.ShowPrompt)
    assert prompt.kind == "leave"
    return prompt.prompt


@pytest.mark.parametrize("how", ["yes", "silence", "gone"])
def test_only_a_confirmed_close_counts(how: str) -> None:
    """Rule 12, CO-10."""
    pc = Pc().join()
    pc.order()
    prompt = close(pc)
    events: dict[str, host.Input] = {
        "yes": host.Answered(prompt, "yes"), "silence": TimerFired("ask leave"), "gone": host.PromptGone(prompt)}
    assert sent(pc.give(events[how])) == []
    assert pc.state.goal == "member"
    assert pc.restarting


def test_leaving_before_the_request_stops_everything() -> None:
    """Rule 12, CO-10."""
    pc = Pc("application").join()
    pc.hold = (host.ArmAutostart,)
    pc.order()
    effects = pc.give(host.Answered(close(pc), "no"))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    pc.give(host.Completed(pc.state.hands.op))
    assert pc.residue() == ()
    assert not pc.restarting
    assert not pc.alive


def test_leaving_after_the_request_lets_the_pc_restart_but_nobody_comes_back() -> None:
    """Rule 12, CO-10; the boot flag goes too (I6)."""
    pc = Pc().join()
    pc.order("safe")
    effects = pc.give(host.Answered(close(pc), "no"))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    assert "AbortRestart" not in asked(effects)
    assert pc.restarting
    assert pc.residue() == ()


def test_leaving_offline_is_told_after_the_reconnect() -> None:
    """Rule 12."""
    pc = Pc("application").join()
    pc.give(host.Disconnected("cable"))
    pc.give(host.Answered(close(pc), "no"))
    assert pc.state.goal == "going"
    pc.fire("retry")
    pc.greet()
    effects = pc.say(msg.Resumed("session-1", "k", pc.state.settings, 0, 0))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    assert not pc.alive


def test_destroyed_chat_is_opened_again_and_the_order_stands() -> None:
    """Rule 12, CO-11."""
    pc = Pc().join()
    pc.order()
    assert host.OpenChat() in pc.give(host.ChatDestroyed("restart manager"))
    assert pc.restarting
    shutdown(pc)
    assert pc.give(host.ChatDestroyed("Windows")) == []


# --- the end ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [msg.SessionOver("ended"), msg.TurnedAway("expired")])
@pytest.mark.parametrize("mode", ["application", "service"])
def test_end_of_the_session_leaves_nothing(mode: msg.AgentMode, end: msg.ServerMessage) -> None:
    """Rule 7, I7, rule 13: also with an order under way."""
    pc = Pc(mode).join()
    pc.order()
    effects = pc.say(end)
    assert host.Tell(getattr(end, "reason", "")) in effects
    assert host.CloseChat() in effects
    assert not pc.restarting
    assert pc.residue() == ()
    assert pc.alive == (mode == "service")
    assert pc.timers == {} or not pc.alive


def test_customer_asks_anew_in_the_same_process() -> None:
    """R13: a service takes the new request when it has cleaned up."""
    pc = Pc().join()
    pc.hold = (host.Erase,)
    pc.say(msg.SessionOver("expired"))
    pc.give(host.CustomerStarts("session-2"))
    pc.hold = ()
    assert host.Connect() in pc.give(host.Completed(pc.state.hands.op))
    pc.greet()
    assert sent(pc.effects)[-1] == msg.Join("session-2", "boot-1", "ann")


def test_unknown_version_ends_cleanly() -> None:
    """Version negotiation."""
    pc = Pc("application")
    pc.start()
    pc.give(host.CustomerStarts("session-1"))
    pc.give(host.Connected())
    assert host.Tell("version") in pc.say(msg.Welcome(99))
    assert not pc.alive


# --- illegal input -----------------------------------------------------------------------------------------------------------


STARTED = host.Started(
    host.BootFacts("boot-1", "machine-1", "windows", "service", False, True, "ann", "visible"), None)


@pytest.mark.parametrize(
    ("prepare", "event", "error"),
    [
        (lambda pc: None, host.Connected(), core.NotStarted),
        (lambda pc: pc.start(), STARTED, core.AlreadyStarted),
        (lambda pc: pc.start(), host.Connected(), core.NoConnection),
        (lambda pc: pc.join(), host.Connected(), core.NoConnection),
        (lambda pc: pc.join(), host.ConnectFailed("x"), core.NoConnection),
        (lambda pc: pc.join(), host.CustomerStarts("x"), core.AlreadyInSession),
        (lambda pc: (pc.start(), pc.fire("idle")), host.NetworkChanged(), core.Exited),
    ],
)
def test_illegal_input_is_named_and_changes_nothing(prepare, event, error) -> None:  # type: ignore[no-untyped-def]
    """Design, *Functional core*: a named error, and the state as it was."""
    pc = Pc("application")
    prepare(pc)
    before = pc.state
    with pytest.raises(error, match="expected"):
        core.step(pc.state, event)
    assert pc.state is before


def test_phone_mode_offers_no_cancel_in_a_session() -> None:
    """R11: only from the start of the agent until the session has resumed."""
    pc = Pc("application").join(PHONE)
    assert of(pc.effects, host.ShowCancel) == []
    pc.give(host.CancelClicked())
    assert pc.state.goal == "member"
