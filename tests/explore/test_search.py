"""The search finishes, finds nothing, says so twice in the same words, and never takes *stopped* for *passed*."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
from msgspec.structs import replace

from rrsim.cli.search import exit_code
from rrsim.explore.model import (
    Budget,
    Model,
    NoInvariant,
    NothingToExplore,
    NotJudged,
    TooManyCustomers,
    UnknownInvariant,
)
from rrsim.explore.models import MODELS, UnknownModel, named
from rrsim.explore.models.application import APPLICATION
from rrsim.explore.models.safe_mode import SAFE_MODE
from rrsim.explore.network import Dial, LineDown, Net, Open, QueueFull, Tried
from rrsim.explore.packing import CLIENT
from rrsim.explore.report import Limits, Progress, Report
from rrsim.explore.search import Search, run
from rrsim.explore.stores import Exact
from rrsim.explore.text import lines
from rrsim.explore.world import World
from rrsim.protocol.settings import PROFILES

SMALL = replace(APPLICATION, name="small", budget=Budget(asks=1), must_reach=("resumed", "session expired"))
"""No misfortunes: fast, and still with every answer and every order of events."""


HERE = tuple(name for name in MODELS if name in {
    "application", "safe-mode", "phone-mode", "dial-up", "mac", "duplicates", "service-refusals", "profile-setme",
    "profile-rescue", "profile-auto-accept", "profile-remote-access", "profile-strict-consent",
})  # fmt: skip
"""The smaller half of the standard set; `make search` goes through all of it."""


@cache
def searched(name: str) -> Report:
    return run(MODELS[name])


@pytest.mark.parametrize("name", HERE)
def test_every_model_holds_and_reaches_what_it_must(name: str) -> None:
    report = searched(name)
    assert report.violations == ()
    assert report.never == ()
    assert report.complete
    assert report.settled
    assert report.outcome == "passed"
    assert report.ends > 0
    assert report.expanded == report.states
    assert all(report.reached[what] > 0 for what in MODELS[name].must_reach)


def test_every_profile_has_a_model() -> None:
    assert {f"profile-{name}" for name in PROFILES} <= set(MODELS)


def test_every_model_says_what_it_leaves_out_and_what_it_must_reach() -> None:
    for model in MODELS.values():
        assert len(model.left_out) > 5, model.name
        assert len(model.must_reach) > 4, model.name
        assert len(set(model.must_reach)) == len(model.must_reach), model.name


def test_a_composed_state_is_small() -> None:
    report = searched("application")
    assert report.bytes_per_state <= 200
    assert max(report.parts.values()) * 10 < report.states, "each part has far fewer states than their composition"


def test_the_memory_of_a_search_is_what_it_says_and_little_more() -> None:
    run(SMALL)  # what is made once for all searches
    tracemalloc.start()
    report = run(SMALL)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The parts' own states and remembered steps come on top; they are few and shared by all composed states.
    assert report.bytes_per_state * report.states < peak_bytes < 40_000_000


def test_two_searches_agree_on_everything() -> None:
    assert replace(run(SMALL), grown_bytes=0) == replace(run(SMALL), grown_bytes=0)


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_the_order_of_hashes_changes_nothing(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rrsim", "search", "application"], check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONHASHSEED": seed}, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.splitlines() == list(lines(APPLICATION, searched("application")))


@pytest.mark.parametrize("limits", [Limits(states=500), Limits(memory_bytes=100_000)])
def test_a_search_that_was_stopped_is_incomplete_and_no_pass(limits: Limits) -> None:
    report = run(APPLICATION, limits=limits)
    assert not report.complete
    assert report.outcome == "incomplete"
    assert "raise the limit" in report.why_not
    assert exit_code([report]) == 2
    assert any("incomplete" in line for line in lines(APPLICATION, report))


@pytest.mark.parametrize("fingerprints", [False, True])
def test_a_table_about_to_double_counts_against_the_memory(fingerprints: bool) -> None:
    """What a table takes at once must not carry a search past its limit."""
    going = Search(APPLICATION, fingerprints=fingerprints)
    sizes = []

    def watch(_: Progress) -> str:
        sizes.append((going.store.soon_bytes(), sys.getsizeof(going.store.seen if isinstance(going.store, Exact) else
                                                               going.store.table)))
        return ""

    going.go(watcher=watch)
    grown = [(told, after - before) for (told, before), (_, after) in pairwise(sizes) if after > before]
    assert grown
    assert all(told >= more for told, more in grown)


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
        (replace(SMALL, account=replace(SMALL.account, window_closes="connected")), NotJudged),
        (replace(SMALL, customers=0), TooManyCustomers),
        (replace(SMALL, customers=3), TooManyCustomers),
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


def test_faults_that_hinder_the_clean_up_stop_before_anything_is_judged() -> None:
    """A full disk keeps the ticket where it is; that is the disk's fault, until it has room again."""
    model = replace(MODELS["refusals"], budget=Budget(asks=1, faults=1, refusals=1), must_reach=("resumed",))
    assert run(model).outcome == "passed"


def test_a_line_that_is_down_stays_down_until_somebody_dials() -> None:
    """After a restart no attempt to connect succeeds before the customer has dialled (R12)."""
    world = World(MODELS["dial-up"])
    wires, _ = world.nets[0].step(world.nets[0].number(Net()), LineDown())
    wires, _ = world.nets[0].step(wires, Open())
    assert [move.what for move in world.due_on_net(0, wires)] == [Tried(False)]
    at_desktop = world.part(world.start, 0, CLIENT)
    assert [move.what for move in world.dial(0, wires, at_desktop)] == [Dial()]
    dialled, heard = world.nets[0].step(wires, Dial())
    assert [type(effect.what).__name__ for effect in heard] == ["NetworkChanged"]
    assert world.dial(0, dialled, at_desktop) == ()
    assert Tried(True) in [move.what for move in world.due_on_net(0, dialled)]


def test_names_of_models_may_have_spaces() -> None:
    assert named("safe mode") is SAFE_MODE
    with pytest.raises(UnknownModel, match="application"):
        named("nonsense")
