"""A server rebuilt from its journal behaves the same (issue 2, point 4; NE-12), whatever happened and wherever it died.

Random lives of a session: every few steps the server dies, also between two effects of one step. After every step the
journal is replayed and compared, and what must always hold is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import PROFILES, Account
from rrsim.server import core
from rrsim.server.vocabulary import AgentGone, AgentSaid, Claimed, Input, Recovered, RepGone, RepHere, RepSaid
from tests.server.bench import MACHINE, REP, SESSION, Bench, durable_of


def _number(b: Bench) -> int:
    return b.state.durable.restarts


def _claim(b: Bench, claim: Any, machine: str = MACHINE) -> Claimed:
    b.conn += 1
    return Claimed(b.conn, machine, b.platform, b.mode, claim, b.fresh())


def _said(message: Callable[[Bench], msg.AgentMessage]) -> Callable[[Bench], Input]:
    return lambda b: AgentSaid(b.state.conn, message(b), b.fresh())


def _rep(message: Callable[[Bench], msg.RepMessage], rep: str = REP) -> Callable[[Bench], Input]:
    return lambda b: RepSaid(rep, message(b), b.fresh())


def _chat(b: Bench) -> msg.AgentMessage:
    return msg.AgentChat(b.state.durable.endpoint.line + 1, "hi")


def _resume(boot: str, machine: str = MACHINE, desktop: msg.Desktop = "visible") -> Callable[[Bench], Input]:
    return lambda b: _claim(b, msg.Resume(SESSION, b.ticket, boot, False, True, "customer", desktop), machine)


MOVES: Final[dict[str, Callable[[Bench], Input]]] = {
    "join": lambda b: _claim(b, msg.Join(SESSION, "boot-1", "customer")),
    "take": _rep(lambda _: msg.Take()),
    "rep-2 takes": _rep(lambda _: msg.Take(), "rep-2"),
    "ask": _rep(lambda _: msg.AskRestart("tools menu")),
    "ask safe": _rep(lambda _: msg.AskRestart("tools menu", "safe")),
    "rep yes": _rep(lambda b: msg.Confirm(_number(b), "yes")),
    "rep no": _rep(lambda b: msg.Confirm(_number(b), "no")),
    "customer yes": _said(lambda b: msg.ConsentAnswer(b.state.durable.asks, "yes", True)),
    "customer no": _said(lambda b: msg.ConsentAnswer(b.state.durable.asks, "no", True)),
    "customer silent": _said(lambda b: msg.ConsentAnswer(b.state.durable.asks, "silence", False)),
    "armed": _said(lambda b: msg.Armed(_number(b))),
    "arm failed": _said(lambda b: msg.ArmFailed(_number(b), "step", "reason")),
    "restarting": _said(lambda b: msg.Restarting(_number(b))),
    "not restarting": _said(lambda b: msg.NotRestarting(_number(b), "blocked")),
    "heartbeat": _said(lambda _: msg.Heartbeat()),
    "chat": _said(_chat),
    "helper": _said(lambda _: msg.HelperState("visible", "customer")),
    "other user": _said(lambda _: msg.HelperState("visible", "other")),
    "leave": _said(lambda _: msg.Leave("bye")),
    "gone": lambda b: AgentGone(b.state.conn, "reset"),
    "resume": _resume("boot-2"),
    "resume again": _resume("boot-3", desktop="none"),
    "resume same boot": _resume("boot-1"),
    "stranger": _resume("boot-2", "machine-2"),
    "stand-by": lambda b: _claim(b, msg.Resume(SESSION, b.standby, "boot-4", False, True, "", "none")),
    "reconnect": lambda b: _claim(b, msg.Reconnect(SESSION, b.key, b.state.durable.endpoint.boot, False)),
    "reconnect restarting": lambda b: _claim(b, msg.Reconnect(SESSION, b.key, b.state.durable.endpoint.boot, True)),
    "cancel": lambda b: _claim(b, msg.CancelResume(SESSION, b.ticket)),
    "rep chats": _rep(lambda _: msg.RepChat("hello")),
    "share": _rep(lambda _: msg.RequestSharing(True)),
    "unshare": _rep(lambda _: msg.RequestSharing(False)),
    "transfer": _rep(lambda _: msg.Transfer("rep-2")),
    "rep gone": lambda _: RepGone(REP),
    "rep here": lambda _: RepHere(REP),
    "end": _rep(lambda _: msg.EndSession()),
}
RARE: Final = ("leave", "end", "cancel")
OFTEN: Final = tuple(name for name in MOVES if name not in RARE)
WAITS_US: Final = (1_000_000, 65_000_000, 299_999_999, 300_000_000, 599_999_999, 600_000_000)

MOVE = st.one_of(
    st.sampled_from(OFTEN), st.sampled_from(OFTEN), st.sampled_from(OFTEN), st.sampled_from(tuple(MOVES)),
    st.sampled_from(WAITS_US), st.just("crash"), st.tuples(st.sampled_from(OFTEN), st.integers(0, 6)),
)  # fmt: skip
ACCOUNTS: Final = (*PROFILES.values(), Account(phone_mode=True), Account(idle_timeout_us=200_000_000),
                   Account(window_opens="order"), Account(window_opens="disconnect"))  # fmt: skip
STARTS: Final = ("", "active", "ordered", "armed", "rebooting")


def play(b: Bench, move: Any) -> None:
    """Make one move, if it makes sense at all."""
    if isinstance(move, int):
        b.wait(move)
    elif move == "crash":
        b.crash()
    else:
        name, crash_after = move if isinstance(move, tuple) else (move, None)
        b.do(MOVES[name](b), crash_after)
    always(b)


def always(b: Bench) -> None:
    """What must hold after every step."""
    d = b.state.durable
    assert hash(b.state) is not None
    assert durable_of(b.journal) == d
    assert (b.state.conn != 0) == d.endpoint.present
    if b.state.over:
        assert not b.timers, b.timers
        return
    away = bool(d.endpoint.machine) and not d.endpoint.present
    if d.restart.window or (away and not d.offline):
        assert "window" in b.timers, "somebody is waited for without end"
    if d.restart.stage == "confirming":
        assert "confirm" in b.timers
    if b.state.ordered and d.endpoint.present and not d.restart.window:
        assert "limit" in b.timers, "an order without a limit"
    assert ("ask restart" in b.timers) == bool(d.restart_ask)
    assert ("ask sharing" in b.timers) == bool(d.sharing_ask)
    assert ("rep" in b.timers) >= d.rep_lost
    assert [c.seq for c in b.records(rec.ChatLine)] == list(range(1, d.seq + 1))


def life_is_lawful(journal: list[rec.AnyRecord]) -> None:
    """I1, I2 and the bookkeeping of restarts, over a whole journal."""
    over = False
    resumed: set[int] = set()
    concluded: set[int] = set()
    for record in journal:
        if over:
            assert isinstance(record, rec.ClaimRejected), f"I1: {record!r} after the end"
        if isinstance(record, rec.EndpointResumed) and record.restart:
            assert record.restart not in resumed, "I2"
            assert record.restart not in concluded, "resumed although it was taken back"
            resumed.add(record.restart)
        if isinstance(record, rec.RestartRefused | rec.RestartCancelled | rec.RestartUndone):
            assert record.restart not in concluded | resumed, f"concluded twice: {record!r}"
            concluded.add(record.restart)
        over = over or isinstance(record, rec.SessionExpired | rec.SessionLost | rec.SessionEnded)
    asked = {record.restart for record in journal if isinstance(record, rec.RestartAsked)}
    assert asked == set(range(1, len(asked) + 1))
    answers = [r.ask for r in journal if isinstance(r, rec.CustomerAnswered)]
    assert len(answers) == len(set(answers)), "a question answered twice"


@given(
    st.sampled_from(ACCOUNTS), st.sampled_from(["application", "service"]), st.sampled_from(STARTS),
    st.lists(MOVE, max_size=25),
)  # fmt: skip
@settings(max_examples=600, deadline=None)
def test_any_life_replays_and_ends(account: Account, mode: Any, start: str, moves: list[Any]) -> None:
    b = Bench(account, mode)
    if start and not (account.needs_viewer and start != "active"):
        getattr(b, start)()
    for move in moves:
        play(b, move)
    b.no_secret_in_journal()
    # I9: with nobody coming any more, everything that was under way comes to an end.
    if b.state.conn:
        b.drop()
    for _ in range(3):
        b.wait(account.restart_limit_us + account.resume_window_us)
        always(b)
    final = b.state.over or b.name == "offline" or not b.state.durable.endpoint.machine
    assert final, b.name
    assert not b.state.durable.restart.window
    life_is_lawful(b.journal)


def _away(name: str) -> Bench:
    return {
        "announced": lambda: Bench().rebooting(),
        "armed": lambda: Bench().armed(),
        "ordered": lambda: Bench().ordered(),
        "service": lambda: Bench(mode="service").rebooting(),
    }[name]()


@pytest.mark.parametrize("stage", ["announced", "armed", "ordered", "service"])
@pytest.mark.parametrize("ending", ["resume", "expire"])
def test_the_rebuilt_server_resumes_and_expires_the_same_way(stage: str, ending: str) -> None:
    seen = []
    for crash in (False, True):
        b = _away(stage)
        if crash:
            b.crash()
            b.do(RepHere(REP))
        elif b.state.conn:
            b.drop()
        due_us = b.timers["window"][0]
        if ending == "resume":
            b.until(due_us - 1)
            b.resume()
        else:
            b.until(due_us)
        seen.append((b.name, due_us, b.ticket != "", b.journal[-1]))
    assert seen[0] == seen[1]
    assert seen[0][0] == ("active" if ending == "resume" else "expired")


def test_every_prefix_of_a_long_journal_can_be_recovered_from() -> None:
    b = Bench(Account(ask_before_restart=True, ask_before_sharing=True, foreign_resumes=True), "service").active()
    b.say(msg.HelperState("visible", "customer"))
    b.rep(msg.RequestSharing(True))
    b.say(msg.AgentChat(1, "hello"))
    b.rep(msg.Confirm(b.ask(boot_mode="safe"), "yes"))
    b.say(msg.ConsentAnswer(1, "yes", True))
    b.say(msg.Armed(1))
    b.say(msg.Restarting(1))
    b.drop()
    b.rep(msg.Transfer("rep-2"))
    b.resume(desktop="none", user="")
    b.say(msg.HelperState("visible", "other"))
    b.say(msg.ConsentAnswer(2, "no", True))
    b.rep(msg.EndSession(), rep="rep-2")
    assert len({type(record) for record in b.journal}) > 16
    for length in range(1, len(b.journal) + 1):
        rebuilt = core.rebuild(tuple(b.journal[:length]))
        state, effects = core.step(rebuilt, Recovered())
        assert state.over == rebuilt.over
        assert not state.durable.endpoint.present
        assert state.durable.restart.stage in ("", "arming", "armed")
        assert not state.ordered or state.durable.restart.window or state.over
        assert core.step(state, Recovered())[0] == state, "recovering twice changes nothing more"
        assert state.over == (not effects) or state.name == "queued"


def test_recovering_undoes_what_was_only_talk() -> None:
    b = Bench().active()
    b.ask()
    b.crash()
    assert b.last(rec.RestartRefused).reason == "the session server was restarted"
    assert b.name == "interrupted"
    b.reconnect()
    assert b.ask() == 2


def test_a_dead_server_keeps_the_deadline_it_had() -> None:
    b = Bench().rebooting()
    due = b.timers["window"]
    b.wait(20_000_000)
    b.crash()
    assert b.timers["window"] == due
    b.until(due[0])
    assert b.name == "expired"
