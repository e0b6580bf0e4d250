"""Shrinking: small, still failing for the same reason, and replayable as an ordinary scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from rrsim.backends.sim.runner import run
from rrsim.broken.catalogue import BUGS
from rrsim.cli.bench_swarm import ENTRIES, big_plan
from rrsim.explore.shrink.shrink import DoesNotFail, expectation, reason, shrink
from rrsim.explore.shrink.written import scenario_yaml
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.failures import LIVENESS, Failure, failures
from rrsim.explore.swarm.plan import as_scenario
from rrsim.explore.swarm.run import Swarm
from rrsim.scenario import actions as do
from rrsim.scenario import loader
from rrsim.scenario.api import scenario
from rrsim.scenario.model import Expect

_BY_NAME = {bug.name: bug for bug in BUGS}


def test_a_plan_of_thirty_entries_becomes_the_one_that_matters() -> None:
    case = big_plan()
    assert len(case.steps) == ENTRIES
    found = shrink(case, 1, reason(case, 1))
    assert found.failure.title == "I6: left in safe mode"
    assert [step.action for step in found.scenario.steps] == [do.RepRestarts(mode="safe")]
    assert found.scenario.given.pc.safe_mode_hangs
    assert found.scenario.given.pc.network == "lan", "what does not matter is as usual"
    assert found.reproduces
    assert found.complete
    assert found.replays < 200


def test_the_file_reproduces_under_the_ordinary_run(tmp_path: Path) -> None:
    case = big_plan()
    found = shrink(case, 1, reason(case, 1))
    file = tmp_path / "found.yaml"
    file.write_text(scenario_yaml(found.scenario), encoding="utf-8")
    (read,) = loader.load_file(file)
    result = run(read, 1)
    assert read.expect == Expect(broken_invariant="I6")
    assert result.outcome == "passed", "the invariant is broken, as the file says"


@pytest.mark.parametrize(
    "bug", ["customer not asked", "sharing without consent after the restart", "late agent resumed after expiry"]
)
def test_a_deliberate_bug_becomes_a_short_scenario(bug: str) -> None:
    parts = _BY_NAME[bug].parts()
    batch = Swarm(parts).batch(0, 1_199)
    fresh = [group for group in batch.groups if not group.failure.known and group.failure.check in {"I1", "I4", "I5"}]
    group = fresh[0]
    case = as_scenario(draw_plan(group.seeds[0]))
    found = shrink(case, group.seeds[0], group.failure, parts=parts)
    assert found.reproduces
    assert len(found.scenario.steps) <= 3
    assert group.failure in failures(run(replace(found.scenario, expect=Expect()), found.seed, parts))
    healthy = run(found.scenario, found.seed)
    assert healthy.outcome == "failed", "without the bug the file says that it is mended"


def test_shrinking_twice_gives_the_same() -> None:
    case = big_plan()
    one, other = (shrink(case, 1, reason(case, 1)) for _ in range(2))
    assert one == other


def test_a_run_that_passes_cannot_be_shrunk() -> None:
    case = scenario("fine").do(do.RepRestarts()).scenario
    with pytest.raises(DoesNotFail, match="saw it pass"):
        reason(case, 1)
    with pytest.raises(DoesNotFail, match="expected fine with seed 1 to fail with I7: x"):
        shrink(case, 1, Failure("I7", "x"))


def test_another_reason_than_the_one_that_is_meant_is_named() -> None:
    case = big_plan()
    with pytest.raises(DoesNotFail, match="with I7; saw only I6: left in safe mode"):
        reason(case, 1, only="I7")


def test_a_budget_ends_it_with_what_there_is() -> None:
    case = big_plan()
    found = shrink(case, 1, reason(case, 1), most=5)
    assert not found.complete
    assert found.replays <= 5
    assert found.reproduces


def test_progress_counts_replays() -> None:
    case = big_plan()
    told: list[tuple[int, int, int]] = []
    found = shrink(case, 1, reason(case, 1), progress=lambda *now: told.append(now))
    assert [now[0] for now in told] == list(range(1, found.replays + 1))
    assert told[-1][1] == 1


def test_what_is_expected_fits_the_failure() -> None:
    own = Expect(verdict="resumed")
    assert expectation(Failure("I3", "x"), own) == Expect(broken_invariant="I3")
    assert expectation(Failure(LIVENESS, "x"), own) == Expect(session="active")
    assert expectation(Failure("expect verdict", "x"), own) == own
    (event,) = expectation(Failure("harness", "ValueError"), Expect()).events
    assert (event.event, event.where) == ("run ended", {"quiet": True})


def test_a_scenarios_own_expectation_is_kept() -> None:
    made = scenario("mine").given(agent="service").do(do.RepRestarts()).do(do.RepChats())
    case = made.expect(verdict="lost").scenario
    found = shrink(case, 1, reason(case, 1))
    assert found.failure.check.startswith("expect")
    assert found.scenario.expect == case.expect
    assert len(found.scenario.steps) <= 1
    assert run(found.scenario, found.seed).outcome == "failed"
