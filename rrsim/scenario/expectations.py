"""What a scenario expects of its own case, held against what happened.

Everything is taken up to the moment the harness heals its faults and begins to wind the run down (``healed``): what
the harness does after that -- ending sessions, the probe boot -- is not the scenario's. Verdicts are the exception: a
restart may be decided later.

Each expectation gives one :class:`~rrsim.scenario.result.CheckResult` named ``expect …``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from rrsim.machine import observations as seen
from rrsim.machine.inventory import difference
from rrsim.protocol import records as r
from rrsim.protocol.messages import SessionView
from rrsim.scenario import unseen
from rrsim.scenario.checks import Pass
from rrsim.scenario.checks.base import clock
from rrsim.scenario.history import Entry, History
from rrsim.scenario.model import Expect, ExpectedEvent, ExpectedRestart
from rrsim.scenario.result import CheckResult, RestartResult
from rrsim.scenario.tracker import Tracker, customer_of_session, customer_of_source
from rrsim.scenario.vocabulary import EVENT_TYPES
from rrsim.scenario.words import yaml_key

FIRST_PC: Final = "pc-1"


class Case:
    """What expectations are held against."""

    __slots__ = ("_entries", "expect", "history", "restarts", "steps_end")

    def __init__(self, expect: Expect, history: History, found: Pass, restarts: tuple[RestartResult, ...]) -> None:
        self.expect = expect
        self.history = history
        self.restarts = restarts
        self.steps_end = found.healed_at if found.healed_at >= 0 else len(history.entries)
        self._entries: list[Entry] | None = None

    @property
    def entries(self) -> list[Entry]:
        """What happened while the steps went on."""
        if self._entries is None:
            self._entries = self.history.entries[: self.steps_end]
        return self._entries

    def tracker(self) -> Tracker:
        """Return the sessions as they stood when the steps were over."""
        tracker = Tracker(self.history.header)
        for entry in self.entries:
            tracker.feed(entry)
        return tracker


def evaluate(
    expect: Expect, history: History, found: Pass, restarts: tuple[RestartResult, ...]
) -> tuple[CheckResult, ...]:
    """Hold every expectation of a scenario against its history. ``broken_invariant`` is :func:`invert`'s business."""
    case = Case(expect, history, found, restarts)
    out: list[CheckResult] = []
    if expect.verdict is not None:
        out += _verdict(case)
    if expect.restarts is not None:
        out += _restarts(case, expect.restarts)
    if expect.session is not None:
        out.append(_session(case))
    for field, one in _SIMPLE.items():
        if getattr(expect, field) is not None:
            out.append(one(case))
    out += [_event(case, number, event) for number, event in enumerate(expect.events, 1)]
    unobserved = history.header.unobserved
    return unseen.as_unknown(out, expect, unobserved) if unobserved else tuple(out)


def invert(results: Iterable[CheckResult], broken_invariant: str | None) -> tuple[CheckResult, ...]:
    """Turn the result of the invariant that a scenario expects to be broken around: it must fail (found bugs, and the
    harness's own tests). *Unknown* stays unknown; a name that no check has fails."""
    if broken_invariant is None:
        return tuple(results)
    out = []
    found = False
    for result in results:
        if result.check != broken_invariant:
            out.append(result)
            continue
        found = True
        if result.outcome == "passed":
            out.append(_fail(broken_invariant, "to be broken", "it holds", "is the bug this file shows fixed?"))
        elif result.outcome == "failed":
            out.append(_pass(broken_invariant, f"broken, as expected: {result.message}", result.entry))
        else:
            out.append(result)
    if not found:
        out.append(_fail(broken_invariant, "an invariant of that name", "there is none", "I1 … I13"))
    return tuple(out)


# --- restarts ---------------------------------------------------------------------------------------------------


def _verdict(case: Case) -> list[CheckResult]:
    """The short form: each customer who had a restart had exactly one, and it came to this."""
    expect = case.expect
    assert expect.verdict is not None
    customers = sorted({one.customer for one in case.restarts})
    if not customers or len(customers) != len(case.restarts):
        hint = "list them under 'restarts', or look at what restarted the PC"
        return [_fail("expect verdict", f"exactly one restart, {expect.verdict}", _list(case.restarts), hint)]
    wanted = ExpectedRestart(verdict=expect.verdict, losses=expect.losses, reason=expect.reason)
    return [_restart("expect verdict", wanted, one) for one in case.restarts]


def _restarts(case: Case, wanted: tuple[ExpectedRestart, ...]) -> list[CheckResult]:
    if len(wanted) != len(case.restarts):
        says = "no restart" if not wanted else f"{len(wanted)} restarts: {', '.join(w.verdict for w in wanted)}"
        return [_fail("expect restarts", says, _list(case.restarts), "list foreign restarts too, in order")]
    named = {one.name: one for one in case.restarts if one.name}
    taken = {w.name for w in wanted if w.name}
    rest = iter([one for one in case.restarts if one.name not in taken])
    out = [] if wanted else [_pass("expect restarts")]
    for number, want in enumerate(wanted, 1):
        label = f"expect restart {want.name or number}"
        got = named.get(want.name) if want.name else next(rest, None)
        if got is None:
            names = ", ".join(named) or "none has a name"
            out.append(_fail(label, f"a restart named {want.name!r}", names, "the 'name' of its step"))
        else:
            out.append(_restart(label, want, got))
    return out


def _restart(label: str, want: ExpectedRestart, got: RestartResult) -> CheckResult:
    seen_ = _one(got)
    if got.verdict == "unknown" and want.verdict != "unknown":
        message = f"expected {want.verdict}; seen: {seen_}; try: judge a complete history with all its witnesses"
        return CheckResult(check=label, outcome="unknown", message=message, cause="verdict unknown")
    if got.verdict != want.verdict:
        cause = f"{got.verdict} instead of {want.verdict}"
        return _fail(label, want.verdict, seen_, "rrsim show: who decided it, and when", cause)
    if want.kind is not None and got.kind != want.kind:
        return _fail(label, f"{want.kind} restart", seen_, "was the intent recorded before the PC went down?")
    if want.losses is not None and sorted(got.losses) != sorted(want.losses):
        return _fail(label, f"losses {list(want.losses)}", seen_, "what differs before and after the restart")
    if want.reason is not None and want.reason.lower() not in got.reason.lower():
        return _fail(label, f"a reason with {want.reason!r}", seen_, "the reason as the server recorded it")
    took_us = got.decided_us - got.asked_us
    if want.no_later_than_us is not None and took_us > want.no_later_than_us:
        return _fail(label, f"a verdict within {clock(want.no_later_than_us)}", f"{seen_} after {clock(took_us)}", "")
    if want.no_earlier_than_us is not None and took_us < want.no_earlier_than_us:
        expected = f"no verdict before {clock(want.no_earlier_than_us)}"
        return _fail(label, expected, f"{seen_} after {clock(took_us)}", "did something decide it before its time?")
    return _pass(label)


def _one(got: RestartResult) -> str:
    losses = f" ({', '.join(got.losses)})" if got.losses else ""
    reason = f", reason {got.reason!r}" if got.reason and not got.losses else ""
    return f"{got.kind} restart {got.number} of customer {got.customer}: {got.verdict}{losses}{reason}"


def _list(restarts: tuple[RestartResult, ...]) -> str:
    return "; ".join(_one(one) for one in restarts) or "no restart"


# --- sessions, boots, questions ---------------------------------------------------------------------------------


def _session(case: Case) -> CheckResult:
    """The first session of every customer; sessions a customer asks for later are told by their events."""
    firsts: dict[int, str] = {}
    states: dict[int, str] = {}
    for track in case.tracker().sessions.values():
        if track.customer not in firsts:
            firsts[track.customer] = track.session
            states[track.customer] = track.state
    wrong = [f"{firsts[c]} is {state}" for c, state in sorted(states.items()) if state != case.expect.session]
    if not states or wrong:
        seen_ = ", ".join(wrong) or "no session"
        return _fail("expect session", str(case.expect.session), seen_, "what the server recorded last about it")
    return _pass("expect session")


def _boots(case: Case) -> CheckResult:
    boots = [e for e in _of(case, seen.BootBegan) if e[1] == FIRST_PC and e[2].cause != "probe"]
    wanted = case.expect.boots
    if len(boots) == wanted:
        return _pass("expect boots")
    times = ", ".join(f"{clock(e[0])} ({e[2].cause})" for e in boots) or "none"
    return _fail("expect boots", f"{wanted} new boots of {FIRST_PC}", f"{len(boots)}: {times}", "what restarted the PC")


def _asked(case: Case) -> CheckResult:
    asked = tuple(e[2].kind for e in _of(case, r.CustomerAsked))
    wanted = case.expect.asked or ()
    if asked == wanted:
        return _pass("expect asked")
    return _fail("expect asked", _words(wanted), _words(asked), "the account's settings for consent (R7, R9)")


def _sharing(case: Case) -> CheckResult:
    """As the machine's own witness saw it: a capture ends with the process that does it."""
    on = False
    for _, source, event, _ in case.entries:
        if source != FIRST_PC:
            continue
        kind = type(event)
        if kind is seen.ScreenSeen:
            on = event.on
        elif kind in (seen.AgentStopped, seen.WentDown, seen.BootBegan):
            on = False
    wanted = case.expect.sharing
    if on == wanted:
        return _pass("expect sharing")
    words = {True: "the screen is shared", False: "the screen is not shared", None: ""}
    return _fail("expect sharing", words[wanted], words[on], "consent, and whether sharing ran before")


def _offered(case: Case) -> CheckResult:
    """What the console offered last before the first restart was asked."""
    view: SessionView | None = None
    for _, _, event, _ in case.entries:
        if type(event) is SessionView:
            view = event
        elif type(event) is r.RestartAsked:
            break
    if view is None:
        message = "expected what the console shows; seen: no such message; try: a backend that records the console"
        return CheckResult(check="expect offered", outcome="unknown", message=message, cause="witness missing")
    shown = {"restart": view.restart_offered, "safe mode": view.safe_mode_offered}
    for name, wanted in (case.expect.offered or {}).items():
        if shown[name] != wanted:
            says = {True: f"{name} is offered", False: f"{name} is not offered"}
            hint = "platform, agent mode, session kind and account (R1, R2, R10)"
            return _fail("expect offered", says[wanted], says[shown[name]], hint)
    return _pass("expect offered")


def _left_behind(case: Case) -> CheckResult:
    """Inventories are taken after the steps: this looks at the whole history."""
    before: tuple[str, ...] | None = None
    after: tuple[str, ...] | None = None
    for _, source, event, _ in case.history.entries:
        if type(event) is seen.InventoryTaken and source == FIRST_PC:
            if event.label == "after":
                after = event.items
            elif before is None:
                before = event.items
    if before is None or after is None:
        message = f"expected two inventories of {FIRST_PC}; seen: not both; try: a run that reaches its end"
        return CheckResult(check="expect left behind", outcome="unknown", message=message, cause="no inventory")
    left, wanted = difference(before, after), tuple(sorted(case.expect.left_behind or ()))
    if left == wanted:
        return _pass("expect left behind")
    hint = "an item that is gone needs no expectation any more"
    return _fail("expect left behind", _words(wanted), _words(left), hint)


def _of(case: Case, kind: type[Any]) -> list[Entry]:
    return [entry for entry in case.entries if type(entry[2]) is kind]


def _words(items: tuple[str, ...]) -> str:
    return ", ".join(items) or "nothing"


# --- events -----------------------------------------------------------------------------------------------------


def _event(case: Case, number: int, want: ExpectedEvent) -> CheckResult:
    label = f"expect event {number}: {want.event}"
    kind = EVENT_TYPES.get(want.event)
    limit = EVENT_TYPES.get(want.before) if want.before is not None else None
    if kind is None or (want.before is not None and limit is None):
        unknown = want.event if kind is None else want.before
        return _fail(label, "an event of the vocabulary", f"{unknown!r}", "docs/scenarios.md lists the events")
    found: list[int] = []
    limit_at = -1
    for at, entry in enumerate(case.entries):
        if limit is not None and limit_at < 0 and type(entry[2]) is limit:
            limit_at = at
        if type(entry[2]) is kind and _matches(case, entry, want.where):
            found.append(at)
    counted = found if limit is None else [at for at in found if limit_at < 0 or at < limit_at]
    what = want.event + "".join(f", {k} {v!r}" for k, v in want.where.items())
    if want.before is not None:
        what += f", before the first {want.before!r}"
    times = [clock(case.entries[at][0]) for at in found]
    seen_ = f"{len(counted)} times" + (f" (the event is at {', '.join(times[:5])})" if times else "")
    if want.times is None and not counted:
        return _fail(label, what, seen_, _near(case, kind), entry=found[0] if found else -1)
    if want.times is not None and len(counted) != want.times:
        expected = f"never {what}" if want.times == 0 else f"{want.times} times {what}"
        return _fail(label, expected, seen_, _near(case, kind), entry=counted[-1] if counted else -1)
    if limit is not None and limit_at < 0 and want.times != 0:
        return _fail(label, f"{what}", f"no {want.before!r} at all", "an order needs both events")
    return _pass(label)


def _matches(case: Case, entry: Entry, where: dict[str, str | int | bool]) -> bool:
    """Fields may be written as in YAML (``boot mode``); ``customer`` and ``source`` speak of the entry itself."""
    event = entry[2]
    for key, value in where.items():
        field = key.replace(" ", "_")
        if hasattr(event, field):
            got = getattr(event, field)
        elif key == "customer":
            session = getattr(event, "session", None)
            mapping = case.history.header.sessions
            got = customer_of_source(entry[1]) or (customer_of_session(session, mapping) if session else 0)
        elif key == "source":
            got = entry[1]
        else:
            got = next((getattr(event, f) for f in event.__struct_fields__ if yaml_key(f) == key), None)
        if got != value:
            return False
    return True


def _near(case: Case, kind: type[Any]) -> str:
    """Show what such events looked like, for a ``where`` that is slightly wrong."""
    others = [entry for entry in case.entries if type(entry[2]) is kind][:3]
    if not others:
        return "no such event happened at all during the steps"
    return "such events were: " + "; ".join(f"{clock(e[0])} {e[1]} {_fields(e[2])}" for e in others)


def _fields(event: Any) -> str:
    from rrsim.scenario.history_io import masked

    shown = masked(event)
    return " ".join(f"{f}={getattr(shown, f)!r}" for f in shown.__struct_fields__)


# --- results ----------------------------------------------------------------------------------------------------


def _pass(check: str, message: str = "", entry: int = -1) -> CheckResult:
    return CheckResult(check=check, outcome="passed", message=message, entry=entry)


def _fail(check: str, expected: str, seen_: str, hint: str, cause: str = "", entry: int = -1) -> CheckResult:
    message = f"expected {expected}; seen: {seen_}" + (f"; try: {hint}" if hint else "")
    return CheckResult(check=check, outcome="failed", message=message, cause=cause or check, entry=entry)


_SIMPLE: Final[dict[str, Callable[[Case], CheckResult]]] = {
    "boots": _boots,
    "asked": _asked,
    "sharing": _sharing,
    "offered": _offered,
    "left_behind": _left_behind,
}
"""Field of ``Expect`` -> what holds it against the case."""
