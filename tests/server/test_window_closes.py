"""Where the window closes with the connection (rule 1): a hello in time holds it open once, for a bounded while."""

from __future__ import annotations

import pytest

from rrsim.protocol.settings import CLAIM_US, Account
from rrsim.server.vocabulary import AgentGone, Greeted
from tests.server.bench import MACHINE, Bench

CONNECTED = Account(window_closes="connected")
CONN = 40
WINDOW_US = CONNECTED.resume_window_us


def _greeted(account: Account = CONNECTED, machine: str = MACHINE, before_us: int = 1) -> Bench:
    b = Bench(account).rebooting()
    b.wait(WINDOW_US - before_us)
    b.do(Greeted(CONN, machine))
    return b


def test_a_claim_after_the_window_resumes_if_the_hello_was_in_time() -> None:
    b = _greeted()
    b.wait(CLAIM_US)
    assert b.name == "rebooting"
    b.resume()
    assert b.name == "active"
    assert (b.state.greeted, b.state.overtime) == (0, False)


@pytest.mark.parametrize(
    "b",
    [_greeted(Account()), _greeted(machine="machine-2"), Bench(CONNECTED).rebooting()],
    ids=["default account", "another machine", "no hello"],
)
def test_otherwise_the_deadline_wins(b: Bench) -> None:
    b.until(max(b.now_us, WINDOW_US) + WINDOW_US)
    assert b.name == "expired"


def test_a_hello_on_the_deadline_is_too_late() -> None:
    assert _greeted(before_us=0).name == "expired"


def test_a_hello_without_a_claim_is_awaited_once() -> None:
    b = _greeted()
    b.wait(CLAIM_US)
    b.do(AgentGone(CONN, "reset"))
    b.do(Greeted(CONN + 1, MACHINE))
    b.wait(1)
    assert b.name == "expired"


def test_a_connection_that_is_gone_before_the_deadline_holds_nothing_open() -> None:
    b = _greeted()
    b.do(AgentGone(CONN, "reset"))
    b.wait(1)
    assert b.name == "expired"


def test_a_server_that_dies_meanwhile_still_ends_it() -> None:
    b = _greeted()
    b.wait(1)
    assert b.state.overtime
    b.crash()
    b.wait(CLAIM_US)
    assert b.name == "expired"
