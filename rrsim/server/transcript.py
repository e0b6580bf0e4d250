"""The transcript of a session, as its journal holds it (I12).

The session core keeps only the transcript's length; whoever drives the core shows an endpoint that joins, resumes or
reconnects the lines from before. An endpoint shows each ``seq`` once, so a repeat does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rrsim.protocol.messages import ServerChat
from rrsim.protocol.records import AnyRecord, ChatLine

MAX_LINES: Final = 200
"""How many lines an endpoint is shown at most: the latest."""


def lines(journal: Iterable[AnyRecord]) -> tuple[ServerChat, ...]:
    """Return the latest lines of the transcript, oldest first, as messages for an endpoint."""
    said = [ServerChat(r.seq, r.author, r.text) for r in journal if isinstance(r, ChatLine)]
    return tuple(said[-MAX_LINES:])
