"""Sketches: near the truth, the same whoever counts, of one size."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.novelty import COMPONENTS, ERROR, SIZE, Novelty, Sketch
from rrsim.explore.swarm.run import play


def _of(numbers: range) -> Sketch:
    sketch = Sketch()
    for number in numbers:
        sketch.add(int.from_bytes(blake2b(str(number).encode(), digest_size=8).digest(), "big"))
    return sketch


@pytest.mark.parametrize("count", [0, 1, 10, 1_000, 20_000, 200_000])
def test_an_estimate_is_near_the_truth(count: int) -> None:
    assert abs(_of(range(count)).count() - count) <= max(2, 5 * ERROR * count)


def test_sketches_of_parts_merge_to_the_sketch_of_the_whole() -> None:
    merged = _of(range(6_000))
    merged.merge(_of(range(4_000, 10_000)))
    assert merged.registers == _of(range(10_000)).registers


def test_twice_the_same_is_nothing_new() -> None:
    sketch = _of(range(500))
    before = bytes(sketch.registers)
    sketch.merge(_of(range(500)))
    assert bytes(sketch.registers) == before


def test_registers_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=f"expected {SIZE} registers, saw 3"):
        Sketch(b"abc")


def test_every_component_is_heard_and_a_known_run_is_no_news() -> None:
    novelty = Novelty()
    play(draw_plan(5), novelty.parts)
    heard = novelty.heard
    seen = novelty.take()
    assert set(seen) == set(COMPONENTS)
    assert all(Sketch(registers).count() > 0 for registers in seen.values())
    play(draw_plan(5), novelty.parts)
    # A step that raises is never remembered: a thing that a person cannot do now is asked for again.
    assert novelty.heard - heard <= 1
    assert sum(Sketch(registers).count() for registers in novelty.take().values()) <= 1
