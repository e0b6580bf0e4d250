"""Expectations that lack a witness are unknown, whether they would have passed or failed; others stay as they are."""

from __future__ import annotations

import pytest

from rrsim.scenario.model import Expect, ExpectedEvent
from rrsim.scenario.result import CheckResult
from rrsim.scenario.unseen import as_unknown

EVENTS = (
    ExpectedEvent(event="clicked", times=0),
    ExpectedEvent(event="message leave", times=0),
    ExpectedEvent(event="message confirm"),
    ExpectedEvent(event="session requested", before="logged on"),
)


def _outcome(check: str, unobserved: tuple[str, ...], outcome: str = "passed") -> str:
    results = [CheckResult(check=check, outcome=outcome)]  # type: ignore[arg-type]  # parametrized
    return as_unknown(results, Expect(events=EVENTS), unobserved)[0].outcome


@pytest.mark.parametrize("outcome", ["passed", "failed"])
@pytest.mark.parametrize(
    ("check", "unobserved"),
    [
        ("expect verdict", "host call"), ("expect restarts", "server"), ("expect restart 2", "boot began"),
        ("expect restart named", "pc"), ("expect session", "server"), ("expect asked", "server"),
        ("expect boots", "boot began"), ("expect sharing", "screen capture"), ("expect offered", "console"),
        ("expect left behind", "inventory taken"), ("expect event 1: clicked", "clicked"),
        ("expect event 2: message leave", "wire"), ("expect event 3: message confirm", "console"),
        ("expect event 4: session requested", "server"), ("expect event 4: session requested", "logged on"),
    ],
)  # fmt: skip
def test_without_its_witness_it_is_unknown(check: str, unobserved: str, outcome: str) -> None:
    assert _outcome(check, (unobserved,), outcome) == "unknown"


@pytest.mark.parametrize("outcome", ["passed", "failed"])
@pytest.mark.parametrize(
    ("check", "unobserved"),
    [
        ("expect verdict", "console"), ("expect session", "clicked"), ("expect boots", "server"),
        ("expect event 1: clicked", "wire"), ("expect event 3: message confirm", "wire"),
    ],
)  # fmt: skip
def test_what_is_not_needed_changes_nothing(check: str, unobserved: str, outcome: str) -> None:
    assert _outcome(check, (unobserved,), outcome) == outcome


def test_it_names_what_is_missing() -> None:
    results = [CheckResult(check="expect sharing", outcome="failed", message="old")]
    (got,) = as_unknown(results, Expect(), ("screen capture", "pc"))
    assert got.message == "expected pc, screen capture in the history; seen: this run could not observe it"
    assert got.cause == "witness missing"
