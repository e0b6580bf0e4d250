"""What counts as a failure of a random run."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from rrsim.backends.sim.runner import run
from rrsim.explore.swarm.failures import LIVENESS, NOT_BACK, Failure, failures, not_back
from rrsim.explore.swarm.run import outcome_of
from rrsim.machine.observations import AgentStarted, AgentStopped, BootBegan, Healed, LoggedOn, MachineTampered
from rrsim.protocol import records
from rrsim.protocol.messages import EndSession
from rrsim.scenario import actions as do
from rrsim.scenario.api import scenario, us
from rrsim.scenario.history import Header, History
from rrsim.scenario.result import CheckResult, RunResult

CASE = scenario("by hand").do(do.RepRestarts()).scenario
SECOND_US = 1_000_000
LONG_US = 20 * 60 * SECOND_US
"""Longer than anybody needs to notice a silence and to let a window run out."""


def _joined(session: str = "session-1") -> Any:
    return records.EndpointJoined(session, "machine-1", "windows", "service", "boot-1", "seal")


def _run(*before: Any, wait_us: int = LONG_US, session: str = "session-1") -> RunResult:
    """A run that heals, waits, and lets the representative end what is left."""
    entries: list[Any] = [(0, "server", event, -1) for event in before]
    entries.append((SECOND_US, "director", Healed(), -1))
    end_us = SECOND_US + wait_us
    entries.append((end_us, "console", EndSession(), -1))
    entries.append((end_us, "server", records.SessionEnded(session, "representative", "ended"), len(entries) - 1))
    return RunResult(
        scenario=CASE, backend="sim", seed=1, outcome="passed",
        history=History(Header(scenario="by hand", backend="sim", seed=1), entries),
    )  # fmt: skip


LOST = records.EndpointLost("session-1", "silence")
BACK = records.EndpointReconnected("session-1", "seal")


def test_a_session_that_is_connected_is_well() -> None:
    assert failures(_run(_joined())) == ()
    assert failures(_run(_joined(), LOST, BACK)) == ()


def test_a_session_that_is_neither_back_nor_over_is_not() -> None:
    result = _run(_joined(), LOST, BACK, LOST)
    assert not_back(result) == ("session-1",)
    assert failures(result) == (Failure(LIVENESS, NOT_BACK),)


def test_another_sessions_return_does_not_help() -> None:
    other = records.EndpointReconnected("session-2", "seal")
    assert not_back(_run(_joined(), LOST, other)) == ("session-1",)


def test_nothing_is_demanded_before_a_silence_must_be_noticed() -> None:
    assert not_back(_run(_joined(), LOST, wait_us=60 * SECOND_US)) == ()


def test_a_session_shown_offline_may_stay_so() -> None:
    assert not_back(_run(_joined(), LOST, records.WindowOffline("session-1", 1))) == ()


def test_a_customer_who_never_joined_is_not_away() -> None:
    assert not_back(_run()) == ()


def test_a_session_that_a_person_ended_before_is_no_matter() -> None:
    entries = _run(_joined(), LOST)
    assert entries.history is not None
    entries.history.entries[-1] = (*entries.history.entries[-1][:3], -1)
    assert not_back(entries) == ()


def _with(*checks: CheckResult, **changes: Any) -> RunResult:
    return replace(_run(_joined()), checks=checks, **changes)


def test_steps_that_are_impossible_say_nothing_about_the_product() -> None:
    step = CheckResult(check="step 3", outcome="failed", cause="step impossible")
    assert failures(_with(step)) == ()


def test_failed_and_unknown_checks_are_kept_apart() -> None:
    failed = CheckResult(check="I7", outcome="failed", cause="left behind: file:ticket")
    unknown = CheckResult(check="verdict 1 of customer 2", outcome="unknown", cause="verdict unknown")
    found = failures(_with(failed, unknown, CheckResult(check="I1", outcome="passed")))
    assert found == (Failure("I7", "left behind: file:ticket"), Failure("verdict", "verdict unknown", sure=False))
    assert outcome_of(found) == "failed"
    assert outcome_of(found[1:]) == "unknown"
    assert outcome_of(()) == "passed"


def test_what_is_understood_is_known_only_where_it_is() -> None:
    hangs = scenario("x").given(agent="service", pc={"safe mode hangs": True}).do(do.RepRestarts(mode="safe"))
    (known,) = failures(run(hangs.scenario, 1))
    assert known.known.startswith("SM-15")
    assert outcome_of((known,)) == "known"
    check = CheckResult(check="I6", outcome="failed", cause="left in safe mode")
    boot = BootBegan("boot-2", safe_mode=True, cause="agent")
    ran = AgentStarted("boot-2", "", elevated=True, desktop="none", safe_mode=True, why="service")
    probe = BootBegan("boot-3", safe_mode=True, cause="probe")
    for events, understood in (((boot, probe, ran), True), ((boot, ran, probe), False), ((probe, ran), False)):
        (found,) = failures(replace(_run(_joined(), *events), checks=(check,)))
        assert bool(found.known) == understood, events


SAFE = BootBegan("boot-2", safe_mode=True, cause="agent")
NORMAL = BootBegan("boot-2", safe_mode=False, cause="agent")
PROBE = BootBegan("boot-3", safe_mode=True, cause="probe")
RUNS = AgentStarted("boot-2", "", elevated=True, desktop="none", safe_mode=True, why="service")
CRASHED, DOWN = AgentStopped("crashed"), AgentStopped("windows goes down")
IN_SAFE_MODE = CheckResult(check="I6", outcome="failed", cause="left in safe mode")
TICKET = CheckResult(check="I7", outcome="failed", cause="left behind: file:ticket")


@pytest.mark.parametrize(
    ("events", "known"),
    [
        ((SAFE, RUNS, CRASHED, PROBE, RUNS), "SM-15: what ran in safe mode died there"),
        ((SAFE, RUNS, CRASHED, RUNS, DOWN, PROBE), ""),
        ((SAFE, RUNS, DOWN, PROBE), ""),
        ((SAFE, RUNS, CRASHED, LoggedOn("customer", "visible", right=True), PROBE), ""),
        ((NORMAL, RUNS, CRASHED, PROBE), ""),
    ],
)
def test_who_could_clear_the_flag_is_to_blame(events: tuple[Any, ...], known: str) -> None:
    (found,) = failures(replace(_run(_joined(), *events), checks=(IN_SAFE_MODE,)))
    assert found.known == known


@pytest.mark.parametrize(
    ("pc", "steps", "events", "known"),
    [
        ({"safe boot set by owner": True}, (), (RUNS, DOWN, SAFE, PROBE), "the owner's own safe mode"),
        ({"safe boot set by owner": True}, (), (RUNS, DOWN, SAFE, PROBE, RUNS), ""),
        ({"safe boot set by owner": True}, (), (RUNS, DOWN, NORMAL), ""),
        ({}, (), (RUNS, DOWN, SAFE, PROBE), ""),
        ({}, (), (RUNS, MachineTampered("autostart"), DOWN, NORMAL), "somebody took away what starts us"),
        ({}, (), (RUNS, MachineTampered("autostart"), DOWN, NORMAL, RUNS), ""),
        ({}, (), (RUNS, MachineTampered("wall clock"), DOWN, NORMAL), ""),
        ({}, (do.ToolBlocks("autostart", silently=True),), (RUNS, DOWN, NORMAL), "a security tool that lies"),
        ({}, (do.ToolBlocks("autostart"),), (RUNS, DOWN, NORMAL), ""),
        ({}, (do.ToolBlocks("autostart", silently=True),), (RUNS, DOWN, NORMAL, RUNS), ""),
    ],
)
def test_a_ticket_that_stays_is_known_only_where_nothing_of_ours_could_run(
    pc: dict[str, Any], steps: tuple[Any, ...], events: tuple[Any, ...], known: str
) -> None:
    case = scenario("x").given(pc=pc).do(*(steps or (do.RepRestarts(),))).scenario
    (found,) = failures(replace(_run(_joined(), *events), checks=(TICKET,), scenario=case))
    assert found.known.startswith(known)
    assert bool(found.known) == bool(known)


def test_a_thief_is_known_on_the_same_machine_only() -> None:
    check = CheckResult(check="verdict 1 of customer 1", outcome="unknown", cause="verdict unknown")
    for machine, known in (("the same machine", True), ("another machine", False)):
        case = scenario("x").do(do.StrangerPresentsTicket(machine=machine)).scenario  # type: ignore[arg-type]  # both are
        (found,) = failures(_with(check, scenario=case))
        assert bool(found.known) == known


def test_a_real_run_after_an_outage_is_back() -> None:
    case = scenario("x").do(do.CablePulled(returns_after_us=us("20m"))).scenario
    assert failures(run(case, 1)) == ()
