"""What every cluster can do, and what goes wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

Work = Callable[[bytes], bytes]
"""A function of a module, so that every worker can find it. It raises nothing: a failure is part of its result."""

TRIES: Final = 3
"""How often a task is begun before the workers that died of it are enough."""


class ClusterError(RuntimeError):
    """A cluster cannot be used; the message says what was expected, what was seen and what to try."""


class NotReachable(ClusterError):
    """Nobody answers at the address, or no worker is connected there."""


class NotAlike(ClusterError):
    """The workers are not of this version, of this source, or not started as results that can be compared need it."""


class NotInstalled(ClusterError):
    """The packages of the extra ``cluster`` are not here."""


class Done(msgspec.Struct, frozen=True, gc=False):
    """A task that is over."""

    number: int
    """As :meth:`Cluster.submit` returned it."""
    data: bytes = b""
    error: str = ""
    """Why there is no result; empty: there is one."""


class Task(msgspec.Struct, frozen=True, gc=False):
    """A task under way, for as long as it may have to be begun anew."""

    number: int
    work: Work
    payload: bytes
    slot: str = ""
    tries: int = 1
    """How often it was begun."""

    def again(self) -> Task:
        """Return it as it is begun once more."""
        return msgspec.structs.replace(self, tries=self.tries + 1)


class Cluster(Protocol):
    """Workers, wherever they are."""

    name: str
    """For headings."""

    @property
    def slots(self) -> int:
        """How many tasks can go on at a time, now."""

    @property
    def gone(self) -> bool:
        """Whether nobody is there any more, for good: what is submitted now is gathered as lost."""

    def submit(self, work: Work, payload: bytes, slot: str = "") -> int:
        """Begin a task as soon as somebody is free; returns its number.

        ``slot`` names a thing of which a worker has only so many, such as ``vm``: the task waits for one of them.
        """

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Return the tasks that have ended since the last time; waits so long for the first one."""

    def cancel(self) -> int:
        """Forget every task that nobody has begun; returns how many. Those that go on are still gathered."""

    def close(self) -> None:
        """Let the workers go. Nothing is gathered afterwards."""
