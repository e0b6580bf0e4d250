"""What can go wrong with an image, in the words of a command: what was expected, what was seen, what to try."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Hears what a builder is doing, one line at a time."""


class ImageError(Exception):
    """An image cannot be used or made."""

    def __init__(self, expected: str, saw: str, try_: str) -> None:
        """Say what was expected, what was seen, and what to try."""
        super().__init__(f"expected {expected}; saw {saw}; try {try_}")
        self.expected, self.saw, self.try_ = expected, saw, try_
