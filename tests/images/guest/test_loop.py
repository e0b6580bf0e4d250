"""The daemon's loop: what is no longer waited for is not called, even if it was found ready in the same round."""

from __future__ import annotations

import os

import pytest

from rrsim.images.guest.loop import Loop


@pytest.mark.parametrize("first", [0, 1])
def test_what_an_earlier_event_closed_is_not_read(first: int) -> None:
    loop, pipes, read = Loop(), [os.pipe(), os.pipe()], []
    ends = [pipes[first][0], pipes[1 - first][0]]

    def close_the_other(mine: int, other: int) -> None:
        read.append(mine)
        loop.forget(mine)
        os.close(mine)
        loop.forget(other)
        os.close(other)

    loop.watch(ends[0], lambda: close_the_other(ends[0], ends[1]))
    loop.watch(ends[1], lambda: close_the_other(ends[1], ends[0]))
    for _, writing in pipes:
        os.write(writing, b"x")
    loop.once()
    assert len(read) == 1, "the second was found ready too, and is gone"
    for _, writing in pipes:
        os.close(writing)


def test_what_is_read_is_not_written_after_it_closed() -> None:
    loop, done = Loop(), []
    left, right = os.pipe()

    def write() -> None:
        done.append("write")
        loop.forget(right)
        os.close(right)

    loop.watch(right, lambda: done.append("read"), write)
    loop.once()
    assert done == ["write"]
    os.close(left)
