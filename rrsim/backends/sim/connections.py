"""The connections of one customer's agent to the session server, as the network between them sees each end.

Pure helpers of :mod:`rrsim.backends.sim.network`. A connection has two ends that can know different things:

* both ends open, path *clear*: messages pass;
* path *cut*: nothing passes, messages wait (TCP sends again); if the path heals in time the connection goes on;
* path *broken*: nothing passes and never will, and the network tells nobody (half open, or power gone: NE-08);
* one end gone: the other learns of it by a packet if the path is clear, by a reset when the path heals, or only
  through its own silence timer if the path is broken.

Numbers run 1..64 and wrap. At most :data:`MAX_CONNS` are kept, so that the state stays small.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.backends.sim.parts import After, ConnDown, ConnRefused, ConnUp, Forget, Release, Saw
from rrsim.machine.observations import ConnectTried

MAX_CONNS: Final = 8
"""More than one agent with its stale connections ever has at once."""

ConnEffect = After | Forget | Saw | ConnUp | ConnRefused | ConnDown | Release


class Conn(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """One connection, asked for or established."""

    number: int
    asking: bool = False
    """Not established yet; its timer is ``connect N``."""
    obstacle: str = ""
    """While asking: why it will fail; empty if it will succeed as things stand."""
    agent: bool = True
    """The agent's end is open as far as the agent knows."""
    server: bool = True
    """The server's end is open as far as the server knows."""
    path: Literal["clear", "cut", "broken"] = "clear"
    rude: bool = False
    """The agent's end vanished without a goodbye: a power cut in the same instant swallows the reset."""


Conns = tuple[Conn, ...]
Change = tuple[Conns, list[ConnEffect]]


def find(conns: Conns, number: int) -> Conn | None:
    """Return the connection with this number, if it is known."""
    return next((c for c in conns if c.number == number), None)


def put(conns: Conns, conn: Conn) -> Conns:
    """Replace the connection of the same number."""
    return tuple(conn if c.number == conn.number else c for c in conns)


def without(conns: Conns, number: int) -> Conns:
    """Leave one connection out."""
    return tuple(c for c in conns if c.number != number)


def stop_timers(number: int) -> list[ConnEffect]:
    """Cancel everything that was still to happen to a connection."""
    return [Forget(f"{what} {number}") for what in ("connect", "notice", "close")]


def begin(conns: Conns, number: int, obstacle: str) -> Change:
    """Note a new attempt. A stale connection of the same number, or the oldest of too many, is forgotten first."""
    effects: list[ConnEffect] = []
    stale = find(conns, number)
    if stale is None and len(conns) >= MAX_CONNS:
        stale = next((c for c in conns if not c.agent), conns[0])
    if stale is not None:
        conns = without(conns, stale.number)
        effects += stop_timers(stale.number)
        if stale.asking:
            effects.append(ConnRefused(stale.number, "given up"))
        else:
            effects.append(ConnDown(stale.number, "forgotten", stale.agent, stale.server))
    return (*conns, Conn(number, asking=True, obstacle=obstacle)), effects


def refuse(conns: Conns, number: int, reason: str) -> Change:
    """An attempt failed."""
    return without(conns, number), [Saw(ConnectTried(reason)), ConnRefused(number, reason)]


def establish(conns: Conns, number: int) -> Change:
    """An attempt succeeded."""
    return put(conns, Conn(number)), [Saw(ConnectTried("connected")), ConnUp(number)]


def hang_up(conns: Conns, number: int, close: After | None, *, rude: bool) -> Change:
    """The agent's end closed. ``close`` brings the news to the server; None while nothing passes."""
    conn = find(conns, number)
    if conn is None or not conn.agent:
        return conns, []
    if conn.asking or not conn.server:
        return without(conns, number), stop_timers(number)
    effects: list[ConnEffect] = [Forget(f"notice {number}")]
    if conn.path == "clear" and close is not None:
        effects.append(close)
    return put(conns, msgspec.structs.replace(conn, agent=False, rude=rude)), effects


def server_hung_up(conns: Conns, number: int, *, passes: bool) -> Change:
    """The server's end closed; the agent hears of it if packets pass."""
    conn = find(conns, number)
    if conn is None or conn.asking or not conn.server:
        return conns, []
    if not conn.agent:
        return without(conns, number), stop_timers(number)
    if conn.path == "clear" and passes:
        return without(conns, number), [*stop_timers(number), ConnDown(number, "closed by the server", True, False)]
    return put(conns, msgspec.structs.replace(conn, server=False)), []


def server_died(conns: Conns, *, passes: bool) -> Change:
    """The server's process is gone: every server end closes; agents hear of it where packets pass."""
    kept: list[Conn] = []
    effects: list[ConnEffect] = []
    for c in conns:
        if c.asking or not c.server:
            kept.append(c)
        elif not c.agent:
            effects += stop_timers(c.number)
        elif c.path == "clear" and passes:
            effects += [*stop_timers(c.number), ConnDown(c.number, "the server went away", True, True)]
        else:
            effects.append(ConnDown(c.number, "the server went away", False, True))
            kept.append(msgspec.structs.replace(c, server=False))
    return tuple(kept), effects


def drop(conns: Conns) -> Change:
    """Every established connection with a clear path ends, and both ends are told (LO-16)."""
    gone = [c for c in conns if not c.asking and c.path == "clear"]
    effects: list[ConnEffect] = []
    for c in gone:
        effects += [*stop_timers(c.number), ConnDown(c.number, "connection dropped", c.agent, c.server)]
    return tuple(c for c in conns if c not in gone), effects


def half_open(conns: Conns) -> Change:
    """Established connections fall silent for good without telling anybody; new ones are not touched (NE-08)."""
    effects: list[ConnEffect] = []
    kept: list[Conn] = []
    for c in conns:
        if c.asking or c.path == "broken":
            kept.append(c)
        else:
            effects += stop_timers(c.number)
            kept.append(msgspec.structs.replace(c, path="broken"))
    return tuple(kept), effects


def cut(conns: Conns, *, notice: bool) -> Change:
    """The way to the server is gone. Windows tells the agent a little later (``notice``); the server hears nothing.

    A goodbye that is already on the wire still arrives."""
    kept: list[Conn] = []
    effects: list[ConnEffect] = []
    for c in conns:
        if c.asking or not c.agent:
            kept.append(c)
            continue
        if notice:
            effects.append(After(f"notice {c.number}", "net notice"))
        kept.append(msgspec.structs.replace(c, path="cut") if c.path == "clear" else c)
    return tuple(kept), effects


def noticed(conns: Conns, number: int) -> Change:
    """Windows tells the agent that its connection is gone; the server still believes in it."""
    conn = find(conns, number)
    if conn is None or conn.asking or not conn.agent:
        return conns, []
    told = ConnDown(number, "network unreachable", True, False)
    if not conn.server:
        return without(conns, number), [told]
    return put(conns, msgspec.structs.replace(conn, agent=False)), [told]


def mend(conns: Conns, reset_draw: str) -> Change:
    """The way to the server is back: cut connections go on if both ends still have them, else the other end is
    reset."""
    kept: list[Conn] = []
    effects: list[ConnEffect] = []
    for c in conns:
        if c.asking or c.path != "cut":
            kept.append(c)
        elif c.agent and c.server:
            effects += [Forget(f"notice {c.number}"), Release(c.number)]
            kept.append(msgspec.structs.replace(c, path="clear"))
        elif c.agent:
            effects += [Forget(f"notice {c.number}"), ConnDown(c.number, "reset by the server", True, False)]
        else:
            effects.append(After(f"close {c.number}", reset_draw))
            kept.append(msgspec.structs.replace(c, path="clear"))
    return tuple(kept), effects


def flow(conns: Conns, reset_draw: str, *, online: bool) -> Change:
    """A stall is over: messages flow again, and so does the news of an end that closed meanwhile."""
    kept: list[Conn] = []
    effects: list[ConnEffect] = []
    for c in conns:
        if c.asking or c.path != "clear":
            kept.append(c)
        elif c.agent and c.server:
            effects.append(Release(c.number))
            kept.append(c)
        elif c.agent:
            effects += [*stop_timers(c.number), ConnDown(c.number, "closed by the server", True, False)]
        elif online:
            effects.append(After(f"close {c.number}", reset_draw))
            kept.append(c)
        else:
            kept.append(msgspec.structs.replace(c, path="cut"))
    return tuple(kept), effects


def closed(conns: Conns, number: int) -> Change:
    """The news that the agent's end is gone reached the server."""
    conn = find(conns, number)
    if conn is None or conn.asking or conn.agent:
        return conns, []
    return without(conns, number), [ConnDown(number, "reset" if conn.rude else "closed by the agent", False, True)]


def pc_down(conns: Conns, *, clean: bool, passes: bool) -> Change:
    """The PC went down. Windows says goodbye when it shuts down in order; when the power goes it cannot."""
    kept: list[Conn] = []
    effects: list[ConnEffect] = []
    for c in conns:
        if c.asking or not c.server:
            effects += stop_timers(c.number)
        elif c.agent and clean and passes and c.path == "clear":
            effects += [*stop_timers(c.number), ConnDown(c.number, "the pc shut down", False, True)]
        elif c.agent:
            effects += stop_timers(c.number)
            kept.append(Conn(c.number, agent=False, path="cut" if clean and c.path != "broken" else "broken"))
        elif c.rude and not clean and c.path == "clear":
            effects += stop_timers(c.number)
            kept.append(Conn(c.number, agent=False, path="broken"))
        else:
            kept.append(c)
    return tuple(kept), effects


def wake(conns: Conns) -> Change:
    """The PC is awake again: whatever its agent had open or asked for is gone; the server was not told."""
    kept: list[Conn] = []
    effects: list[ConnEffect] = []
    for c in conns:
        if c.asking:
            effects += [*stop_timers(c.number), Saw(ConnectTried("no network")), ConnRefused(c.number, "no network")]
        elif c.agent:
            effects += [*stop_timers(c.number), ConnDown(c.number, "the pc slept", True, False)]
            if c.server:
                path: Literal["cut", "broken"] = "broken" if c.path == "broken" else "cut"
                kept.append(Conn(c.number, agent=False, path=path))
        else:
            kept.append(c)
    return tuple(kept), effects
