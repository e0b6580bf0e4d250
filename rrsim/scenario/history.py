"""The history of a run: everything that happened, in the order it was recorded.

An entry is a plain tuple ``(t_us, source, event, cause)``:

* ``t_us`` -- observed monotonic time in microseconds since the run began;
* ``source`` -- who saw it: ``server``, ``console`` (messages between server and representative), ``wire-N`` (messages
  between server and customer N's agent, recorded when delivered), ``pc-N``, ``net-N``, ``customer-N``, ``rep``,
  ``agent-N`` (the agent's own account: never evidence), ``director``;
* ``event`` -- a record, an observation, a message, an action or a timer: all frozen tagged structs;
* ``cause`` -- index of the entry that led to this one, or -1.

Arrival order is not event order across sources: checks compare order per source and along causes only.
"""

from __future__ import annotations

from typing import Any

import msgspec

Entry = tuple[int, str, Any, int]


class Header(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a history needs to be judged without its run: who took part, under which account, from which seed."""

    scenario: str
    backend: str
    seed: int
    customers: int = 1
    version: str = ""
    stand_ins: tuple[str, ...] = ()
    """Names of stand-ins that took part (live backends)."""
    sessions: tuple[tuple[str, int], ...] = ()
    """Which customer (1, 2, …) a session belongs to, where its name does not say so as ``session-N`` does."""
    unobserved: tuple[str, ...] = ()
    """Kinds of sources (``pc``, ``wire``) and event tags (``host call``) that this backend cannot see: a check that
    needs one of them says *unknown*."""


class History:
    """An append-only list of entries with a header. Cheap to append to, plain to read."""

    __slots__ = ("entries", "header")

    def __init__(self, header: Header, entries: list[Entry] | None = None) -> None:
        self.header = header
        self.entries: list[Entry] = entries if entries is not None else []

    def append(self, t_us: int, source: str, event: Any, cause: int = -1) -> int:
        """Append one entry and return its index."""
        self.entries.append((t_us, source, event, cause))
        return len(self.entries) - 1

    def __len__(self) -> int:
        return len(self.entries)
