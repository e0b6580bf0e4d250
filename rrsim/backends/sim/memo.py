"""Memoised steps: a pure part's step function runs once for each distinct (state, input).

A state is interned as a :class:`Node`; each node remembers where an input leads and with which effects. Because the
parts are pure, a run with the memo and one without are byte-identical (tested). It makes the speed of a run
independent of how slow a part's code is, and shows at any time how many distinct states a part has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

StepFunction = Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]

MAX_ARCS: Final = 200_000
"""A memo that has grown past this many remembered steps forgets them all: memory stays flat over any number of runs."""


class Node:
    """An interned state, and the steps already known from it."""

    __slots__ = ("arcs", "fates", "state")

    def __init__(self, state: Any) -> None:
        self.state = state
        self.arcs: dict[Any, tuple[Node, tuple[Any, ...]]] = {}
        self.fates: dict[int, str] = {}
        """For network nodes: what becomes of a message on each connection, as looked up so far."""


class Memo:
    """One part's step function with everything it has been asked so far."""

    __slots__ = ("_arc_count", "_nodes", "step")

    def __init__(self, step: StepFunction) -> None:
        self.step = step
        self._nodes: dict[Any, Node] = {}
        self._arc_count = 0

    def node(self, state: Any) -> Node:
        """Return the one node of this state."""
        found = self._nodes.get(state)
        if found is None:
            found = self._nodes[state] = Node(state)
        return found

    def learn(self, node: Node, event: Any) -> tuple[Node, tuple[Any, ...]]:
        """Take a step for the first time and remember it. Errors of the step pass through and are not remembered."""
        state, effects = self.step(node.state, event)
        if self._arc_count >= MAX_ARCS:
            self.forget()
        self._arc_count += 1
        arc = node.arcs[event] = (self.node(state), effects)
        return arc

    def forget(self) -> None:
        """Drop everything remembered; nodes in use stay valid and start to learn again."""
        for node in self._nodes.values():
            node.arcs.clear()
        self._nodes.clear()
        self._arc_count = 0

    @property
    def states(self) -> int:
        """How many distinct states are known now."""
        return len(self._nodes)
