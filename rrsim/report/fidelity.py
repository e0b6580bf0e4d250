"""The known differences between a simulated run and a real one, each with its reason. ``docs/fidelity.md`` lists them.

A line of a difference is explained if a row names its witness, its side and its words. A difference is explained if all
its lines are: a row never explains what it does not name.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec


class Known(msgspec.Struct, frozen=True):
    """One difference that is known, and why it may be."""

    name: str
    witness: str
    only_on: Literal["sim", "machines"]
    """On whose side the events are: the simulator's, or that of machines held against it."""
    words: str
    """A regular expression for the whole text of an event."""
    reason: str
    mode: str = ""
    """``service`` or ``application``: only where the agent runs so; ``mac``: only where the customer has a Mac."""


MAC: Final = (
    "In the end the harness restarts a modelled Mac too, to see that nothing comes back. The Mac customer of a live "
    "run is a process without a computer of its own: that nothing is left of it is looked up in its folder."
)

KNOWN: Final[tuple[Known, ...]] = (
    Known(
        "a service's own start", "disk", "sim", r"boot \d+: autostart: .*",
        "A service is started by Windows whatever the session does: arming its start makes sure of that and leaves no "
        "trace. The model tells of the call, and the watcher of a real disk has nothing to see.",
        mode="service",
    ),
    Known(
        "the last word", "wire", "machines", r"session-over · reason: the customer left",
        "The agent has hung up when the server says that the session is over. A real server tells what it sent; the "
        "model tells what was delivered, and this was not.",
    ),
    Known(
        "the dialler's window", "desktop", "sim",
        r"boot \d+: (window shown|clicked|window gone) · .*window: dial prompt.*",
        "The model's Windows asks before it dials. On machines the customer dials without a window: the line is the "
        "harness's own there, or a modem that the guest's own programs use.",
    ),
    Known(
        "the harness's restart of a Mac", "power", "sim",
        r"(restart began|windows session ends|went down|boot began) · cause: probe.*", MAC, mode="mac",
    ),
    Known(
        "a modelled Mac's last notice", "desktop", "sim", r"boot \d+: window gone · window: notice · by: windows",
        "The last notice on a modelled Mac stays until the harness's restart.", mode="mac",
    ),
    Known(
        "a live Mac's last notice", "desktop", "machines", r"boot \d+: window gone · window: notice · by: agent",
        "The last notice on the Mac of a live run goes with its process.", mode="mac",
    ),
)
"""The table. A row that no comparison needs any more is taken out."""

BY_NAME: Final = {one.name: one for one in KNOWN}


def explain(left: str, right: str, mode: str, difference: Any) -> str:
    """Return the name of the known difference that this is, or nothing.

    ``difference`` is a :class:`rrsim.report.compare.Difference` between backends ``left`` and ``right``, with the
    agent in ``mode``. Only what differs between the model and a machine is explained.
    """
    if (left == "sim") == (right == "sim"):
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
        row.witness == witness and row.only_on == ("sim" if backend == "sim" else "machines")
        and row.mode in ("", mode)
        and re.fullmatch(row.words, text) is not None
    )
