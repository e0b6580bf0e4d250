"""The kernel: order at one instant, cancelling, causes, and the guard against runs without end."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.backends.sim.kernel import Kernel, RunawayError


def _recorder() -> tuple[list[tuple[int, str]], Kernel, Any]:
    seen: list[tuple[int, str]] = []
    kernel = Kernel()

    def note(name: str, _: None) -> None:
        seen.append((kernel.now_us, name))

    return seen, kernel, note


def test_the_deadline_wins_over_a_message_at_the_same_instant() -> None:
    seen, kernel, note = _recorder()
    kernel.at(600_000_000, note, "message", None)
    kernel.timer(600_000_000, note, "deadline", None)
    kernel.run()
    assert seen == [(600_000_000, "deadline"), (600_000_000, "message")]


def test_a_timer_due_now_runs_before_work_asked_for_now() -> None:
    seen, kernel, note = _recorder()

    def first(_: None, __: None) -> None:
        kernel.soon(note, "soon", None)

    kernel.timer(5, first, None, None)
    kernel.timer(5, note, "timer", None)
    kernel.at(5, note, "message", None)
    kernel.run()
    assert [name for _, name in seen] == ["timer", "soon", "message"]


def test_work_at_one_instant_keeps_the_order_it_was_asked_in() -> None:
    seen, kernel, note = _recorder()
    for name in "abc":
        kernel.at(7, note, name, None)
    kernel.run()
    assert [name for _, name in seen] == ["a", "b", "c"]


def test_next_runs_before_soon() -> None:
    seen, kernel, note = _recorder()
    kernel.soon(note, "soon", None)
    kernel.next(note, "next", None)
    kernel.run()
    assert [name for _, name in seen] == ["next", "soon"]


def test_a_cancelled_timer_does_nothing() -> None:
    seen, kernel, note = _recorder()
    entry = kernel.timer(1, note, "cancelled", None)
    kernel.timer(2, note, "kept", None)
    kernel.cancel(entry)
    kernel.run()
    assert seen == [(2, "kept")]


def test_work_carries_the_cause_it_was_asked_under() -> None:
    kernel = Kernel()
    causes: list[int] = []
    kernel.cause = 41
    kernel.at(3, lambda *_: causes.append(kernel.cause), None, None)
    kernel.cause = 42
    kernel.soon(lambda *_: causes.append(kernel.cause), None, None)
    kernel.run()
    assert causes == [42, 41]


def test_a_run_without_end_is_named() -> None:
    kernel = Kernel()

    def again(_: None, __: None) -> None:
        kernel.soon(again, None, None)

    kernel.soon(again, None, None)
    with pytest.raises(RunawayError, match="more than 1000 events"):
        kernel.run(max_events=1000)
