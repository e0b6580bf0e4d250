"""Batches: the same however they are cut, honest about failures, and able to find every kind of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rrsim.agent.host import Connected
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.broken.catalogue import BUGS
from rrsim.explore.swarm import run as runs
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.failures import HARNESS, Failure
from rrsim.explore.swarm.novelty import Sketch
from rrsim.scenario import history_io

_BY_NAME = {bug.name: bug for bug in BUGS}


def test_a_batch_is_the_same_in_one_piece_and_in_several() -> None:
    whole = runs.Swarm().batch(0, 95)
    parts = [runs.Swarm().batch(first, first + 31) for first in (0, 32, 64)]
    assert whole.done == 96
    total = 0
    for part in parts:
        total = runs.add(total, bytes.fromhex(part.digest))
    assert whole.digest == total.to_bytes(16, "big").hex()
    for field in ("events", "virtual_us", "steps", "impossible"):
        assert getattr(whole, field) == sum(getattr(part, field) for part in parts)
    for field in ("outcomes", "situations"):
        summed: dict[str, int] = {}
        for part in parts:
            for key, count in getattr(part, field).items():
                summed[key] = summed.get(key, 0) + count
        assert getattr(whole, field) == summed
    merged = {name: Sketch() for name in whole.novelty}
    for part in parts:
        for name, registers in part.novelty.items():
            merged[name].merge(Sketch(registers))
    assert {name: bytes(sketch.registers) for name, sketch in merged.items()} == whole.novelty


def test_a_second_batch_of_the_same_process_is_not_changed_by_what_it_remembers() -> None:
    swarm = runs.Swarm()
    first, again = swarm.batch(0, 31), swarm.batch(0, 31)
    assert again.digest == first.digest
    assert again.work.novel * 20 < first.work.novel, "only steps that raise are worked out again"


def test_a_batch_travels_as_bytes() -> None:
    batch = runs.Swarm().batch(150, 200, again=7, worker="here")
    assert runs.decode(runs.encode(batch)) == batch


def test_a_batch_that_is_stopped_says_how_far_it_came() -> None:
    asked = iter([False] * 5 + [True] * 100)
    batch = runs.Swarm().batch(0, 99, stop=lambda: next(asked))
    assert batch.done == 5
    assert sum(batch.outcomes.values()) == 5


def test_the_samples_are_digests_of_whole_histories() -> None:
    batch = runs.Swarm().batch(16, 20, again=3)
    history = runs.play(draw_plan(16)).history
    assert history is not None
    assert batch.work.sample == (16, history_io.digest(history))
    assert batch.work.again == (3, runs.digest_of(3))


def _found(name: str, first: int, last: int) -> set[Failure]:
    batch = runs.Swarm(_BY_NAME[name].parts()).batch(first, last)
    return {group.failure for group in batch.groups if not group.failure.known}


@pytest.mark.parametrize(
    ("bug", "check"),
    [
        ("late agent resumed after expiry", "I1"),
        ("ticket accepted twice", "I2"),
        ("second endpoint accepted", "I3"),
        ("customer not asked", "I4"),
        ("sharing without consent after the restart", "I5"),
        ("safe-boot flag left", "I6"),
        ("autostart left behind", "I7"),
        ("Mac restarted", "I8"),
        ("restart limit ignored", "I9"),
        ("foreign restart resumed by the server", "I11"),
        ("transcript reordered", "I12"),
    ],
)
def test_deliberate_bugs_are_found(bug: str, check: str) -> None:
    assert check in {one.check for one in _found(bug, 0, 1_199)}


def test_an_input_that_a_core_refuses_is_a_failure_of_the_harness() -> None:
    def refuses(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        if isinstance(event, Connected):
            raise ValueError(f"step 12: no such input at {id(event)}")  # noqa: TRY004 -- as the cores do
        return REAL.agent(state, event)

    batch = runs.Swarm(dataclasses.replace(REAL, agent=refuses)).batch(0, 63)
    (group,) = [group for group in batch.groups if group.failure.check == HARNESS]
    assert group.failure.cause.startswith("ValueError: step ##: no such input at ###")
    assert group.count > 1, "numbers do not keep equal errors apart"
    assert batch.outcomes["error"] == group.count


def test_the_lowest_seeds_of_a_failure_are_kept_and_the_rest_is_counted() -> None:
    one, other = runs.Group(Failure("I7", "x"), 30, list(range(100, 120))), runs.Group(Failure("I7", "x"), 2, [3, 101])
    one.add(other)
    assert one.count == 32
    assert one.seeds == [3, *range(100, 119)]


def test_parts_are_taken_as_they_are() -> None:
    """A world of one's own (deliberate bugs in the wiring) is kept beside the ears."""
    class Marked:
        pass

    swarm = runs.Swarm(Parts(world=Marked))
    assert swarm._novelty.parts.world is Marked
