"""What many nights say about a case, from nights made by hand: each rule sees what it must, and not more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rrsim.nightly.history import Story, night_key, slowest, sorted_nights, stories, totals, trend
from rrsim.nightly.outcomes import Night, Run, Status, status_of
from rrsim.scenario.result import Outcome


def run(outcome: Outcome = "passed", seconds: float | None = 1.0, backend: str = "wine", seed: int = 1,
        case: str = "late") -> Run:
    """One run."""
    return Run(case, backend, outcome, seconds, seed)


def nights(*of: Sequence[Run]) -> list[Night]:
    """Nights of January, one after the other."""
    return [Night(f"2031-01-{number:02}", tuple(runs), 0) for number, runs in enumerate(of, 1)]


def story(*of: Sequence[Run]) -> Story:
    """The only story that these nights tell."""
    (one,) = stories(nights(*of))
    return one


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["passed", "passed"], "passed"),
        (["failed", "failed"], "failed"),
        (["failed", "passed"], "flaky"),
        (["passed", "error"], "flaky"),
        (["passed", "unknown"], "flaky"),
        (["passed", "skipped"], "passed"),
        (["passed", "known"], "known"),
        (["unknown", "error"], "error"),
        (["error", "failed"], "failed"),
        (["unknown", "known"], "unknown"),
        (["skipped"], "skipped"),
        ([], "absent"),
    ],
)
def test_what_a_case_came_to_in_a_night(outcomes: list[Outcome], status: Status) -> None:
    """A second try that passes does not make it passed, and not knowing is never a pass."""
    assert status_of([run(outcome) for outcome in outcomes]) == status


def test_on_the_simulator_only_the_same_seed_can_waver() -> None:
    """Another seed is another case there; on real machines a seed decides little."""
    assert status_of([run("failed", backend="sim", seed=1), run(backend="sim", seed=2)]) == "failed"
    assert status_of([run("failed", backend="sim", seed=1), run(backend="sim", seed=1)]) == "flaky"
    assert status_of([run("failed", backend="wine", seed=1), run(backend="wine", seed=2)]) == "flaky"


def test_figures_of_a_case() -> None:
    """Runs, failures and flaky nights are counted; marks are read from left to right, the newest last."""
    one = story([run(), run()], [run("failed"), run()], [run("failed"), run("error")], [], [run()])
    assert (one.runs, one.failures, one.flaky_nights) == (7, 3, 1)
    assert one.marks(99) == ".~F ."
    assert one.marks(2) == " ."
    assert one.first_failed == "2031-01-02"
    assert one.failing_since == ""
    assert one.now == "passed"
    assert one.worth_a_look


def test_a_case_that_never_failed() -> None:
    one = story([run()], [run("known")], [run("skipped")])
    assert (one.failures, one.first_failed, one.failing_since, one.worth_a_look) == (0, "", "", False)
    assert one.marks(9) == ".ks"


@pytest.mark.parametrize(
    ("of", "since"),
    [
        ([[run()], [run("failed")], [run("unknown")]], "2031-01-02"),
        ([[run("failed")], [], [run("failed")]], "2031-01-01"),
        ([[run("failed")], [run()], [run("failed")]], "2031-01-03"),
        ([[run("failed")], [run("failed"), run()]], ""),
        ([[run("failed")], [run("skipped")]], ""),
    ],
)
def test_since_when_it_fails(of: list[list[Run]], since: str) -> None:
    """A night without it breaks no row of failures; any other outcome does."""
    assert story(*of).failing_since == since


def test_durations() -> None:
    """The median is over nights and over runs that passed; the worst is over all that ran."""
    one = story([run(seconds=1), run(seconds=3)], [run(seconds=4)], [run("failed", 99)], [run("skipped", 500)])
    assert one.median_s == 3
    assert (one.worst_s, one.worst_night) == (99, "2031-01-03")


def test_a_case_without_times() -> None:
    """Other tools need not tell any."""
    one = story([run(seconds=None)])
    assert (one.median_s, one.worst_s, one.worst_night, one.trend) == (None, None, "", None)


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ([10, 10, 10, 20, 20, 20], 2.0),
        ([20, 20, 20, 10, 10, 10], 0.5),
        ([10, 10, 10, 12, 12, 12], None),
        ([0.1, 0.1, 0.1, 0.3, 0.3, 0.3], None),
        ([10, 10, 20, 20, 20], None),
        ([10, 10, 10, 99, 20, 20, 20], 2.0),
        ([10, 90, 10, 20, 20, 2], 2.0),
        ([0, 0, 0, 9, 9, 9], None),
        ([], None),
    ],
)
def test_a_trend_is_a_difference_worth_a_word(medians: list[float], expected: float | None) -> None:
    """Of six nights or more, by a quarter or more, and by half a second or more; one odd night changes nothing."""
    assert trend(medians) == expected


def test_a_case_that_has_become_slower_is_worth_a_look() -> None:
    slow = story(*[[run(seconds=s)] for s in (10, 10, 10, 20, 20, 20)])
    fast = story(*[[run(seconds=s)] for s in (20, 20, 20, 10, 10, 10)])
    assert (slow.worth_a_look, fast.worth_a_look) == (True, False)


def test_the_most_urgent_first() -> None:
    """What fails now, what wavered now, what wavered often, what failed often, then by name."""
    found = stories(nights(
        [run("failed", case="failed once"), run(case="fails"), run("failed", case="wavered"), run(case="wavered"),
         run(case="b"), run(case="a"), run(case="wavers")],
        [run(case="failed once"), run("failed", case="fails"), run(case="wavered"), run(case="b"), run(case="a"),
         run("failed", case="wavers"), run(case="wavers")],
    ))
    assert [one.case for one in found] == ["fails", "wavers", "wavered", "failed once", "a", "b"]


def test_backends_are_kept_apart() -> None:
    assert len(stories(nights([run(backend="sim"), run(backend="wine")]))) == 2


def test_nights_are_in_order_whatever_order_they_come_in() -> None:
    """The tenth night of a date comes after its second."""
    names = ["2031-01-02", "2031-01-01-10", "2031-01-01-2", "2031-01-01"]
    assert [night.name for night in sorted_nights([Night(name, ()) for name in names])] == [
        "2031-01-01", "2031-01-01-2", "2031-01-01-10", "2031-01-02",
    ]
    assert night_key("2031-01-01") < night_key("2031-01-01-2")
    (one,) = stories([Night("2031-01-02", (run(),)), Night("2031-01-01", (run("failed"),))])
    assert one.marks(2) == "F."


def test_the_slowest_first() -> None:
    found = stories(nights([run(case="a", seconds=1), run(case="b", seconds=3), run(case="c", seconds=2),
                            run(case="d", seconds=None)]))
    assert [one.case for one in slowest(found, 2)] == ["b", "c"]


def test_a_night_in_figures() -> None:
    """Cases are counted by what they came to, runs and their time by themselves."""
    (one,) = totals(nights([run(), run(seconds=2), run("failed", None, case="x"), run("failed", 1, case="y"),
                            run(case="y")]))
    assert (one.cases, one.runs, one.seconds, one.exit_code) == (3, 5, 5, 0)
    assert one.statuses == {"passed": 1, "failed": 1, "flaky": 1}
