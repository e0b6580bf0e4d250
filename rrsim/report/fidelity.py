"""The known differences between a simulated run and a real one, each with its reason. ``docs/fidelity.md`` lists them.

A line of a difference is explained if a row names its witness, its side and its words. A difference is explained if all
its lines are: a row never explains what it does not name.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec


class Known(msgspec.Struct, frozen=True):
    """One difference that is known, and why it may be."""

    name: str
    witness: str
    only_on: str
    """The backend on whose side the events are; the other has none there."""
    words: str
    """A regular expression for the whole text of an event."""
    reason: str
    mode: str = ""
    """``service`` or ``application``: only where the agent runs so."""


KNOWN: Final[tuple[Known, ...]] = (
    Known(
        "a service's own start", "disk", "sim", r"boot \d+: autostart: .*",
        "A service is started by Windows whatever the session does: arming its start makes sure of that and leaves no "
        "trace. The model tells of the call, and the watcher of a real disk has nothing to see.",
        mode="service",
    ),
    Known(
        "the last word", "wire", "wine", r"session-over · reason: the customer left",
        "The agent has hung up when the server says that the session is over. A real server tells what it sent; the "
        "model tells what was delivered, and this was not.",
    ),
)
"""The table. A row that no comparison needs any more is taken out."""

BY_NAME: Final = {one.name: one for one in KNOWN}


def explain(left: str, right: str, mode: str, difference: Any) -> str:
    """Return the name of the known difference that this is, or nothing.

    ``difference`` is a :class:`rrsim.report.compare.Difference` between backends ``left`` and ``right``, with the
    agent in ``mode``. Between two runs of one backend nothing is explained.
    """
    if left == right:
        return ""
    names: list[str] = []
    for backend, events in ((left, difference.left), (right, difference.right)):
        for event in events:
            row = next((one for one in KNOWN if _fits(one, difference.witness, backend, mode, event.text)), None)
            if row is None:
                return ""
            names.append(row.name)
    return names[0] if names else ""


def _fits(row: Known, witness: str, backend: str, mode: str, text: str) -> bool:
    return (
        row.witness == witness and row.only_on == backend and row.mode in ("", mode)
        and re.fullmatch(row.words, text) is not None
    )
