"""What a test may do to messages on their way between the server and its agents.

A fault says which messages it is about, and acts on the first ``count`` of them:

* ``drop`` -- the message is lost, and with it the connection: a TCP connection loses nothing in its middle;
* ``lose`` -- only the message is lost, as by a faulty program on the way;
* ``delay`` -- the message, and what comes after it in the same direction, waits ``delay_us``; 0: until the faults are
  taken back;
* ``duplicate`` -- the message is delivered twice;
* ``reorder`` -- the message is delivered after the next one in its direction, or after ``delay_us`` if none comes;
* ``refuse`` -- connections are refused: all new ones, or, if a session is named, those that claim it.

``count`` 0 means: every one, until the faults are taken back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec

from rrsim.protocol.codec import MAX_INT

FaultKind = Literal["drop", "lose", "delay", "refuse", "duplicate", "reorder"]
Direction = Literal["up", "down"]
"""``up``: from the agent to the server."""

REORDER_US: Final = 1_000_000
"""How long a message waits for another one to overtake it, unless the fault says."""


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One fault that is set."""

    kind: FaultKind
    session: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Only messages of this session; empty: of any, and of connections that belong to none yet."""
    direction: Direction | None = None
    type: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Only messages of this type, by their name on the wire, such as ``resume``."""
    count: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT)] = 1
    delay_us: Annotated[int, msgspec.Meta(ge=0, le=86_400_000_000)] = 0


class Lane:
    """One direction of one connection: what is held there waits in order."""

    __slots__ = ("behind", "held", "timer")

    def __init__(self) -> None:
        self.held: deque[Callable[[], None]] = deque()
        """What waits, oldest first."""
        self.behind: Callable[[], None] | None = None
        """A message that the next one overtakes."""
        self.timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits here."""
        return not self.held and self.behind is None

    def release(self) -> None:
        """Deliver what waits."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        while self.held:
            self.held.popleft()()
        if self.behind is not None:
            behind, self.behind = self.behind, None
            behind()

    def clear(self) -> None:
        """Forget what waits: the connection is gone."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.held.clear()
        self.behind = None


class Faults:
    """The faults that are set."""

    def __init__(self, acted: Callable[[Fault, Direction, str, str, int], None]) -> None:
        """``acted`` hears of every act: fault, direction, the message's type, session, connection."""
        self.set: list[Fault] = []
        self._acted = acted
        self._lanes: set[Lane] = set()

    def add(self, fault: Fault) -> None:
        """Set a fault; it acts from now on."""
        self.set.append(fault)

    def heal(self) -> None:
        """Take all faults back and deliver what they hold."""
        self.set.clear()
        lanes, self._lanes = self._lanes, set()
        for lane in lanes:
            lane.release()

    def refuses(self, session: str = "", conn: int = 0) -> bool:
        """Say whether a new connection, or a claim on ``session``, is refused now; counts if it is."""
        for fault in self.set:
            if fault.kind == "refuse" and fault.session == session:
                self._used(fault, "up", "", session, conn)
                return True
        return False

    def carry(
        self, lane: Lane, direction: Direction, message: Any, session: str, conn: int, deliver: Callable[[], None],
        cut: Callable[[], None],
    ) -> None:  # fmt: skip
        """Deliver a message as the faults let it: now, later, twice or never. ``cut`` ends its connection."""
        if not self.set and lane.idle:
            deliver()
            return
        name = str(type(message).__struct_config__.tag) if message is not None else ""
        fault = self._for(direction, name, session)
        if fault is None:
            self._pass(lane, deliver)
            return
        self._used(fault, direction, name, session, conn)
        if fault.kind == "drop":
            cut()
        elif fault.kind == "delay":
            self._hold(lane, deliver, fault.delay_us)
        elif fault.kind == "duplicate":
            self._pass(lane, deliver)
            self._pass(lane, deliver)
        elif fault.kind == "reorder":
            if lane.behind is not None or lane.held:
                self._pass(lane, deliver)
                return
            lane.behind = deliver
            self._release_after(lane, fault.delay_us or REORDER_US)

    def _for(self, direction: Direction, name: str, session: str) -> Fault | None:
        if not name:
            return None
        for fault in self.set:
            if (
                fault.kind != "refuse"
                and fault.direction in {None, direction}
                and fault.type in {"", name}
                and fault.session in {"", session}
            ):
                return fault
        return None

    def _used(self, fault: Fault, direction: Direction, name: str, session: str, conn: int) -> None:
        if fault.count:
            fault.count -= 1
            if not fault.count:
                self.set.remove(fault)
        self._acted(fault, direction, name, session, conn)

    def _pass(self, lane: Lane, deliver: Callable[[], None]) -> None:
        if lane.held:
            lane.held.append(deliver)
            return
        deliver()
        if lane.behind is not None:
            lane.release()

    def _hold(self, lane: Lane, deliver: Callable[[], None], delay_us: int) -> None:
        first = not lane.held
        lane.held.append(deliver)
        self._lanes.add(lane)
        if first and delay_us:
            self._release_after(lane, delay_us)

    def _release_after(self, lane: Lane, delay_us: int) -> None:
        self._lanes.add(lane)
        lane.timer = asyncio.get_running_loop().call_later(delay_us / 1e6, self._release, lane)

    def _release(self, lane: Lane) -> None:
        lane.timer = None
        self._lanes.discard(lane)
        lane.release()
