"""A batch as a task for workers: bytes in, bytes out, the same wherever it is done."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from threading import Lock
from typing import Final

import msgspec

from rrsim.explore.swarm.run import Swarm, encode


class Order(msgspec.Struct, frozen=True, gc=False):
    """The seeds of a batch, and a seed of another one to play again."""

    first: int
    last: int
    again: int = -1
    whose: str = ""
    """The campaign it belongs to: a worker that served another one before counts what is new from the start."""


_ORDER: Final = msgspec.msgpack.Decoder(Order)
_TURN: Final = Lock()
"""A worker with several threads plays one batch at a time: what it remembers is for one run at a time, and a second
thread would not make it faster."""


class _Worker:
    """What this process remembers from one batch to the next."""

    def __init__(self) -> None:
        self._swarm = Swarm()
        self._whose = ""

    def swarm(self, whose: str) -> Swarm:
        if whose != self._whose:
            self._swarm.renew()
            self._whose = whose
        return self._swarm


@lru_cache(maxsize=1)
def _worker() -> _Worker:
    return _Worker()


def play_batch(payload: bytes) -> bytes:
    """Play a batch; what this process has worked out before serves the next one."""
    order = _ORDER.decode(payload)
    worker = f"{platform.node()}:{os.getpid()}"
    with _TURN:
        swarm = _worker().swarm(order.whose)
        return encode(swarm.batch(order.first, order.last, again=order.again, worker=worker))
