"""A way through the search becomes a scenario that breaks on the simulator too, or it is said that none does."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from rrsim.backends.sim.compiled import Parts
from rrsim.backends.sim.runner import run as play
from rrsim.broken.catalogue import BUGS
from rrsim.cli import search as command
from rrsim.explore import network as net
from rrsim.explore.model import Model
from rrsim.explore.models import named
from rrsim.explore.moves import Move
from rrsim.explore.report import Limits, Violation
from rrsim.explore.search import run
from rrsim.explore.shrink import traced
from rrsim.explore.shrink.written import scenario_yaml
from rrsim.protocol import messages as msg
from rrsim.scenario import actions as do
from rrsim.scenario import loader

BY_NAME = {bug.name: bug for bug in BUGS}
PLAIN = named("application")


def _violation(model: Model, parts: Parts) -> Violation:
    found = run(model, parts, Limits(states=400_000, violations=1))
    return found.violations[0]


@pytest.mark.parametrize(
    ("bug", "model", "check"),
    [
        ("ticket left behind", "application", "I7"),
        ("foreign restart resumed", "application", "I11"),
        ("agent's own close taken for the customer's", "application", "I13"),
        ("helper death taken as leaving", "service", "I13"),
    ],
)
def test_a_violation_becomes_a_scenario_that_shows_the_bug(bug: str, model: str, check: str, tmp_path: Path) -> None:
    parts = BY_NAME[bug].parts()
    violation = _violation(named(model), parts)
    assert violation.invariant == check
    made = traced.found(named(model), violation.way, check, parts, most=300)
    file = tmp_path / "found.yaml"
    file.write_text(scenario_yaml(made.scenario), encoding="utf-8")
    (case,) = loader.load_file(file)
    assert play(case, 1, parts).outcome == "passed", "it expects the invariant to be broken, and it is"
    assert play(case, 1).outcome == "failed", "the real parts do not break it"
    assert len(case.steps) <= 3


def test_the_way_is_the_trace_in_other_words() -> None:
    parts = BY_NAME["ticket left behind"].parts()
    violation = _violation(PLAIN, parts)
    assert len(violation.way) == len([line for line in violation.trace if not line.startswith(" ")]) == violation.depth


def test_what_was_done_is_tied_to_what_was_seen_before_it() -> None:
    way = [Move("rep", msg.AskRestart("chat window", "normal"), "asks"), Move("pc", do.PowerCut(), "sudden")]
    case = traced.as_scenario(PLAIN, way)
    first, second = case.steps
    assert isinstance(first.action, do.RepRestarts)
    assert first.moment.when is None
    assert (second.moment.when, second.moment.nth) == ("restart asked", 1)
    assert isinstance(second.action, do.PowerCut)
    assert second.action.returns_after_us == traced.OUTAGE_US


def test_what_no_step_does_is_refused() -> None:
    with pytest.raises(traced.NotExpressible, match="saw: Again"):
        traced.as_scenario(PLAIN, [Move("net", net.Again(1, up=True), "duplicates")])
    with pytest.raises(traced.NotExpressible, match="one customer"):
        traced.as_scenario(named("two-customers"), [])


def test_no_scenario_is_made_up() -> None:
    way = [Move("rep", msg.AskRestart("chat window", "normal"), "asks")]
    with pytest.raises(traced.NotExpressible, match="saw every invariant hold"):
        traced.found(PLAIN, way, "I7")


def test_the_command_keeps_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    parts = BY_NAME["ticket left behind"].parts()
    report = run(PLAIN, parts, Limits(states=150_000, violations=1))
    real = traced.found
    monkeypatch.setattr(traced, "found", lambda model, way, check: real(model, way, check, parts, most=300))
    unknown = replace(report, violations=(replace(report.violations[0], way=()),))
    command._keep(tmp_path, [(PLAIN, report), (PLAIN, unknown)])
    told = capsys.readouterr()
    assert told.out == f"scenario: rrsim run {tmp_path}/application-i7-1.yaml\n"
    assert "no scenario of application-i7-1: expected I7 to break on the simulator too" in told.err
    text = (tmp_path / "application-i7-1.yaml").read_text(encoding="utf-8")
    assert text.startswith("# I7: ")
    assert "broken invariant: I7" in text
