"""The lines of a chat window, each shown once.

The server sends the lines of others as they come, and after a reconnect it shows the transcript again from where this
endpoint last was (I12). The customer's own lines are in it: those that were typed here are on the screen already.
"""

from __future__ import annotations

from collections import deque
from typing import Final

CUSTOMER: Final = "customer"
"""Author of the customer's own lines in a transcript."""
MAX_LINES: Final = 500
"""Lines kept for a window that is opened again; older ones scroll away."""


class ChatLines:
    """What a chat window shows, as ``(author, text)``, oldest first."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.lines: deque[tuple[str, str]] = deque(maxlen=MAX_LINES)
        self._own: deque[str] = deque(maxlen=MAX_LINES)

    def typed(self, text: str) -> None:
        """The customer typed a line here."""
        self._own.append(text)
        self.lines.append((CUSTOMER, text))

    def heard(self, author: str, text: str) -> bool:
        """Take a line from the server, and say whether it is new here."""
        if author == CUSTOMER and text in self._own:
            while self._own.popleft() != text:
                pass
            return False
        self.lines.append((author, text))
        return True

    def not_sent(self) -> str:
        """Take back the last line typed, which nobody else will see; empty if there is none."""
        if not self._own or (CUSTOMER, self._own[-1]) not in self.lines:
            return ""
        text = self._own.pop()
        del self.lines[max(n for n, line in enumerate(self.lines) if line == (CUSTOMER, text))]
        return text

    def forget(self) -> None:
        """The session is over: nothing of it is shown in a later one."""
        self.lines.clear()
        self._own.clear()
