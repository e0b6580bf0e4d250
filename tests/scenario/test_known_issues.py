"""Known issues: what they hide, for how long, and when they themselves fail a run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from rrsim.scenario.errors import ScenarioError
from rrsim.scenario.known_issues import KnownIssue, apply, load, load_text
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import CheckResult, Outcome, RunResult

TODAY = date(2030, 6, 15)
ENTRY = "- {check: I7, cause: autostart left, scenario: safe *, tracker: T-1, owner: team, expires: 2030-06-15}\n"


def run(name: str, outcome: Outcome = "failed", *checks: CheckResult, case: str = "") -> RunResult:
    return RunResult(scenario=Scenario(name=name, case=case), backend="sim", seed=1, outcome=outcome, checks=checks)


def failed(check: str = "I7", cause: str = "autostart left") -> CheckResult:
    return CheckResult(check=check, outcome="failed", message="x", cause=cause)


def issue(**changes: object) -> KnownIssue:
    fields = {"check": "I7", "cause": "autostart left", "tracker": "T-1", "owner": "team", "expires": date(2030, 6, 15)}
    return KnownIssue(**{**fields, "path": "k.yaml", "line": 3, **changes})  # type: ignore[arg-type] -- fields of several types are mixed on purpose


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "known-issues.yaml"
    path.write_text(ENTRY)
    (one,) = load(path)
    assert (one.check, one.scenario, one.expires, one.line, one.path) == ("I7", "safe *", TODAY, 1, str(path))
    assert load_text("[]") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b\n", "k.yaml:1: expected a list of known issues, saw a mapping"),
        ("- 5\n", "1: expected a mapping"),
        (ENTRY.replace("tracker", "traker"), "1.traker: expected a known key, saw 'traker'; try: 'tracker:'"),
        (ENTRY.replace(", owner: team", ""), "expected 'owner:', saw none"),
        (ENTRY.replace("2030-06-15", "15.06.2030"), "1.expires: expected a date such as"),
        (ENTRY.replace("2030-06-15", "2030-02-30"), "1.expires: expected a date such as"),
        (ENTRY.replace("T-1", "' '"), "expected text for 'tracker'"),
        (ENTRY + ENTRY, "k.yaml:2: 2: expected every issue once, saw that of entry 1 again"),
    ],
)
def test_bad_entries_are_named(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "k.yaml")
    assert said in str(caught.value)


def test_a_matching_failure_is_known_until_its_last_day() -> None:
    results, problems = apply([run("a", "failed", failed())], [issue()], TODAY)
    assert [r.outcome for r in results] == ["known"]
    assert results[0].reason == "known issue T-1 (team, until 2030-06-15): I7: autostart left"
    assert problems == ()


def test_an_expired_entry_hides_nothing_and_fails_the_run() -> None:
    results, problems = apply([run("a", "failed", failed())], [issue()], date(2030, 6, 16))
    assert [r.outcome for r in results] == ["failed"]
    assert [p.line for p in problems] == [3]
    assert "expired on 2030-06-15" in str(problems[0])
    assert len(apply([], [issue()], date(2030, 6, 16))[1]) == 1, "whether it ran or not"


@pytest.mark.parametrize("check", [failed("I6"), failed(cause="ticket left")])
def test_another_check_or_cause_stays_a_failure(check: CheckResult) -> None:
    results, problems = apply([run("a", "failed", check)], [issue()], TODAY)
    assert results[0].outcome == "failed"
    assert "saw its scenarios pass without it" in str(problems[0])


def test_one_failure_that_is_not_known_keeps_the_run_failed() -> None:
    results, problems = apply([run("a", "failed", failed(), failed("I2", "twice"))], [issue()], TODAY)
    assert results[0].outcome == "failed"
    assert problems == (), "the known one did occur"
    both = [issue(), issue(check="I2", cause="twice", tracker="T-2")]
    results, problems = apply([run("a", "failed", failed(), failed("I2", "twice"))], both, TODAY)
    assert results[0].outcome == "known"
    assert "T-1" in results[0].reason
    assert "T-2" in results[0].reason


def test_what_could_not_be_told_is_never_known() -> None:
    unsure = CheckResult(check="I9", outcome="unknown", message="no witness")
    assert apply([run("a", "failed", failed(), unsure)], [issue()], TODAY)[0][0].outcome == "unknown"
    assert apply([run("a", "unknown", unsure)], [issue()], TODAY)[0][0].outcome == "unknown"


def test_an_entry_that_passes_now_fails_the_run_only_if_its_scenarios_ran() -> None:
    entry = issue(scenario="safe mode*")
    assert "close T-1" in str(apply([run("safe mode a", "passed")], [entry], TODAY)[1][0])
    assert apply([run("other", "passed")], [entry], TODAY)[1] == ()
    assert apply([run("safe mode a", "skipped"), run("safe mode b", "error")], [entry], TODAY)[1] == ()
    assert apply([run("safe mode a", "passed"), run("safe mode b", "failed", failed())], [entry], TODAY)[1] == ()
    assert len(apply([run("other", "passed")], [issue()], TODAY)[1]) == 1
    assert apply([run("other", "passed")], [issue()], TODAY, complete=False)[1] == ()


def test_brackets_of_a_case_stand_for_themselves() -> None:
    one = issue(scenario="edge[back=9m]")
    assert one.concerns("edge[back=9m]")
    assert not one.concerns("edgeb")
    assert issue(scenario="edge[*]").concerns("edge[back=9m]")
    assert issue(scenario="edge?back=9m]").concerns("edge[back=9m]")
    results, _ = apply([run("edge", "failed", failed(), case="back=9m")], [one], TODAY)
    assert results[0].outcome == "known"
