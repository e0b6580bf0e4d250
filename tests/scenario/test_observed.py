"""Durations seen in a live run become fixed durations of the simulator."""

from __future__ import annotations

from typing import Any

from rrsim.backends.sim.draws import check_fixed
from rrsim.backends.sim.runner import run
from rrsim.machine import observations as seen
from rrsim.scenario.history import Header, History
from rrsim.scenario.loader import load_text
from rrsim.scenario.observed import as_observed, durations

S = 1_000_000
CASE = """\
rrsim: 1
name: mine
covers: [R1]
given: {GIVEN}
steps: [{do: rep restarts}]
expect: {verdict: resumed}
"""


def history(*entries: tuple[float, str, Any]) -> History:
    """A history from (seconds, source, event)."""
    made = History(Header(scenario="mine", backend="wine", seed=1))
    for at_s, source, event in entries:
        made.append(round(at_s * S), source, event)
    return made


def phases(*entries: tuple[float, Any]) -> list[tuple[float, str, Any]]:
    return [(at_s, "pc-1", seen.PhaseBegan(phase)) for at_s, phase in entries]


BOOT = phases((1, "shutdown asked"), (1.5, "shutting down"))
UP = phases((2.25, "firmware"), (2.5, "loading"), (3, "services"), (4, "welcome"))


def test_a_boot_takes_the_same_share_of_a_window_as_in_the_run() -> None:
    """A second of the run was half a minute of the scenario's own time, for people and for Windows."""
    went_down = (2.0, "pc-1", seen.WentDown("agent", clean=True))
    signed_in = (5.0, "pc-1", seen.LoggedOn(user="customer", desktop="visible", right=True))
    found = {one.draw: one for one in durations(history(
        *BOOT, went_down, *UP, signed_in, *phases((5, "shell"), (5.5, "desktop")),
    ), 30)}
    assert {name: one.us for name, one in found.items()} == {
        "pc shutdown apps": 15 * S, "pc shutdown services": 7.5 * S, "pc shutdown grace": 7.5 * S,
        "pc firmware": 7.5 * S, "pc loading": 15 * S, "pc services": 30 * S, "customer logs on": 30 * S,
        "pc shell": 7.5 * S, "pc autostart": 7.5 * S,
    }
    check_fixed({name: one.us for name, one in found.items()})


def test_what_windows_grants_programs_to_end_in_is_seen_on_machines() -> None:
    """There the session ends first, and the machine shuts down when programs have ended; in the model both are one."""
    ends, down = (2.0, "pc-1", seen.SessionEnds("agent")), (6.0, "pc-1", seen.WentDown("agent", clean=True))
    found = {o.draw: o.us for o in durations(history(
        *phases((1, "shutdown asked")), ends, *phases((4, "shutting down")), down,
    ))}
    assert found == {"pc shutdown apps": 1 * S, "pc shutdown grace": 2 * S, "pc shutdown services": 2 * S}
    found = {o.draw: o.us for o in durations(history(
        *phases((1, "shutdown asked")), ends, *phases((2, "shutting down")), down,
    ))}
    assert found == {"pc shutdown apps": 1 * S, "pc shutdown grace": 2 * S, "pc shutdown services": 2 * S}


def test_reactions_and_calls() -> None:
    """A prompt until the click in it, and the parts of a telephone call; the first of several is taken."""
    made = history(
        (1, "pc-1", seen.WindowShown("restart prompt")),
        (1.5, "pc-1", seen.Clicked("customer", "restart prompt", "yes")),
        (2, "pc-1", seen.WindowShown("sharing prompt")),
        (2.25, "pc-1", seen.Clicked("customer", "sharing prompt", "yes")),
        *phases((3, "desktop")), (4, "net-1", seen.DialProgress("dialling")), (4.5, "net-1", seen.DialProgress("busy")),
        (5, "net-1", seen.DialProgress("dialling")), (6, "net-1", seen.DialProgress("training")),
        (8, "net-1", seen.DialProgress("ppp")), (8.5, "net-1", seen.DialProgress("connected")),
    )
    found = {one.draw: one for one in durations(made, 10)}
    reacts = found["customer reacts"]
    assert (reacts.us, reacts.times, reacts.least_us, reacts.most_us) == (5 * S, 2, 2.5 * S, 5 * S)
    assert {n: o.us for n, o in found.items() if "dial" in n} == {
        "customer dials": 10 * S, "dial call": 10 * S, "dial training": 20 * S, "dial ppp": 5 * S,
    }


def test_what_broke_off_is_no_duration() -> None:
    """A power cut in the middle of a phase, a window nobody clicked in, and everything after the healing."""
    made = history(
        *phases((1, "loading")), (2, "pc-1", seen.WentDown("power", clean=False)), *phases((3, "firmware")),
        (4, "pc-1", seen.WindowShown("restart prompt")), (5, "pc-1", seen.WindowGone("restart prompt", "agent")),
        (6, "pc-1", seen.Clicked("customer", "restart prompt", "yes")),
        (7, "director", seen.Healed()), *phases((8, "loading")),
    )
    assert durations(made, 30) == ()


def test_the_simulator_plays_them() -> None:
    """A history of the simulator itself, taken as observed, gives the same boot under another seed."""
    (case,) = load_text(CASE.replace("GIVEN", "customer: {logs on after: 40s}"))
    first = run(case, 1)
    assert first.history is not None
    found = durations(first.history)
    again = run(as_observed(case, found), 99)
    assert again.outcome == "passed"
    assert again.history is not None
    names = ("pc firmware", "pc loading", "pc services", "customer logs on")
    assert {o.draw: o.us for o in durations(again.history) if o.draw in names} == {
        o.draw: o.us for o in found if o.draw in names
    }


def test_habits_that_the_scenario_states_are_replaced_too() -> None:
    """The customer was late in that run, whatever the scenario says."""
    (case,) = load_text(CASE.replace("GIVEN", "customer: {logs on after: 40s}"))
    made = history(*phases((1, "welcome")), (3, "pc-1", seen.LoggedOn(user="customer", desktop="visible", right=True)))
    played = as_observed(case, durations(made, 30))
    assert played.given.customer.logs_on_after_us == 60 * S
    assert played.given.customer.reacts_in_us is None
