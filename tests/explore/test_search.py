"""The search finishes, finds nothing, says so twice in the same words, and never takes *stopped* for *passed*."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from rrsim.explore.__main__ import exit_code, main
from rrsim.explore.model import Budget, Model, NoInvariant, NothingToExplore, NotJudged, UnknownInvariant
from rrsim.explore.models import MODELS
from rrsim.explore.models.application import APPLICATION
from rrsim.explore.models.safe_mode import SAFE_MODE
from rrsim.explore.network import QueueFull
from rrsim.explore.search import Limits, Report, run
from rrsim.explore.text import lines
from rrsim.protocol.settings import profile

SMALL = replace(APPLICATION, name="small", budget=Budget(asks=1), must_reach=("resumed", "session expired"))
"""No misfortunes: fast, and still with every answer and every order of events."""


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {name: run(model) for name, model in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_holds_and_reaches_what_it_must(reports: dict[str, Report], name: str) -> None:
    report = reports[name]
    assert report.violations == ()
    assert report.never == ()
    assert report.complete
    assert report.outcome == "passed"
    assert 5_000 <= report.states <= 80_000, "small enough for every test run, large enough to mean something"
    assert report.ends > 0
    assert all(report.reached[what] > 0 for what in MODELS[name].must_reach)


def test_a_composed_state_is_small(reports: dict[str, Report]) -> None:
    report = reports["application"]
    assert report.bytes_per_state <= 200
    assert max(report.parts.values()) * 10 < report.states, "each part has far fewer states than their composition"


def test_the_memory_of_a_search_is_what_it_says_and_little_more() -> None:
    run(SMALL)  # what is made once for all searches
    tracemalloc.start()
    report = run(SMALL)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The parts' own states and remembered steps come on top; they are few and shared by all composed states.
    assert report.bytes_per_state * report.states < peak_bytes < 20_000_000


def test_two_searches_agree_on_everything() -> None:
    assert run(SMALL) == run(SMALL)


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_the_order_of_hashes_changes_nothing(reports: dict[str, Report], seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rrsim.explore", "application"], check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONHASHSEED": seed}, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.splitlines() == list(lines(APPLICATION, reports["application"]))


@pytest.mark.parametrize("limits", [Limits(states=500), Limits(memory_bytes=100_000)])
def test_a_search_that_was_stopped_is_incomplete_and_no_pass(limits: Limits) -> None:
    report = run(APPLICATION, limits=limits)
    assert not report.complete
    assert report.outcome == "incomplete"
    assert "raise the limit" in report.why_not
    assert exit_code([report]) == 2
    assert any("incomplete" in line for line in lines(APPLICATION, report))


def test_a_situation_that_never_occurs_fails_a_complete_search() -> None:
    report = run(replace(SMALL, must_reach=("resumed", "safe mode boot")))
    assert report.complete
    assert report.never == ("safe mode boot",)
    assert report.outcome == "failed"
    assert exit_code([report]) == 1


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (replace(SMALL, invariants=()), NoInvariant),
        (replace(SMALL, invariants=("I1", "I99")), UnknownInvariant),
        (replace(SMALL, budget=Budget()), NothingToExplore),
        (replace(SMALL, account=profile("setme")), NotJudged),
        (replace(SMALL, account=profile("rescue")), NotJudged),
    ],
)
def test_a_model_that_could_only_pass_is_refused(model: Model, error: type[Exception]) -> None:
    with pytest.raises(error, match="small"):
        run(model)


def test_a_queue_longer_than_the_bound_is_an_error_and_no_cut() -> None:
    with pytest.raises(QueueFull, match="more than 1"):
        run(replace(SMALL, queue=1))


def test_more_budget_means_more_states() -> None:
    def states(budget: Budget) -> int:
        return run(replace(SMALL, budget=budget)).states

    base = states(Budget(asks=1))
    grown: list[Callable[[], Budget]] = [
        lambda: Budget(asks=1, faults=1, sudden=1),
        lambda: Budget(asks=1, faults=1, foreign=1),
        lambda: Budget(asks=1, faults=1, troubles=1),
    ]
    assert all(states(budget()) > base for budget in grown)


def test_a_mac_is_offered_nothing_and_so_nothing_is_reached() -> None:
    report = run(replace(APPLICATION, platform="mac"))
    assert report.violations == ()
    assert report.complete
    assert "resumed" in report.never
    assert report.reached["refused"] > 0


def test_the_command_prints_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["safe mode"]) == 0
    out = capsys.readouterr().out
    assert "model safe mode: passed" in out
    assert all(what in out for what in SAFE_MODE.left_out)


def test_the_command_names_the_models_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 64
    assert "application" in capsys.readouterr().err
