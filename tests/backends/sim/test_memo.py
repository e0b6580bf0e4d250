"""The memo: asks a step function once for each (state, input), never remembers errors, stays bounded."""

from __future__ import annotations

import pytest

from rrsim.backends.sim import memo as memo_module
from rrsim.backends.sim.memo import Memo


def test_a_step_runs_once_for_each_state_and_input() -> None:
    calls: list[tuple[int, int]] = []

    def step(state: int, event: int) -> tuple[int, tuple[str, ...]]:
        calls.append((state, event))
        return state + event, (f"to {state + event}",)

    memo = Memo(step)
    start = memo.node(0)
    first = memo.learn(start, 2)
    assert start.arcs[2] is first
    assert first[0].state == 2
    assert first[1] == ("to 2",)
    assert memo.node(2) is first[0]
    assert calls == [(0, 2)]


def test_an_error_passes_through_and_is_not_remembered() -> None:
    def step(state: int, event: int) -> tuple[int, tuple[str, ...]]:
        raise ValueError(f"no {event} in {state}")

    memo = Memo(step)
    node = memo.node(0)
    with pytest.raises(ValueError, match="no 1 in 0"):
        memo.learn(node, 1)
    assert node.arcs == {}


def test_a_full_memo_forgets_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_module, "MAX_ARCS", 3)
    memo = Memo(lambda state, event: (state + event, ()))
    node = memo.node(0)
    for event in range(10):
        memo.learn(node, event)
    assert memo.states <= 4
    assert memo.learn(node, 1)[0].state == 1
