"""The one error of the builder: what was expected, what was seen, what to try."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one line about what is being done now."""


class BuildError(Exception):
    """The agent could not be built. The build is as it was before; nothing half made is left in the cache."""

    def __init__(self, expected: str, saw: str, try_: str) -> None:
        super().__init__(f"expected {expected}; saw {saw}; try {try_}")
        self.expected = expected
        self.saw = saw
        self.try_ = try_


class ToolMissing(BuildError):
    """A program that the build needs is not installed on this computer."""
