"""The durations that were seen in a recorded run, as fixed durations for the simulator. Pure.

A live run takes its boot times from its machine, and its waiting from the scenario divided by the time scale. On the
simulator nothing is divided, so everything that was seen is multiplied by the scale: people and the network come back
to the scenario's own time, and a boot takes the same share of a resume window as it did in the run. Names are those of
``given: durations`` (``docs/scenarios.md``).

Only what witnesses outside the agent saw is taken. What cannot be told from a history (how long a message was on its
way, how long a programme took to connect) stays open and is drawn as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rrsim.machine import observations as seen
from rrsim.protocol import records
from rrsim.scenario.history import Entry, History
from rrsim.scenario.model import Scenario
from rrsim.scenario.words import Duration


class Seen(msgspec.Struct, frozen=True):
    """One duration as it was in a run."""

    draw: str
    us: int
    """The first of its kind, in the scenario's own time: this is the one to be taken."""
    times: int
    """How often it was seen."""
    least_us: int
    most_us: int


_PHASES: Final = {
    "firmware": "pc firmware", "loading": "pc loading", "services": "pc services", "shell": "pc shell",
    "shutdown asked": "pc shutdown apps", "shutting down": "pc shutdown services",
}
"""A phase of the PC's life, and the draw that says how long it lasts."""
_PART_OF: Final = {"shell": ("pc autostart",), "shutting down": ("pc shutdown grace",)}
"""Draws that share a phase with another one. Where nothing seen parts them each gets the same share, so that none is
taken for nothing. What Windows grants programs is seen on machines: from the end of the session to the next phase."""
_CALL: Final = {"dialling": "dial call", "training": "dial training", "ppp": "dial ppp"}
_PROMPTS: Final = frozenset({"restart prompt", "sharing prompt", "leave prompt"})
_LINKS: Final = {"lan": "net dhcp", "wifi": "net wifi"}
_HABITS: Final = {
    "customer logs on": "logs_on_after_us", "customer reacts": "reacts_in_us", "customer dials": "dials_after_us",
}
"""A draw, and the habit of a customer that a scenario can state in its place."""


def durations(history: History, scale: float = 1.0) -> tuple[Seen, ...]:
    """Return the durations seen in a history whose scenario was divided by ``scale``, by name of the draw."""
    found: dict[str, list[int]] = {}
    for draw, us in _found(history.entries):
        found.setdefault(draw, []).append(round(us * scale))
    return tuple(Seen(draw, all_us[0], len(all_us), min(all_us), max(all_us)) for draw, all_us in sorted(found.items()))


def as_observed(case: Scenario, found: tuple[Seen, ...]) -> Scenario:
    """Return the case with what was seen in place of what it leaves open; habits that it states are replaced too."""
    us = {one.draw: Duration(one.us) for one in found}
    habits = {
        field: us[draw] for draw, field in _HABITS.items()
        if draw in us and getattr(case.given.customer, field) is not None
    }
    given = msgspec.structs.replace(
        case.given, durations={**case.given.durations, **us},
        customer=msgspec.structs.replace(case.given.customer, **habits),
    )
    if given.rep.reacts_in_us is not None and "rep reacts" in us:
        given = msgspec.structs.replace(given, rep=msgspec.structs.replace(given.rep, reacts_in_us=us["rep reacts"]))
    return msgspec.structs.replace(case, given=given)


class _Customer:
    """What has begun for one customer and is not over yet: what it is to when it began."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = {}
        self.phase = ""
        self.parted = False
        """The time that programs were granted to end in was seen by itself."""

    def ended(self, what: str, t_us: int, draw: str) -> Iterator[tuple[str, int]]:
        began_us = self.begun.pop(what, None)
        if began_us is not None:
            yield draw, t_us - began_us


def _found(entries: list[Entry]) -> Iterator[tuple[str, int]]:
    customers: dict[str, _Customer] = {}
    asked: dict[str, int] = {}
    for t_us, source, event, _ in entries:
        kind, _, number = source.partition("-")
        match event:
            case seen.Healed():
                return  # from here on the harness acts, and nobody's habits are seen
            case records.RestartAsked():
                asked[event.session] = t_us
            case records.RestartConfirmed() if event.session in asked:
                yield "rep reacts", t_us - asked.pop(event.session)
            case _ if kind in ("pc", "net", "customer"):
                yield from _of_customer(customers.setdefault(number, _Customer()), t_us, event)


def _of_customer(one: _Customer, t_us: int, event: Any) -> Iterator[tuple[str, int]]:
    match event:
        case seen.PhaseBegan():
            yield from _phase(one, t_us, event.phase)
        case seen.SessionEnds() if one.phase == "shutdown asked":
            yield from one.ended("phase", t_us, _PHASES[one.phase])
            one.begun["grace"] = t_us
        case seen.RestartBlocked():
            one.begun.pop("phase", None)  # people decide how long this takes
        case seen.WentDown():
            if event.clean and one.phase == "shutting down":
                yield from _phase(one, t_us, "off")
            one.begun.clear()
        case seen.AgentStarted(why="service"):
            yield from one.ended("service", t_us, "pc service start")
        case seen.LoggedOn():
            yield from one.ended("log on", t_us, "customer logs on")
            one.begun["wifi"] = t_us
        case seen.WindowShown() if event.window in _PROMPTS:
            one.begun[event.window] = t_us
        case seen.WindowGone():
            one.begun.pop(event.window, None)
        case seen.Clicked(who="customer"):
            yield from one.ended(event.window, t_us, "customer reacts")
        case seen.LinkChanged() if event.up and event.kind in _LINKS:
            yield from one.ended(event.kind, t_us, _LINKS[event.kind])
        case seen.DialProgress():
            yield from _call(one, t_us, event.phase)
        case _:
            return


def _phase(one: _Customer, t_us: int, phase: str) -> Iterator[tuple[str, int]]:
    before, one.phase = one.phase, phase
    if before == "shutdown asked":
        grace = [us for _, us in one.ended("grace", t_us, "")]
        one.parted = any(grace)
        yield from (("pc shutdown grace", us) for us in grace if us)
    if before in _PHASES:
        shared = () if before == "shutting down" and one.parted else _PART_OF.get(before, ())
        draws = (_PHASES[before], *shared)
        for _, us in one.ended("phase", t_us, ""):
            yield from ((draw, us // len(draws)) for draw in draws)
    one.begun["phase"] = t_us
    if phase == "services":
        one.begun |= {"service": t_us, "lan": t_us}
    elif phase == "welcome":
        one.begun["log on"] = t_us
    elif phase == "desktop":
        one.begun["dial"] = t_us


def _call(one: _Customer, t_us: int, phase: str) -> Iterator[tuple[str, int]]:
    yield from one.ended("dial", t_us, "customer dials")
    for step, after in (("dialling", "training"), ("training", "ppp"), ("ppp", "connected")):
        if phase == after:
            yield from one.ended(step, t_us, _CALL[step])
    for step in _CALL:
        one.begun.pop(step, None)
    if phase in _CALL:
        one.begun[phase] = t_us
