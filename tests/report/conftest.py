"""Histories to draw: real ones from the simulator, and small ones written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rrsim.backends.sim.runner import run
from rrsim.machine import observations as seen
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.protocol.settings import Account
from rrsim.scenario.history import Header, History
from rrsim.scenario.loader import load_text
from rrsim.scenario.result import RunResult

SECOND = 1_000_000


@pytest.fixture
def simulated() -> Callable[..., RunResult]:
    """Run a scenario given as YAML lines after its name on the simulator."""

    def make(body: str, seed: int = 1, name: str = "made-here") -> RunResult:
        (case,) = load_text(f"rrsim: 1\nname: {name}\ncovers: [R1]\n{body}", path="scenarios/area/made-here.yaml")
        return run(case, seed)

    return make


@pytest.fixture
def resumed(simulated: Callable[..., RunResult]) -> RunResult:
    """An ordinary restart."""
    return simulated("steps: [{do: rep restarts}]\nexpect: {verdict: resumed}\n")


@pytest.fixture
def expired(simulated: Callable[..., RunResult]) -> RunResult:
    """Nobody signs in, and the window runs out."""
    body = "given: {customer: {logs on: nobody}}\nsteps: [{do: rep restarts}]\nexpect: {verdict: expired}\n"
    return simulated(body)


@pytest.fixture
def by_hand() -> Callable[..., History]:
    """A history from (seconds, source, event) triples, after a session that stands."""

    def make(*entries: tuple[float, str, Any], customers: int = 1) -> History:
        history = History(Header(scenario="x", backend="sim", seed=1, customers=customers))
        history.append(0, "server", r.SessionRequested(session="s", kind="standard", account=Account()))
        history.append(0, "director", seen.StepDone(step="begin"))
        for at, source, event in entries:
            history.append(int(at * SECOND), source, event)
        return history

    return make


@pytest.fixture
def restart_by_hand(by_hand: Callable[..., History]) -> History:
    """One restart with a window that opens at 10 s and closes at 70 s."""
    return by_hand(
        (1, "console", m.AskRestart(place="chat window")),
        (
            2,
            "server",
            r.OrderGiven(session="s", restart=1, boot_mode="normal", forced=False, boot="b1", ticket_seal="z"),
        ),
        (10, "server", r.WindowOpened(session="s", restart=1, reason="announcement")),
        (12, "pc-1", seen.PhaseBegan(phase="shutting down")),
        (20, "pc-1", seen.WentDown(cause="agent", clean=True)),
        (20, "net-1", seen.LinkChanged(up=False, kind="lan")),
        (22, "pc-1", seen.PhaseBegan(phase="firmware")),
        (30, "pc-1", seen.BootBegan(boot="b2", safe_mode=False, cause="agent")),
        (60, "net-1", seen.LinkChanged(up=True, kind="lan")),
        (65, "pc-1", seen.PhaseBegan(phase="desktop")),
        (
            70,
            "server",
            r.EndpointResumed(session="s", restart=1, boot="b2", key_seal="z", safe_mode=False, user="u", machine="m"),
        ),
        (80, "director", seen.Healed()),
    )
