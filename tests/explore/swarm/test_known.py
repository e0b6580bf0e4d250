"""What is known explains the runs it is meant for, each PC by itself, and never a bug of the agent."""

from __future__ import annotations

import pytest

from rrsim.backends.sim import runner
from rrsim.backends.sim.compiled import REAL
from rrsim.broken.catalogue import BUGS
from rrsim.explore.swarm.failures import failures
from rrsim.scenario.loader import load_text

KEY_TAKEN = """
given: {agent: service, pc: {administrator: false}}
steps:
  - {do: rep restarts, mode: safe}
  - {do: a security tool deletes, thing: safe boot key, when: phase began}
"""
KEY_TAKEN_LATER = """
given: {agent: service, pc: {administrator: false}}
steps:
  - {do: rep restarts, mode: safe}
  - {do: rep restarts, mode: safe, delay: 10s}
  - {do: a security tool deletes, thing: safe boot key, when: phase began, nth: 6}
"""
DIED_THERE = """
given: {agent: service, pc: {administrator: false}}
steps:
  - {do: rep restarts, mode: safe}
  - {do: the agent process dies, restarts: false, when: agent started}
"""
SECOND_OF_TWO_PCS = """
given: {agent: service, customers: 2, customer: {logs on: nobody}}
steps:
  - {do: rep restarts, mode: safe, customer: 1, called: s1}
  - {do: rep restarts, mode: safe, customer: 2}
  - {do: customer removes the agent service, customer: 2, after: s1, delay: 10s}
"""
OLD_RECORD = """
given: {agent: service, pc: {network: dial-up}}
steps:
  - {do: rep restarts, called: s1}
  - {do: rep restarts, mode: safe, delay: 10s}
  - {do: a security tool blocks, thing: ticket, silently: true, after: s1, delay: 3m}
"""
ANOTHER_USERS_PROFILE = """
given: {agent: application}
steps:
  - {do: rep restarts, called: s1}
  - {do: rep restarts, delay: 20m}
  - {do: customer asks for support, after: s1, delay: 4m}
  - {do: customer logs on, how: other user, after: s1}
"""
OTHERS_ENTRY = """
given: {agent: application, account: {foreign resumes: true}, customer: {logs on: other user}}
steps:
  - {do: rep restarts, called: s1}
  - {do: pc crashes}
  - {do: customer asks for support, when: window opened}
  - {do: the agent process dies, after: s1, when: host call}
"""


def found(text: str, bug: str = "") -> dict[str, str]:
    """Return what a run shows, and why it is known; with a bug of the catalogue, if one is named."""
    [scenario] = load_text(f"rrsim: 1\nname: known{text}expect:\n  verdict: expired\n")
    parts = next((one.parts() for one in BUGS if one.name == bug), REAL)
    return {one.title: one.known for one in failures(runner.run(scenario, 1, parts))}


@pytest.mark.parametrize(
    ("text", "title", "why"),
    [
        (KEY_TAKEN, "I6: left in safe mode", "SM-15"),
        (KEY_TAKEN, "I7: left behind: boot:safeboot=network", "BO-09"),
        (KEY_TAKEN_LATER, "I6: left in safe mode", "SM-15"),
        (KEY_TAKEN_LATER, "I7: left behind: boot:safeboot=network", "BO-09"),
        (DIED_THERE, "I6: left in safe mode", "SM-15: what ran"),
        (SECOND_OF_TWO_PCS, "I6: left in safe mode", "SM-15: nothing"),
        (OLD_RECORD, "I7: left behind: registry:HKLM/SafeBoot/Network/rragent", "a security tool that lies"),
        (ANOTHER_USERS_PROFILE, "I7: left behind: file:ticket", "rule 4"),
        (OTHERS_ENTRY, "I7: left behind: registry:HKCU(other user)/RunOnce/!*rragent", "rule 4"),
    ],
)
def test_what_nobody_can_help_is_known(text: str, title: str, why: str) -> None:
    """Rule 7, rule 4, SM-15, BO-09."""
    shown = found(text)
    assert why in shown[title], shown


SAFE_AND_ENDED = """
given: {agent: service, pc: {administrator: false}}
steps:
  - {do: rep restarts, mode: safe}
  - {do: rep ends the session, when: endpoint resumed, delay: 1m}
"""


@pytest.mark.parametrize(
    ("bug", "title"),
    [
        ("safe-boot flag left", "I6: left in safe mode"),
        ("safe boot key left", "I7: left behind: registry:HKLM/RunOnce/*rragent-undo"),
    ],
)
def test_what_the_agent_forgets_is_news(bug: str, title: str) -> None:
    """An explanation must not swallow a bug that looks like it."""
    shown = found(SAFE_AND_ENDED, bug)
    assert shown[title] == "", shown


def test_another_users_profile_does_not_explain_the_right_users() -> None:
    """Rule 4: the user did come back, and the ticket is there all the same."""
    shown = found("\ngiven: {agent: application}\nsteps:\n  - {do: rep restarts}\n", "ticket left behind")
    assert shown["I7: left behind: file:ticket"] == "", shown
