"""The modelled PC under the suite that every machine has to pass (:mod:`tests.contract.suite`)."""

from __future__ import annotations

import pytest

from rrsim.backends.live.wine.pc import CAPABILITIES
from rrsim.backends.sim.machine import SimMachine
from rrsim.backends.sim.pc import NotPossible
from rrsim.machine.interface import all_capabilities
from rrsim.scenario.model import PcSetup
from tests.contract.suite import *  # noqa: F403 -- the suite's tests are to be collected here
from tests.contract.suite import NEEDED, Subject

MINUTE_US = 60_000_000
ONLY_SIMULATED = {"other user"}
"""What the modelled machine offers besides what the suite uses. All else is modelled for scenarios only: they drive the
parts of the PC directly."""
WINE_LACKS = frozenset({
    "sleep", "fast startup", "other user", "automatic logon", "lock", "bitlocker", "bios password", "exact trigger",
    "wall clock", "full disk", "security tool", "scheduled restart", "other sessions", "standard user",
    "linux customer", "service removal", "service faults", "damaged record", "destroyed window", "file rights", "dns",
    "stranger", "temporary profile", "safe mode faults", "black screen", "identity faults",
    "fixed boot times", "installer faults", "installer that lets go", "calls that change nothing",
    "sharing at the welcome screen",
    "secret protection", "service recovery", "updates",
    "press under the block screen",
})  # fmt: skip
"""What the Wine machine cannot do, by name: none is gained or lost unseen."""

SUBJECTS = {
    "simulated service": Subject(lambda: SimMachine(mode="service"), "service", MINUTE_US, NotPossible),
    "simulated application": Subject(
        lambda: SimMachine(mode="application"), "application", MINUTE_US, NotPossible
    ),
    "simulated with updates": Subject(
        lambda: SimMachine(PcSetup(updates="short"), seed=7), "service", MINUTE_US, NotPossible
    ),
}


@pytest.fixture(params=SUBJECTS, ids=str)
def subject(request: pytest.FixtureRequest) -> Subject:
    """One kind of modelled PC."""
    return SUBJECTS[request.param]


def test_what_the_simulated_machine_can_do_is_known() -> None:
    assert SimMachine().capabilities == NEEDED | ONLY_SIMULATED


def test_what_the_wine_machine_cannot_do_is_known() -> None:
    assert all_capabilities() - CAPABILITIES == WINE_LACKS
    assert not WINE_LACKS & NEEDED
