"""A check that lacks its observation says *unknown*: a recorded run on the second product, judged as if less were seen.

``recorded.jsonl`` is the history of ``customer-agrees[agent=application]`` on Tideway's agent and server on Wine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.backends.live import adapters
from rrsim.backends.live.runner import unobserved
from rrsim.cli.exit_codes import exit_code
from rrsim.scenario import history_io
from rrsim.scenario.history import History
from rrsim.scenario.judge import judge
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.scenario.vocabulary import EVENT_TYPES

RECORDED = Path(__file__).with_name("recorded.jsonl")


def _case() -> Scenario:
    name = "customer-agrees[agent=application]"
    (case,) = (one for one in load_paths(["scenarios/consent"]).scenarios if one.id == name)
    return case


def _judged(server: Any, agent: Any, hidden: Any = lambda source, event: False) -> RunResult:
    """Judge the recorded run with what a pair of adapters can see."""
    whole = history_io.load(RECORDED.read_bytes(), RECORDED.name)
    header = msgspec.structs.replace(whole.header, unobserved=unobserved(server, [agent], []))
    return judge(_case(), History(header, [entry for entry in whole.entries if not hidden(entry[1], entry[2])]))


def _outcomes(result: RunResult) -> dict[str, str]:
    return {check.check: check.outcome for check in result.checks}


@pytest.fixture
def agent(tideway: str) -> Any:
    """Return the agent's adapter."""
    return adapters.load(adapters.AGENTS, "tideway")


def test_with_everything_seen_it_passes(agent: Any) -> None:
    result = _judged(adapters.load(adapters.SERVERS, "tideway"), agent)
    assert result.outcome == "passed", result.problems
    assert [one.verdict for one in result.restarts] == ["resumed"]
    assert _outcomes(result)["I4"] == "passed"


def test_without_consoles_consent_is_unknown_and_the_exit_code_2(agent: Any) -> None:
    server = adapters.load(adapters.SERVERS, "tideway-unseen")
    result = _judged(server, agent, lambda source, event: source == "console")
    i4 = next(check for check in result.checks if check.check == "I4")
    assert (i4.outcome, i4.cause, i4.message) == ("unknown", "witness missing", "expected console in the history")
    assert [name for name, outcome in _outcomes(result).items() if outcome != "passed"] == ["I4"]
    assert (result.outcome, exit_code([result.outcome])) == ("unknown", 2)


@pytest.mark.parametrize(
    ("tag", "unknown"),
    [
        ("host call", {"I10", "I11", "expect verdict"}),
        ("clicked", {"I4", "I5", "I13", "expect event 1: clicked"}),
        ("window shown", {"I13"}),
        ("screen capture", {"I5"}),
        ("inventory taken", {"I7"}),
    ],
)
def test_what_the_agents_adapter_cannot_show_is_unknown_and_never_failed(
    agent: Any, monkeypatch: pytest.MonkeyPatch, tag: str, unknown: set[str]
) -> None:
    monkeypatch.setattr(type(agent), "observes", agent.observes - {tag})
    server = adapters.load(adapters.SERVERS, "tideway")
    result = _judged(server, agent, lambda source, event: isinstance(event, EVENT_TYPES[tag]))
    assert unknown <= {name for name, outcome in _outcomes(result).items() if outcome == "unknown"}
    assert "failed" not in _outcomes(result).values()
    assert (result.outcome, exit_code([result.outcome])) == ("unknown", 2)
