"""The fast engine agrees with the plain one, and fingerprints with whole states."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rrsim.explore import component, stores
from rrsim.explore.component import Table, TooManyStates
from rrsim.explore.model import Budget, Model
from rrsim.explore.models import MODELS
from rrsim.explore.packing import FIELD, pack, unpack
from rrsim.explore.report import Limits, Report
from rrsim.explore.search import Search, run
from tests.explore import plain

APPLICATION = MODELS["application"]
SAME = {
    "one restart": replace(APPLICATION, budget=Budget(asks=1)),
    "safe mode": MODELS["safe-mode"],
    "mac": MODELS["mac"],
    "dial-up": replace(MODELS["dial-up"], budget=Budget(asks=1, faults=1, losses=1, failures=1)),
    "phone": replace(MODELS["phone-mode"], budget=Budget(asks=1, faults=1, cancels=1, troubles=1)),
    "two customers": replace(MODELS["two-customers"], budget=Budget(asks=1)),
    "second machine": replace(MODELS["second-machine"], budget=Budget(asks=1, faults=1, strangers=1)),
    "duplicates": replace(MODELS["duplicates"], budget=Budget(asks=1, faults=1, duplicates=1)),
    "refusals": replace(MODELS["refusals"], budget=Budget(asks=1, faults=1, refusals=1)),
    "foreign resumes": replace(MODELS["profile-setme"], budget=Budget(asks=1, faults=1, foreign=1, sudden=1)),
}


def counts(report: Report) -> plain.Counts:
    return plain.Counts(report.states, report.transitions, report.ends, report.depth, report.reached)


@pytest.mark.parametrize("name", SAME)
def test_the_fast_engine_counts_what_the_plain_one_counts(name: str) -> None:
    assert counts(run(SAME[name])) == plain.search(SAME[name])


def test_the_whole_application_model_counts_the_same() -> None:
    assert counts(run(APPLICATION)) == plain.search(APPLICATION)


@pytest.mark.parametrize("name", SAME)
def test_fingerprints_find_what_whole_states_find(name: str) -> None:
    exact, prints = run(SAME[name]), run(SAME[name], fingerprints=True)
    assert counts(prints) == counts(exact)
    assert (prints.settled, prints.parts, prints.kept) == (exact.settled, exact.parts, "fingerprints")


def test_a_fingerprint_costs_less_than_a_state() -> None:
    exact, prints = run(APPLICATION), run(APPLICATION, fingerprints=True)
    assert prints.bytes_per_state <= 100
    assert prints.bytes_per_state * 2 < exact.bytes_per_state <= 200


def test_states_with_the_same_fingerprint_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search only loses what the collision hides: it neither crashes nor counts twice."""
    whole = run(SAME["one restart"]).states
    monkeypatch.setattr(stores, "PRINT_BITS", 12)
    report = Search(SAME["one restart"], fingerprints=True).go(Limits(violations=1))
    assert report.complete
    assert whole // 10 < report.states < whole


@pytest.mark.parametrize("numbers", [[0], [1, 2, 3], [FIELD, 0, FIELD], list(range(9))])
def test_packed_numbers_come_apart_again(numbers: list[int]) -> None:
    assert unpack(pack(numbers), len(numbers)) == numbers


def test_a_part_with_more_states_than_its_field_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component, "FIELD", 2)
    table = Table()
    assert [table.number(name) for name in ("a", "b", "a")] == [1, 2, 1]
    with pytest.raises(TooManyStates, match="at most 2"):
        table.number("c")


def test_steps_are_remembered() -> None:
    report = run(APPLICATION)
    assert report.learned * 10 < report.transitions


@pytest.mark.parametrize("name", MODELS)
def test_the_beginning_of_every_model_holds(name: str) -> None:
    """Every model, nightly ones included; `make search` goes on to the end of the standard ones."""
    model: Model = MODELS[name]
    report = run(model, limits=Limits(states=15_000))
    assert report.violations == ()
    assert report.complete or "raise the limit" in report.why_not
