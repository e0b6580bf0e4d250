"""For each invariant a deliberate bug, and the shortest way to it: a check that cannot fail is a defect.

The bugs are wrapped round the real step functions here; product code has no switches for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_part
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from rrsim.agent import core as agent_core
from rrsim.agent import host
from rrsim.backends.sim import pc
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.backends.sim.stranger import STRANGE_MACHINE
from rrsim.broken.catalogue import BUGS as CATALOGUE
from rrsim.explore.model import INVARIANTS, Budget, Model
from rrsim.explore.models import named
from rrsim.explore.models.application import APPLICATION
from rrsim.explore.models.phone import PHONE
from rrsim.explore.models.safe_mode import SAFE_MODE
from rrsim.explore.report import Limits, Report
from rrsim.explore.search import run
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import SetTimer, TimerFired
from rrsim.server import core as server_core
from rrsim.server import vocabulary

Step = Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]
PLAIN = replace(APPLICATION, budget=Budget(asks=1))
LOSSY = replace(APPLICATION, budget=Budget(asks=1, faults=1, losses=1))
FOREIGN = replace(APPLICATION, budget=Budget(asks=1, faults=1, foreign=1, sudden=1))
STRANGER = replace(APPLICATION, budget=Budget(asks=1, faults=1, strangers=1))
CANCELLING = replace(PHONE, budget=Budget(asks=1, faults=1, cancels=1))
CLOSING = replace(APPLICATION, budget=Budget(asks=1, faults=1, troubles=1, chats=1))


def hears(step: Step, change: Callable[[Any, Any], Any]) -> Step:
    """Return a step that hears something else; None: nothing."""

    def broken(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        event = change(state, event)
        return (state, ()) if event is None else step(state, event)

    return broken


def does(step: Step, change: Callable[[Any, Any], Any]) -> Step:
    """Return a step in which each effect is another one; None: it does not happen."""

    def broken(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        after, effects = step(state, event)
        changed = (change(event, effect) for effect in effects)
        return after, tuple(effect for effect in changed if effect is not None)

    return broken


def agent(step: Step) -> Parts:
    return with_part(REAL, agent=step)


def server(step: Step) -> Parts:
    return with_part(REAL, server=step)


# --- the bugs ---------------------------------------------------------------------------------------------------


def _accepts_expired(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
    """EX: a resume is accepted although the session is expired."""
    if isinstance(event, vocabulary.Claimed) and isinstance(event.claim, msg.Resume) and state.name == "expired":
        late = rec.EndpointResumed("session-1", 1, event.claim.boot, "", False, "", event.machine)
        return state, (vocabulary.Write(late),)
    return server_core.step(state, event)


def _ticket_twice(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
    """The ticket stays good: a resume whose answer was lost counts as one more."""
    after, effects = server_core.step(state, event)
    if not (isinstance(event, vocabulary.Claimed) and isinstance(event.claim, msg.Resume)):
        return after, effects
    again = rec.EndpointResumed("session-1", 1, event.claim.boot, "", False, "", event.machine)
    known = [e for e in effects if isinstance(e, vocabulary.Write) and isinstance(e.record, rec.EndpointReconnected)]
    return after, tuple(vocabulary.Write(again) if e in known else e for e in effects)


def _back_is_resumed(_: Any, effect: Any) -> Any:
    """The old boot's reconnection counts as a resumption (rule 9)."""
    back = isinstance(effect, vocabulary.Write) and isinstance(effect.record, rec.EndpointReconnected)
    if back and effect.record.restarting:
        return vocabulary.Write(rec.EndpointResumed("session-1", 1, "boot-1", "", False, "", "machine-1"))
    return effect


def _silence_is_yes(_: Any, event: Any) -> Any:
    m = getattr(event, "message", None)
    if isinstance(m, msg.ConsentAnswer) and m.answer == "silence":
        return replace(event, message=replace(m, answer="yes", human=True))
    return event


def _no_is_yes(_: Any, event: Any) -> Any:
    m = getattr(event, "message", None)
    return replace(event, message=replace(m, answer="yes")) if isinstance(m, msg.Confirm) else event


def _forgets_autostart(_: Any, effect: Any) -> Any:
    """The autostart entry is never taken away (rule 7)."""
    if isinstance(effect, host.Request) and isinstance(effect.what, host.DisarmAutostart):
        return replace(effect, what=host.ArmAutostart())
    return effect


def _any_boot_is_ordered(_: Any, event: Any) -> Any:
    """The agent resumes from a boot that nobody ordered (rule 3)."""
    if isinstance(event, host.Started) and event.saved is not None:
        return replace(event, saved=replace(event.saved, intent=True))
    return event


def _ignores_the_window(_: Any, event: Any) -> Any:
    return None if event == TimerFired("window") else event


def _never_misses_anybody(_: Any, effect: Any) -> Any:
    gone = isinstance(effect, vocabulary.Write) and isinstance(effect.record, rec.EndpointLost)
    return None if gone else effect


def _counts_chat_twice(_: Any, effect: Any) -> Any:
    if isinstance(effect, vocabulary.Write) and isinstance(effect.record, rec.ChatLine) and effect.record.seq > 1:
        return vocabulary.Write(replace(effect.record, seq=effect.record.seq + 1))
    return effect


def _shares_at_once(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
    """After the restart the screen comes back without a question (R9)."""
    after, effects = server_core.step(state, event)
    asks = [e for e in effects if isinstance(e, vocabulary.ToAgent) and isinstance(e.message, msg.Ask)]
    sharing = [e for e in asks if e.message.kind == "sharing"]
    return after, tuple(replace(e, message=msg.Sharing(True)) if e in sharing else e for e in effects)


def _mac_restarts() -> Parts:
    """A Mac is taken for a PC, on both sides."""

    def taken_for_windows(_: Any, event: Any) -> Any:
        if isinstance(event, host.Started):
            return replace(event, facts=replace(event.facts, platform="windows"))
        return replace(event, platform="windows") if isinstance(event, vocabulary.Claimed) else event

    return with_part(
        REAL, agent=hears(agent_core.step, taken_for_windows), server=hears(server_core.step, taken_for_windows)
    )


def _safe_mode_for_all(_: Any, event: Any) -> Any:
    """The server takes every agent for a service (R2)."""
    return replace(event, mode="service") if isinstance(event, vocabulary.Claimed) else event


def _flag_left(_: Any, effect: Any) -> Any:
    """The safe-boot flag is not cleared: the PC stays in safe mode for ever (SM-04)."""
    if isinstance(effect, host.Request) and isinstance(effect.what, host.ClearBootFlag):
        return replace(effect, what=host.ReadBootFlag())
    return effect


def _takes_close_for_leaving(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
    """The first press on the close button counts, unconfirmed (rule 12)."""
    after, effects = agent_core.step(state, event)
    if isinstance(event, host.CloseClicked):
        effects = (*effects, host.Send(msg.Leave("closed")))
    return after, effects


def _answers_with_a_ghost(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
    """The agent says hello again on a connection that is in the session already."""
    after, effects = agent_core.step(state, event)
    if isinstance(event, host.Received) and isinstance(event.message, msg.Order):
        effects = (*effects, host.Send(msg.Hello((1,), "windows", "application", "machine-1")))
    return after, effects


def _any_machine(_: Any, event: Any) -> Any:
    """Whoever shows the ticket is taken for the customer's PC (rule 5)."""
    if isinstance(event, vocabulary.Claimed) and event.machine == STRANGE_MACHINE:
        return replace(event, machine="machine-1")
    return event


def _deaf_to_cancel(_: Any, event: Any) -> Any:
    """Phone mode's way out does nothing (R11)."""
    return None if isinstance(event, host.CancelClicked) else event


def _nobody_leaves(_: Any, event: Any) -> Any:
    """No to *keep the session open?* counts as Yes (rule 12)."""
    return replace(event, answer="yes") if isinstance(event, host.Answered) else event


BUGS: dict[str, tuple[str, Any, Callable[[], Parts]]] = {
    "resume accepted after expiry": ("I1", PLAIN, lambda: server(_accepts_expired)),
    "ticket accepted twice": ("I2", LOSSY, lambda: server(_ticket_twice)),
    "a loss is not recorded": ("I3", LOSSY, lambda: server(does(server_core.step, _never_misses_anybody))),
    "the representative's No is Yes": ("I4", PLAIN, lambda: server(hears(server_core.step, _no_is_yes))),
    "silence is Yes": ("I4", PLAIN, lambda: server(hears(server_core.step, _silence_is_yes))),
    "the screen comes back unasked": ("I5", PLAIN, lambda: server(_shares_at_once)),
    "safe-boot flag left": ("I6", SAFE_MODE, lambda: agent(does(agent_core.step, _flag_left))),
    "autostart entry left": ("I7", PLAIN, lambda: agent(does(agent_core.step, _forgets_autostart))),
    "a Mac is restarted": ("I8", replace(PLAIN, platform="mac"), _mac_restarts),
    "the window never ends": ("I9", PLAIN, lambda: server(hears(server_core.step, _ignores_the_window))),
    "safe mode for every mode": (
        "I10", replace(PLAIN, boot_modes=("safe",)), lambda: server(hears(server_core.step, _safe_mode_for_all)),
    ),
    "foreign boot resumes": ("I11", FOREIGN, lambda: agent(hears(agent_core.step, _any_boot_is_ordered))),
    "a chat number is skipped": ("I12", CLOSING, lambda: server(does(server_core.step, _counts_chat_twice))),
    "an answer nobody gave": ("I13", PLAIN, lambda: server(hears(server_core.step, _silence_is_yes))),
    "an unconfirmed close counts": ("I13", CLOSING, lambda: agent(_takes_close_for_leaving)),
    "the reconnect is not cancelled": ("R11", CANCELLING, lambda: agent(hears(agent_core.step, _deaf_to_cancel))),
    "the customer cannot leave": ("rule 12", CLOSING, lambda: agent(hears(agent_core.step, _nobody_leaves))),
    "a ticket is good on any machine": ("rule 5", STRANGER, lambda: server(hears(server_core.step, _any_machine))),
    "the old boot is resumed": ("rule 9", LOSSY, lambda: server(does(server_core.step, _back_is_resumed))),
    "a second hello": ("legal input", PLAIN, lambda: agent(_answers_with_a_ghost)),
}  # fmt: skip


@cache
def holds(model: Model) -> bool:
    return not run(model).violations


def hunt(name: str) -> Report:
    _, model, parts = BUGS[name]
    return run(model, parts())


@pytest.mark.parametrize("name", BUGS)
def test_each_bug_is_found_with_a_trace(name: str) -> None:
    invariant, model, _ = BUGS[name]
    report = hunt(name)
    assert report.outcome == "failed"
    found = [v for v in report.violations if v.invariant == invariant]
    assert found, f"expected {invariant}; seen: {[(v.invariant, v.message) for v in report.violations]}"
    first = found[0]
    moves = [line for line in first.trace if not line.startswith(" ")]
    assert len(moves) == first.depth
    assert first.depth <= report.depth + 1
    assert holds(model), "the same model holds without the bug"


def test_every_invariant_can_fail() -> None:
    assert {invariant for invariant, _, _ in BUGS.values()} == set(INVARIANTS)


def test_a_trace_is_the_shortest_there_is() -> None:
    """Two moves are needed and enough: the representative asks, and says No."""
    model = replace(PLAIN, account=Account())
    first = run(model, server(hears(server_core.step, _no_is_yes))).violations[0]
    assert (first.invariant, first.depth) == ("I4", 2)
    moves = [line for line in first.trace if not line.startswith(" ")]
    assert moves == [
        "rep: ask-restart(place=chat window, boot_mode=normal)", "rep: confirm(order=1, answer=no)",
    ]  # fmt: skip


def test_a_trace_shows_what_happened_and_no_secret() -> None:
    report = hunt("resume accepted after expiry")
    first = next(v for v in report.violations if v.invariant == "I1")
    text = "\n".join(first.trace)
    for what in ("order given", "boot began", "session expired", "resume(", "timer 'window' fires"):
        assert what in text
    assert "ticket=***" in text
    assert "ticket-1" not in text


def test_a_bug_that_was_asked_not_to_matter_is_not_reported() -> None:
    model = replace(PLAIN, invariants=("I8",))
    assert run(model, server(hears(server_core.step, _no_is_yes))).violations == ()


def test_a_step_that_loses_an_answer_of_windows_is_found() -> None:
    """Bounded liveness: a PC whose calls never return leaves the restart undecided for ever."""

    def deaf(_: Any, event: Any) -> Any:
        return None if type(event).__name__ == "HostAsked" else event

    report = run(PLAIN, with_part(REAL, pc=hears(pc.step, deaf)))
    assert any(v.invariant in ("I9", "I7") for v in report.violations)


def test_a_cycle_without_a_way_out_is_found_in_both_modes() -> None:
    """Bounded liveness: an agent whose attempt after the restart failed puts the next one off, again and again."""

    def puts_off(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        if event == TimerFired("retry") and state.goal == "resuming":
            return state, (SetTimer("retry", 1),)
        return agent_core.step(state, event)

    model = replace(PLAIN, budget=Budget(asks=1, faults=1, failures=1))
    assert run(model).settled
    for fingerprints in (False, True):
        report = run(model, agent(puts_off), fingerprints=fingerprints)
        first = report.violations[0]
        assert (first.invariant, len(report.violations)) == ("I9", 1)
        assert "a cycle without a way out" in first.message
        assert not report.settled
        assert len([line for line in first.trace if not line.startswith(" ")]) == first.depth


@pytest.mark.parametrize(
    ("bug", "model", "invariant"),
    [
        ("safe boot key left", "safe-mode", "I7"),
        ("Mac restarted", "mac", "I8"),
        ("foreign restart resumed", "application", "I11"),
        ("phone-mode cancel ignored", "phone-mode", "R11"),
        ("second endpoint accepted", "second-machine", "I3"),
        ("safe mode offered in application mode", "second-restart", "I10"),
    ],
)
def test_bugs_of_the_catalogue_are_found(bug: str, model: str, invariant: str) -> None:
    [found] = [b for b in CATALOGUE if b.name == bug]
    report = run(named(model), found.parts(), Limits(violations=1))
    assert report.outcome == "failed"
    assert invariant in {violation.invariant for violation in report.violations}


def test_a_claim_on_another_customers_session_is_found() -> None:
    """Two customers: the second one's agent comes back with the first one's session."""

    def mixed_up(_: Any, event: Any) -> Any:
        if isinstance(event, host.Started) and event.saved is not None and event.saved.session == "session-2":
            return replace(event, saved=replace(event.saved, session="session-1"))
        return event

    model = replace(named("two-customers"), budget=Budget(asks=1))
    report = run(model, agent(hears(agent_core.step, mixed_up)))
    assert [v.invariant for v in report.violations] == ["legal input"]
    assert "another customer's" in report.violations[0].message
    assert "[customer 2]" in "\n".join(report.violations[0].trace)
