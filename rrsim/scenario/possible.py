"""Steps and expectations that fit the format but can never come true, found before anything runs.

Only what no run could make true is refused here. Whether a prompt really appears is for the run to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from rrsim.protocol.settings import PROFILES
from rrsim.scenario import actions as do
from rrsim.scenario.errors import Place, Trouble, closest, shown
from rrsim.scenario.ids import EDGE_CASES, INVARIANTS, KNOWN_REQUIREMENTS
from rrsim.scenario.model import Expect, ExpectedRestart, Given, Moment, Scenario, Step
from rrsim.scenario.phrases import check_event
from rrsim.scenario.words import yaml_key

MAX_CUSTOMERS: Final = 100

_NONE: Final = Expect()


def check(scenario: Scenario) -> list[Trouble]:
    """Return everything that cannot be true in this scenario; places are those of its YAML form."""
    return [
        *_ids(scenario),
        *_given(scenario.given),
        *_steps(scenario),
        *_expectations(scenario),
        *_positive(("runs for",), scenario.runs_for_us, "a time to run for"),
    ]


def _ids(scenario: Scenario) -> Iterator[Trouble]:
    for key, ids, known in (
        ("covers", scenario.covers, KNOWN_REQUIREMENTS),
        ("edge cases", scenario.edge_cases, EDGE_CASES),
    ):
        seen: set[str] = set()
        for index, one in enumerate(ids):
            if one in seen:
                yield Trouble((key, index), f"expected every id once, saw {one!r} twice", "remove one of the two")
            seen.add(one)
            if one in known:
                continue
            other = KNOWN_REQUIREMENTS if known is EDGE_CASES else EDGE_CASES
            if one in other:
                yield Trouble(
                    (key, index),
                    f"expected an id for '{key}', saw {one!r}",
                    f"move it to '{'covers' if known is EDGE_CASES else 'edge cases'}:'",
                )
                continue
            near = closest(one, known)
            kinds = (
                "R1-R14, C1-C5, I1-I13, rule 1 to rule 14" if key == "covers" else "ids like LO-01 (docs/coverage.md)"
            )
            yield Trouble((key, index), f"expected a known id, saw {one!r}", repr(near) if near else kinds)


def _positive(at: Place, value: int | None, what: str) -> Iterator[Trouble]:
    if value == 0:
        yield Trouble(at, f"expected {what} of more than 0s, saw 0s", "a longer duration, or leave it out")


# --- given ------------------------------------------------------------------------------------------------------

_POSITIVE_SETTINGS: Final = ("resume_window_us", "restart_limit_us", "prompt_timeout_us", "rep_grace_us")


def _given(given: Given) -> Iterator[Trouble]:
    if given.profile not in PROFILES:
        near = closest(given.profile, PROFILES)
        yield Trouble(
            ("given", "profile"),
            f"expected the name of a profile, saw {given.profile!r}",
            repr(near) if near else f"one of: {', '.join(PROFILES)}",
        )
    if not 1 <= given.customers <= MAX_CUSTOMERS:
        yield Trouble(("given", "customers"), f"expected 1 to {MAX_CUSTOMERS} customers, saw {given.customers}", "1")
    for field in _POSITIVE_SETTINGS:
        key = yaml_key(field)
        yield from _positive(("given", "account", key), getattr(given.account, field), f"a {key}")
    for part, field in (("customer", "wrong_passwords_first"), ("customer", "redials")):
        if getattr(getattr(given, part), field) < 0:
            yield Trouble(("given", part, yaml_key(field)), "expected 0 or more, saw a negative number", "0")


def _setting(given: Given, field: str) -> Any:
    """The account setting that holds: the scenario's own, else its profile's."""
    own = getattr(given.account, field)
    return own if own is not None else getattr(PROFILES.get(given.profile, PROFILES["gotoassist-corporate"]), field)


# --- steps ------------------------------------------------------------------------------------------------------


def _steps(scenario: Scenario) -> Iterator[Trouble]:
    names: dict[str, int] = {}
    for index, step in enumerate(scenario.steps):
        name = step.moment.called or f"step {index + 1}"
        if name in names:
            yield Trouble(
                ("steps", index, "called"),
                f"expected every step to have its own name, saw {name!r} twice (also step {names[name] + 1})",
                "another name",
            )
        else:
            names[name] = index
    for index, step in enumerate(scenario.steps):
        at: Place = ("steps", index)
        yield from _moment(step.moment, index, names, scenario.steps, at)
        yield from _action(step.action, scenario.given, at)
    yield from _restart_names(scenario)


def _moment(moment: Moment, index: int, names: dict[str, int], steps: tuple[Step, ...], at: Place) -> Iterator[Trouble]:
    for other, value in (("after", moment.after), ("when", moment.when)):
        if moment.at_us is not None and value is not None:
            yield Trouble(
                (*at, other),
                f"expected one moment, saw 'at' and '{other}'",
                f"keep one; 'delay' adds time to '{other}'",
                key=True,
            )
    if moment.nth < 1:
        yield Trouble((*at, "nth"), f"expected 1 or more, saw {moment.nth}", "1 is the first such event")
    if moment.when is None:
        for key, given in (("where", bool(moment.where)), ("nth", moment.nth > 1)):
            if given:
                yield Trouble(
                    (*at, key), f"expected 'when' beside '{key}', saw none", "when: the event that is meant", key=True
                )
    if moment.after is not None:
        yield from _after(moment.after, index, names, steps, at)


def _after(name: str, index: int, names: dict[str, int], steps: tuple[Step, ...], at: Place) -> Iterator[Trouble]:
    here = (*at, "after")
    target = names.get(name)
    if target is None:
        near = closest(name, names)
        known = f"one of: {', '.join(names)}" if names else "give the step that is meant a name with 'called: …'"
        yield Trouble(here, f"expected the name of an earlier step, saw {name!r}", repr(near) if near else known)
    elif target == index:
        yield Trouble(
            here,
            f"expected the name of an earlier step, saw this step's own name {name!r}",
            "the name of the step that comes first",
        )
    elif target > index:
        if index in _waits_for(target, names, steps):
            yield Trouble(
                here,
                f"expected steps that can begin, saw a circle: step {index + 1} waits for step {target + 1}, "
                f"which waits for step {index + 1}",
                "give one of them another moment",
            )
        else:
            yield Trouble(
                here,
                f"expected the name of an earlier step, saw {name!r}, which is step {target + 1}",
                f"move this step below step {target + 1}",
            )


def _waits_for(start: int, names: dict[str, int], steps: tuple[Step, ...]) -> set[int]:
    """The steps that must be done before step ``start`` can be."""
    found: set[int] = set()
    current: int | None = start
    while current is not None and current not in found:
        found.add(current)
        moment = steps[current].moment
        if moment.after is not None:
            current = names.get(moment.after)
        else:
            current = current - 1 if moment.at_us is None and moment.when is None and current > 0 else None
    return found


def _restart_names(scenario: Scenario) -> Iterator[Trouble]:
    seen: dict[str, int] = {}
    for index, step in enumerate(scenario.steps):
        if isinstance(step.action, do.RepRestarts) and step.action.name:
            name = step.action.name
            if name in seen:
                yield Trouble(
                    ("steps", index, "name"),
                    f"expected every restart to have its own name, saw {name!r} twice",
                    "another name",
                )
            seen[name] = index
    for index, restart in enumerate(scenario.expect.restarts or ()):
        if restart.name and restart.name not in seen:
            near = closest(restart.name, seen)
            yield Trouble(
                ("expect", "restarts", index, "name"),
                f"expected the name of a restart, saw {restart.name!r}",
                repr(near) if near else "'name:' of a step 'rep restarts'",
            )


# --- actions ----------------------------------------------------------------------------------------------------

_Need = tuple[Callable[[Given], bool], str, str]

_DIAL_UP: Final[_Need] = (lambda g: g.pc.network == "dial-up", "a PC on dial-up", "given: {pc: {network: dial-up}}")
_SERVICE: Final[_Need] = (lambda g: g.agent == "service", "an agent in service mode", "given: {agent: service}")
_VPN: Final[_Need] = (lambda g: g.pc.network == "vpn", "a PC behind a VPN", "given: {pc: {network: vpn}}")
_PORTAL: Final[_Need] = (lambda g: g.pc.captive_portal, "a captive portal", "given: {pc: {captive portal: true}}")
_SECRET: Final[_Need] = (
    lambda g: g.pc.bitlocker != "none" or g.pc.bios_password,
    "a PC that asks for a start-up secret",
    "given: {pc: {bitlocker: pin}}",
)

_NEEDS: Final[dict[type[do.Action], _Need]] = {
    do.CustomerDials: _DIAL_UP,
    do.CustomerHangsUp: _DIAL_UP,
    do.LineBusy: _DIAL_UP,
    do.LineDead: _DIAL_UP,
    do.LineWorks: _DIAL_UP,
    do.CarrierLost: _DIAL_UP,
    do.RepTypesPassword: _SERVICE,
    do.HelperDies: _SERVICE,
    do.CustomerQuitsAgent: _SERVICE,
    do.CustomerStartsVpn: _VPN,
    do.CustomerLogsInToPortal: _PORTAL,
    do.CustomerTypesSecret: _SECRET,
}

_TAKES_TIME: Final[dict[type[do.Action], tuple[str, ...]]] = {
    do.ConnectionStalls: ("for_us",),
    do.ServerRestarts: ("down_for_us",),
    do.WallClockJumps: ("by_us",),
    do.PowerCut: ("returns_after_us",),
    do.PcSleeps: ("wakes_after_us",),
    do.CablePulled: ("returns_after_us",),
}


def _action(action: do.AnyAction, given: Given, at: Place) -> Iterator[Trouble]:
    if not 1 <= action.customer <= max(1, given.customers):
        how_many = "is 1 customer" if given.customers == 1 else f"are {given.customers} customers"
        yield Trouble(
            (*at, "customer"),
            f"expected one of the customers, saw customer {action.customer}; there {how_many}",
            "another number, or 'given: {customers: …}'",
        )
    need = _NEEDS.get(type(action))
    if need and not need[0](given):
        yield Trouble((*at, "do"), f"expected {need[1]} for {shown(_phrase(action))}, saw none", need[2])
    for field in _TAKES_TIME.get(type(action), ()):
        key = yaml_key(field)
        yield from _positive((*at, key), getattr(action, field), f"'{key}'")
    if isinstance(action, do.InstallerRuns) and action.survives_boots < 0:
        yield Trouble((*at, "survives boots"), "expected 0 or more, saw a negative number", "0")
    if isinstance(action, do.RepRestarts) and not action.bypass_controls:
        yield from _restart_control(action, given, at)


def _restart_control(action: do.RepRestarts, given: Given, at: Place) -> Iterator[Trouble]:
    """The console does not offer a control that is absent; only a forced request can be tried (R1, R2, R10)."""
    key, why = "do", ""
    if given.platform == "mac":
        why = "customers with a Mac (R10)"
    elif given.kind != "standard":
        why = f"{given.kind} sessions (R1)"
    elif not _setting(given, "restart_allowed"):
        why = "accounts without the restart (IN-04)"
    elif action.mode == "safe" and (given.agent != "service" or given.platform != "windows"):
        key, why = "mode", "safe mode without a Windows service (R2)"
    if why:
        yield Trouble(
            (*at, key),
            f"expected a restart that the console offers, saw one for {why}",
            "'bypass controls: true' to force the request, which the server must refuse",
        )


def _phrase(action: do.AnyAction) -> str:
    return str(action.__struct_config__.tag)


# --- expectations -----------------------------------------------------------------------------------------------


def _expectations(scenario: Scenario) -> Iterator[Trouble]:
    expect = scenario.expect
    if expect == _NONE:
        yield Trouble(("expect",), "expected at least one expectation, saw none", "expect: {verdict: resumed}")
        return
    at: Place = ("expect",)
    if expect.verdict is None:
        for key, value in (("losses", expect.losses), ("reason", expect.reason)):
            if value is not None:
                yield Trouble((*at, key), f"expected 'verdict' beside '{key}', saw none", "verdict: degraded", key=True)
    else:
        if expect.restarts is not None:
            yield Trouble(
                (*at, "restarts"),
                "expected 'verdict' or 'restarts', saw both",
                "'verdict' for exactly one restart, 'restarts' for a list",
                key=True,
            )
        yield from _verdict(expect.verdict, expect.losses, at)
        if not scenario.steps and scenario.runs_for_us is None:
            yield Trouble(
                (*at, "verdict"), "expected a step that leads to a restart, saw no steps", "steps: [{do: rep restarts}]"
            )
    for index, restart in enumerate(expect.restarts or ()):
        yield from _restart(restart, (*at, "restarts", index))
    if expect.boots is not None and expect.boots < 0:
        yield Trouble((*at, "boots"), f"expected 0 or more, saw {expect.boots}", "0")
    if expect.broken_invariant is not None and expect.broken_invariant not in INVARIANTS:
        near = closest(expect.broken_invariant, INVARIANTS)
        yield Trouble((*at, "broken invariant"), f"expected I1 to I13, saw {expect.broken_invariant!r}", near or "I7")
    yield from _events(expect, at)


def _verdict(verdict: str, losses: tuple[str, ...] | None, at: Place) -> Iterator[Trouble]:
    if verdict == "unknown":
        yield Trouble((*at, "verdict"), "expected a verdict that can pass, saw 'unknown', which never does", "'lost'?")
    if losses and verdict != "degraded":
        yield Trouble(
            (*at, "losses"), f"expected losses only with 'degraded', saw them with {verdict!r}", "verdict: degraded"
        )


def _restart(restart: ExpectedRestart, at: Place) -> Iterator[Trouble]:
    yield from _verdict(restart.verdict, restart.losses, at)
    earliest, latest = restart.no_earlier_than_us, restart.no_later_than_us
    if earliest is not None and latest is not None and earliest > latest:
        yield Trouble(
            (*at, "no earlier than"),
            "expected 'no earlier than' before 'no later than', saw it after",
            "exchange the two",
        )
    if restart.kind == "foreign" and restart.name:
        yield Trouble((*at, "name"), "expected no name for a foreign restart, saw one", "remove 'name'")


def _events(expect: Expect, at: Place) -> Iterator[Trouble]:
    for index, event in enumerate(expect.events):
        here = (*at, "events", index)
        if event.times is not None and event.times < 0:
            yield Trouble((*here, "times"), f"expected 0 or more, saw {event.times}", "0 means never")
        if event.before is not None:
            yield from check_event(event.before, (*here, "before"))
            if event.times == 0:
                yield Trouble(
                    (*here, "before"),
                    "expected an event that happens, saw 'times: 0' with 'before'",
                    "remove one of the two",
                    key=True,
                )
