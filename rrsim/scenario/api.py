"""Scenarios in Python: a small builder over the same model, with the same checks as scenario files.

    from rrsim.scenario.actions import PowerCut, RepRestarts
    from rrsim.scenario.api import scenario

    case = (
        scenario("power is cut while services start", covers=["R1", "rule 3"])
        .given(agent="service", pc={"network": "wifi"})
        .do(RepRestarts(), called="order")
        .do(PowerCut(returns_after_us=us("30s")), when="phase began", where={"phase": "services"})
        .expect(verdict="resumed")
        .build()
    )

Durations are strings such as ``"9m"``, or whole microseconds. A builder is never changed: every call returns a new one,
so that a common beginning can be shared. Constructing :class:`~rrsim.scenario.model.Scenario` directly works as well;
:func:`check` says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

import msgspec

from rrsim.protocol.messages import AgentMode, Platform
from rrsim.protocol.records import SessionKind
from rrsim.scenario.actions import AnyAction
from rrsim.scenario.assemble import convert, read_moment
from rrsim.scenario.durations import us
from rrsim.scenario.errors import ScenarioError, ScenarioProblem, Trouble, TroubleFound, place
from rrsim.scenario.model import (
    AccountSettings,
    CustomerHabits,
    ExpectedEvent,
    ExpectedRestart,
    Loss,
    Moment,
    PcSetup,
    RepHabits,
    Scenario,
    SessionEnd,
    Step,
    VerdictName,
)
from rrsim.scenario.phrases import check_event, read_where
from rrsim.scenario.possible import check as check_possible
from rrsim.scenario.words import Duration

__all__ = ["Builder", "check", "scenario", "us"]

Values = Mapping[str, str | int | bool]
"""Settings as a scenario file writes them: ``{"network": "wifi", "wifi returns after": "20s"}``."""
When = str | int | None
"""A duration: ``"9m"``, or whole microseconds."""


def scenario(
    name: str,
    *,
    about: str = "",
    covers: Iterable[str] = (),
    edge_cases: Iterable[str] = (),
    area: str = "python",
    case: str = "",
    runs_for: When = None,
    meta: Mapping[str, str] | None = None,
) -> Builder:
    """Begin a scenario.

    Raises:
        WrongDuration: ``runs_for`` is no duration.
    """
    return Builder(
        Scenario(
            name=name,
            case=case,
            about=about,
            area=area,
            covers=tuple(covers),
            edge_cases=tuple(edge_cases),
            runs_for_us=_us(runs_for),
            meta=dict(meta or {}),
        )
    )


class Builder(msgspec.Struct, frozen=True):
    """A scenario in the making; :meth:`build` checks it and hands it out."""

    scenario: Scenario

    def given(
        self,
        *,
        agent: AgentMode | None = None,
        platform: Platform | None = None,
        session: Literal["active", "queued"] | None = None,
        kind: SessionKind | None = None,
        profile: str | None = None,
        account: AccountSettings | Values | None = None,
        pc: PcSetup | Values | None = None,
        customer: CustomerHabits | Values | None = None,
        rep: RepHabits | Values | None = None,
        customers: int | None = None,
        durations: Mapping[str, str | int] | None = None,
    ) -> Self:
        """Say who takes part and how things stand; what is not named stays as it is.

        Raises:
            ScenarioError: a mapping has a key or value that does not fit.
            WrongDuration: a duration is none.
        """
        changes: dict[str, Any] = {
            "agent": agent,
            "platform": platform,
            "session": session,
            "kind": kind,
            "profile": profile,
            "account": _part(AccountSettings, account, "account"),
            "pc": _part(PcSetup, pc, "pc"),
            "customer": _part(CustomerHabits, customer, "customer"),
            "rep": _part(RepHabits, rep, "rep"),
            "customers": customers,
            "durations": {k: us(v) for k, v in durations.items()} if durations is not None else None,
        }
        given = msgspec.structs.replace(self.scenario.given, **{k: v for k, v in changes.items() if v is not None})
        return self._with(given=given)

    def do(
        self,
        action: AnyAction,
        *,
        at: When = None,
        after: str | None = None,
        when: str | None = None,
        where: Values | None = None,
        nth: int = 1,
        delay: str | int = 0,
        called: str = "",
    ) -> Self:
        """Add a step. Fields in ``where`` are written as in a scenario file (``safe mode``).

        Raises:
            ScenarioError: the event or one of its fields does not exist.
            WrongDuration: a duration is none.
        """
        step = ("steps", len(self.scenario.steps))
        # The words of a file are read by the code that reads files; durations may be numbers here and are set apart.
        words = {"after": after, "when": when, "where": dict(where) if where else None, "nth": nth, "called": called}
        try:
            moment: Moment = read_moment({key: value for key, value in words.items() if value is not None}, step)
        except TroubleFound as error:
            raise _error(self.scenario, error.troubles) from None
        moment = msgspec.structs.replace(moment, at_us=_us(at), delay_us=us(delay))
        return self._with(steps=(*self.scenario.steps, Step(moment, action)))

    def expect(
        self,
        *,
        verdict: VerdictName | None = None,
        losses: Iterable[Loss] | None = None,
        reason: str | None = None,
        restarts: Iterable[ExpectedRestart] | None = None,
        session: SessionEnd | None = None,
        boots: int | None = None,
        asked: Iterable[Literal["restart", "sharing"]] | None = None,
        sharing: bool | None = None,
        offered: Mapping[Literal["restart", "safe mode"], bool] | None = None,
        left_behind: Iterable[str] | None = None,
        events: Iterable[ExpectedEvent] = (),
        broken_invariant: str | None = None,
    ) -> Self:
        """Say what must hold at the end; several calls add up. Fields in an event's ``where`` are written as in a file.

        Raises:
            ScenarioError: an event or one of its fields does not exist.
        """
        changes: dict[str, Any] = {
            "verdict": verdict,
            "losses": _tuple(losses),
            "reason": reason,
            "restarts": _tuple(restarts),
            "session": session,
            "boots": boots,
            "asked": _tuple(asked),
            "sharing": sharing,
            "offered": dict(offered) if offered is not None else None,
            "left_behind": _tuple(left_behind),
            "events": (*self.scenario.expect.events, *(self._event(event) for event in events)),
            "broken_invariant": broken_invariant,
        }
        expect = msgspec.structs.replace(self.scenario.expect, **{k: v for k, v in changes.items() if v is not None})
        return self._with(expect=expect)

    def build(self) -> Scenario:
        """Return the scenario.

        Raises:
            ScenarioError: it cannot be true, or expects nothing; every reason is named.
        """
        problems = check(self.scenario)
        if problems:
            raise ScenarioError(problems)
        return self.scenario

    def _event(self, event: ExpectedEvent) -> ExpectedEvent:
        troubles = check_event(event.event, ("expect", "events", "event"))
        if not troubles and event.where:
            where, troubles = read_where(event.event, event.where, ("expect", "events", "where"))
            event = msgspec.structs.replace(event, where=where)
        if troubles:
            raise _error(self.scenario, troubles)
        return event

    def _with(self, **changes: Any) -> Self:
        return type(self)(msgspec.structs.replace(self.scenario, **changes))


def check(case: Scenario) -> tuple[ScenarioProblem, ...]:
    """Return everything that cannot be true in a scenario, however it was made."""
    troubles = check_possible(case)
    if not case.name.strip():
        troubles.insert(0, Trouble(("name",), "expected a name, saw none", "a few plain words"))
    return _error(case, troubles).problems


def _error(case: Scenario, troubles: Iterable[Trouble]) -> ScenarioError:
    where = case.id
    return ScenarioError(
        ScenarioProblem(case.path, case.line if case.path else 0, f"{where}: {place(t.at)}", t.message, t.hint)
        for t in troubles
    )


def _us(value: When) -> Duration | None:
    return None if value is None else us(value)


def _tuple(values: Iterable[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _part(type_: type[msgspec.Struct], value: Any, key: str) -> Any:
    if value is None or isinstance(value, type_):
        return value
    try:
        return convert(type_, dict(value), ("given", key))
    except TroubleFound as error:
        raise ScenarioError(ScenarioProblem("", 0, place(t.at), t.message, t.hint) for t in error.troubles) from None
