"""A step that was not possible leaves the world as it was."""

from __future__ import annotations

import pytest

from rrsim.backends.sim.runner import run
from rrsim.scenario.loader import load_text

BODY = """
rrsim: 1
name: kill-while-asleep
covers: [R8]
given: {agent: service}
steps:
  - do: the agent process dies
    at: 300ms
  - {do: pc sleeps, when: agent started, nth: 1}
  - {do: the agent process dies, when: agent started, delay: 1s}
  - {do: pc wakes, when: agent started, delay: 30s}
expect: {boots: 0}
"""


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_process_that_could_not_be_killed_gets_what_waited_for_it(seed: int) -> None:
    """The PC sleeps: the agent has not heard yet that it starts, and hears it when the PC wakes (seed 976544)."""
    (case,) = load_text(BODY)
    result = run(case, seed)
    assert result.outcome != "error", result.reason
    assert any(check.cause == "step impossible" for check in result.checks), "the kill has to come while it sleeps"
