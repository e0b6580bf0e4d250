"""Delta debugging: the smallest part of a list that still fails (Zeller and Hildebrandt, TSE 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ddmin(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Return a part of ``items``, in their order, that fails and of which no single item can be left out.

    Args:
        items: a list that fails as it is.
        fails: whether a part of it fails; asked at most about len(items)² + 3·len(items) parts.
    """
    left = tuple(items)
    if left and fails(()):
        return ()
    count = 2
    while len(left) >= 2:
        parts = _cut(left, count)
        smaller = _one_part(parts, fails) if count > 2 or len(left) > 2 else None
        if smaller is not None:
            left, count = smaller, 2
            continue
        without = _without_one(parts, fails)
        if without is not None:
            left, count = without, max(count - 1, 2)
            continue
        if count >= len(left):
            break
        count = min(count * 2, len(left))
    return left


def _cut(items: tuple[T, ...], count: int) -> list[tuple[T, ...]]:
    size, rest = divmod(len(items), count)
    parts, start = [], 0
    for number in range(count):
        end = start + size + (number < rest)
        parts.append(items[start:end])
        start = end
    return [part for part in parts if part]


def _one_part(parts: list[tuple[T, ...]], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...] | None:
    return next((part for part in parts if fails(part)), None)


def _without_one(parts: list[tuple[T, ...]], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...] | None:
    # From the end: late steps of a plan lead to nothing further, so that they can go first.
    for index in range(len(parts) - 1, -1, -1):
        rest = tuple(item for number, part in enumerate(parts) if number != index for item in part)
        if fails(rest):
            return rest
    return None
