"""A line on stderr that says how far something is: written anew on a terminal, a line of its own elsewhere."""

from __future__ import annotations

import sys

from rrsim.cli.errors import say


class StatusLine:
    """The line. How often it is worth showing is the caller's to say."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self.terminal = sys.stderr.isatty()
        self._open = False

    def show(self, text: str) -> None:
        """Put this in the line's place."""
        if not self.terminal:
            say(f"… {text}")
            return
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()
        self._open = True

    def leave(self) -> None:
        """Go on below the line."""
        if self._open:
            sys.stderr.write("\n")
        self._open = False

    def erase(self) -> None:
        """Go on in the line's place."""
        if self._open:
            sys.stderr.write("\r\x1b[K")
        self._open = False
