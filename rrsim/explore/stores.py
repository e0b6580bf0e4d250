"""What a search keeps of the states it has met, and the innermost loop over them.

:class:`Exact` keeps every composed state: two states are the same only if they are equal. :class:`Prints` keeps 64 bits
of each, a third of the memory: two different states that share a fingerprint are taken for one, and what only the
second one leads to is not seen. The fingerprint is multiply-shift hashing of the packed number with a fixed odd factor
(Dietzfelbinger et al. 1997): at most two in 2**64 pairs collide, so a search of ten million states misses one with a
chance of about five in a million. No built-in hash, which differs between processes and knows -1 and -2 as one.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from rrsim.explore.packing import FIELD
from rrsim.explore.ways import ON_NET, ON_WATCH

if TYPE_CHECKING:
    from rrsim.explore.search import Search

PRINT_BITS: Final = 64
_SET_PLACE_BYTES: Final = 16
"""Of a place in Python's set, three fifths of which are taken before it doubles (a small one takes four times more)."""
_SMALL_SET: Final = 50_000
_SOON: Final = 100_000
"""Places, times five, that may be taken between two looks at the memory."""
_FIRST_PLACES: Final = 1 << 12
_ROOM: Final = 512
"""Places kept free for what one state leads to: far more than it has ways out."""


class Exact:
    """Every state as it is, in the order of discovery."""

    name: Final = "exact"
    __slots__ = ("at", "parents", "seen", "states")

    def __init__(self, start: int) -> None:
        self.states = [start]
        self.seen = {start}
        self.parents = array("I", [0])
        """Number of the state from which each was first met."""
        self.at = 0
        """Number of the next state to be expanded."""

    def __len__(self) -> int:
        return len(self.states)

    def state(self, number: int) -> int:
        """Return the state with this number."""
        return self.states[number]

    def identity(self, number: int) -> int:
        """Return what tells this state from others, for the way back to it."""
        return self.states[number]

    def identify(self, state: int) -> int:
        """Return what tells a state from others."""
        return state

    def expand(self, search: Search, upto: int) -> None:
        """Try every way out of the states before number ``upto``, and keep those that are new."""
        states, seen, ways = self.states, self.seen, search.ways
        add, keep, parent = seen.add, states.append, self.parents.append
        due, more, loud, on_bounds = ways.due, ways.more, search.loud, ways.on_bounds
        transitions = 0
        for at in range(self.at, upto):
            state = states[at]
            cells = due(state)
            cells = cells + more(state) if cells else search.quiet(at, state)
            transitions += len(cells)
            for own, shift, entries, side, move in cells:
                difference, on_net, on_watch, on_console = entries(state >> shift & FIELD)
                after = state + own + difference
                if on_net is not None:
                    after += on_net(after >> side + ON_NET & FIELD)
                if on_console is not None:
                    after += on_console(after >> on_bounds)
                if on_watch is not None:
                    heard = on_watch(after >> side + ON_WATCH & FIELD)
                    if heard is None:
                        heard = loud(at, move, on_watch, after >> side + ON_WATCH & FIELD)
                        if heard is None:
                            continue
                    after += heard
                if after not in seen:
                    add(after)
                    keep(after)
                    parent(at)
        self.at = upto
        search.transitions += transitions

    def soon_bytes(self) -> int:
        """Return what the set of seen states will take at once if it may grow before the next look at the memory."""
        size = sys.getsizeof(self.seen)
        places = (size - sys.getsizeof(set())) // _SET_PLACE_BYTES
        times = 2 if len(self.seen) > _SMALL_SET else 4
        return times * size if len(self.seen) * 5 > places * 3 - _SOON else 0

    def size_bytes(self) -> int:
        """Return the size of the tables and of the states in them."""
        own = (self.states, self.seen, self.parents)
        return sum(map(sys.getsizeof, own)) + len(self.states) * sys.getsizeof(self.states[0])

    def stuck(self, search: Search) -> list[int]:
        """Return numbers of states from which the last due event of each leads in a circle. Uses up what was seen.

        Each state has one last due event, and where it leads there is one again: a walk that comes to an end, or to a
        state of an earlier walk, is settled. See :meth:`rrsim.explore.search.Search.settle` for the others.
        """
        ways, unsettled = search.ways, self.seen
        due, follow, take = ways.due, ways.follow, unsettled.discard
        found = []
        for number, start in enumerate(self.states):
            if start not in unsettled:
                continue
            state, walk = start, []
            while state in unsettled:
                take(state)
                walk.append(state)
                cells = due(state)
                if not cells:
                    break
                after = follow(state, cells[-1])
                if after is not None:
                    state = after
            else:
                if state in walk:
                    found.append(number)
        return found


class Prints:
    """Fingerprints of the states, and the states themselves only until they are expanded.

    Fingerprints stand in an array in the order of discovery. Where each stands is found in a table of numbers with
    open addressing: four bytes a place, at most three of five places taken.
    """

    name: Final = "fingerprints"
    __slots__ = ("_bits", "_factor", "_shift", "at", "frontier", "last", "marks", "parents", "table")

    def __init__(self, start: int, width: int) -> None:
        """``width``: bits of a packed state."""
        self._bits = (1 << width) - 1
        self._shift = width - PRINT_BITS
        self._factor = int.from_bytes(blake2b(b"rrsim.explore.stores", digest_size=64).digest(), "big") & self._bits | 1
        self.frontier = deque([start])
        self.marks = array("Q", [0, self.identify(start)])
        """Fingerprint of each state; the one with number 0 stands at 1, since a 0 in the table means: free."""
        self.last = array("I")
        """For each expanded state, where that stands to which its last due event leads; 0: nowhere, it is an end."""
        self.parents = array("I", [0])
        """Number of the state from which each was first met."""
        self.at = 0
        """Number of the next state to be expanded."""
        self.table = self._new_table(_FIRST_PLACES)

    def __len__(self) -> int:
        return len(self.parents)

    def identity(self, number: int) -> int:
        """Return what tells this state from others, for the way back to it."""
        return self.marks[number + 1]

    def identify(self, state: int) -> int:
        """Return the fingerprint of a state."""
        return (state * self._factor & self._bits) >> self._shift

    def fit(self) -> None:
        """Make the table anew, large enough for the fingerprints there are."""
        places = _FIRST_PLACES
        while len(self.marks) * 5 > places * 3 - _ROOM:
            places *= 2
        self.table = self._new_table(places)

    def _new_table(self, places: int) -> array[int]:
        table = array("I", bytes(4 * places))
        most = places - 1
        for where in range(1, len(self.marks)):
            place = self.marks[where] & most
            while table[place]:
                place = place + 1 & most
            table[place] = where
        return table

    def expand(self, search: Search, upto: int) -> None:
        """Try every way out of the states before number ``upto``, and keep those that are new."""
        frontier, ways, marks = self.frontier, search.ways, self.marks
        factor, every, drop = self._factor, self._bits, self._shift
        keep, mark, parent, last = frontier.append, marks.append, self.parents.append, self.last.append
        due, more, loud, on_bounds = ways.due, ways.more, search.loud, ways.on_bounds
        transitions = 0
        for at in range(self.at, upto):
            if len(marks) * 5 > len(self.table) * 3 - _ROOM:
                self.fit()
            table, most = self.table, len(self.table) - 1
            state = frontier.popleft()
            cells = due(state)
            ends = not cells
            # What is due comes last, so that where the last way leads is at hand when all were tried.
            cells = search.quiet(at, state) if ends else more(state) + cells
            transitions += len(cells)
            where = 0
            for own, shift, entries, side, move in cells:
                difference, on_net, on_watch, on_console = entries(state >> shift & FIELD)
                after = state + own + difference
                if on_net is not None:
                    after += on_net(after >> side + ON_NET & FIELD)
                if on_console is not None:
                    after += on_console(after >> on_bounds)
                if on_watch is not None:
                    heard = on_watch(after >> side + ON_WATCH & FIELD)
                    if heard is None:
                        heard = loud(at, move, on_watch, after >> side + ON_WATCH & FIELD)
                        if heard is None:
                            where = 0
                            continue
                    after += heard
                told = (after * factor & every) >> drop
                place = told & most
                where = table[place]
                while where and marks[where] != told:
                    place = place + 1 & most
                    where = table[place]
                if not where:
                    where = table[place] = len(marks)
                    keep(after)
                    mark(told)
                    parent(at)
            last(0 if ends else where)
        self.at = upto
        search.transitions += transitions

    def soon_bytes(self) -> int:
        """Return what the table will take at once if it may grow before the next look at the memory."""
        places = len(self.table)
        return 8 * places if len(self.marks) * 5 > places * 3 - _SOON else 0

    def size_bytes(self) -> int:
        """Return the size of the tables, and of the states that wait to be expanded."""
        own = (self.frontier, self.marks, self.last, self.parents, self.table)
        waiting = len(self.frontier) and len(self.frontier) * sys.getsizeof(self.frontier[0])
        return sum(map(sys.getsizeof, own)) + waiting

    def stuck(self, _: Search) -> list[int]:
        """Return numbers of states from which the last due event of each leads round in a circle: see
        :meth:`Exact.stuck`."""
        walked = array("I", bytes(4 * len(self)))
        found = []
        for number in range(len(self)):
            now = number
            while not walked[now]:
                walked[now] = number + 1
                if not self.last[now]:
                    break
                now = self.last[now] - 1
            else:
                if walked[now] == number + 1:
                    found.append(number)
        return found
