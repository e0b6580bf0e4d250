"""What the tests of the deliberate bugs share: the scenarios that pass without a bug, found once."""

from __future__ import annotations

import pytest

from rrsim.broken.hunt import sound
from rrsim.scenario.model import Scenario
from tests.broken import page


@pytest.fixture(scope="session")
def passing() -> tuple[Scenario, ...]:
    """Return every case that passes on the real parts."""
    return sound(page.scenarios())
