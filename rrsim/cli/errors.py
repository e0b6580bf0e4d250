"""Errors of the command line: what was expected, what was seen, what to try, and the exit code."""

from __future__ import annotations

import sys

from rrsim.cli.exit_codes import HARNESS, USAGE


class CommandError(Exception):
    """A command cannot go on. Printed to stderr as three lines; ends with ``code``."""

    def __init__(self, expected: str, saw: str, try_: str, code: int = USAGE) -> None:
        super().__init__(f"expected {expected}; saw {saw}; try {try_}")
        self.expected = expected
        self.saw = saw
        self.try_ = try_
        self.code = code

    def lines(self) -> str:
        """Return the message as it is printed."""
        return f"expected: {self.expected}\n     saw: {self.saw}\n     try: {self.try_}"


def environment_error(expected: str, saw: str, try_: str) -> CommandError:
    """Return an error of the harness or its environment: exit code 70."""
    return CommandError(expected, saw, try_, HARNESS)


def unusable_file(error: OSError) -> str:
    """Return what is printed when a file cannot be read or written."""
    return f"expected: files that can be read and written\n     saw: {error}\n     try: another path"


def say(text: str) -> None:
    """Write a line to stderr, where progress and messages go; results go to stdout."""
    print(text, file=sys.stderr, flush=True)
