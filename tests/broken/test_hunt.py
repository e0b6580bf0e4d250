"""The gate: every deliberate bug is caught. And the hunt itself: it counts nothing that is no catch."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from rrsim.agent import core as agent_core
from rrsim.agent import host
from rrsim.backends.sim.compiled import Parts, compile_scenario
from rrsim.backends.sim.runner import run_compiled
from rrsim.broken.bug import Bug, changed_effects
from rrsim.broken.catalogue import BUGS
from rrsim.broken.hunt import ENOUGH, NothingToHuntWith, hunt, hunt_all, likeliest_first
from rrsim.scenario.model import Expect, Scenario


def bug(name: str, parts: Callable[[], Parts], breaks: tuple[str, ...] = ("R1",)) -> Bug:
    """Return a bug made up for a test."""
    return Bug(name=name, about="Made up for a test.", where="agent", breaks=breaks, parts=parts)


def talkative() -> Parts:
    """Make an agent that writes one more line into its log, which harms nobody."""
    return Parts(agent=changed_effects(agent_core.step, lambda _s, _e, effects: (*effects, host.Note("hm"))))


def explodes() -> Parts:
    """Make an agent whose step never ends well: the harness reports an error, and no check fails."""

    def step(_state: object, _event: object) -> tuple[object, tuple[object, ...]]:
        raise ValueError("made up for a test")

    return Parts(agent=step)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("one", BUGS, ids=lambda one: one.name)
def test_the_bug_is_caught(one: Bug, passing: tuple[Scenario, ...]) -> None:
    result = hunt(one, passing)
    assert result.caught, f"{one.name!r} survived {result.cases} cases: write the scenario or the check that sees it"


def test_a_harmless_change_survives(passing: tuple[Scenario, ...]) -> None:
    some = passing[::10]
    result = hunt(bug("talks to itself", talkative), some)
    assert not result.caught
    assert result.by == ()
    assert (result.cases, result.errors) == (len(some), 0)


def test_an_error_of_the_harness_is_no_catch(passing: tuple[Scenario, ...]) -> None:
    result = hunt(bug("explodes", explodes), passing[:3])
    assert not result.caught
    assert (result.cases, result.errors) == (3, 3)


def test_a_scenario_that_fails_without_the_bug_catches_nothing(passing: tuple[Scenario, ...]) -> None:
    harmless = bug("talks to itself", talkative)
    wrong = msgspec.structs.replace(passing[0], expect=Expect(boots=77))
    assert run_compiled(compile_scenario(wrong), 1).outcome == "failed"
    (result,) = hunt_all([wrong, passing[1]], [harmless])
    assert not result.caught
    assert result.cases == 1


def test_without_any_sound_scenario_there_is_no_hunt(passing: tuple[Scenario, ...]) -> None:
    wrong = msgspec.structs.replace(passing[0], expect=Expect(boots=77))
    with pytest.raises(NothingToHuntWith, match="expected scenarios that pass"):
        list(hunt_all([wrong], BUGS))


def test_a_hunt_ends_after_enough_catches(passing: tuple[Scenario, ...]) -> None:
    unconfirmed = next(b for b in BUGS if b.name == "confirmation never shown")
    result = hunt(unconfirmed, passing)
    assert len(result.catches) == ENOUGH
    assert result.cases < len(passing)


def test_the_likeliest_scenario_goes_first(passing: tuple[Scenario, ...]) -> None:
    first = likeliest_first(bug("closes", talkative, ("R5", "rule 12", "CO-10")), passing)[0]
    assert {"R5", "rule 12", "CO-10"} <= {*first.covers, *first.edge_cases}


def test_a_broken_part_leaves_no_trace_in_the_product(passing: tuple[Scenario, ...]) -> None:
    before = run_compiled(compile_scenario(passing[0]), 1)
    for one in BUGS:
        run_compiled(compile_scenario(passing[0], one.parts()), 1)
    after = run_compiled(compile_scenario(passing[0]), 1)
    assert after.outcome == before.outcome == "passed"
    assert after.history is not None
    assert before.history is not None
    assert after.history.entries == before.history.entries
