"""Interned component states with memoised steps: what makes a composed state a tuple of small numbers.

A number stands for one state and is given in the order of discovery, so two searches of one model agree on every
number. Nothing is identified by its hash: equal numbers mean equal states, and equality decides (``hash(-1)`` and
``hash(-2)`` are the same, and so are ``1`` and ``True``).
"""

from __future__ import annotations

from typing import Any, Final

from rrsim.backends.sim.memo import Memo, Node, StepFunction
from rrsim.explore.packing import FIELD

NONE: Final = 0
"""The number that stands for no state at all: no process runs."""


class TooManyStates(RuntimeError):
    """A part has shown more states than its field of a composed state can number."""


class Table:
    """Numbers for states, from 1, in the order in which they were first met."""

    __slots__ = ("_numbers", "states")

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.states: list[Any] = [None]

    def number(self, state: Any) -> int:
        """Return the one number of ``state``.

        Raises:
            TooManyStates: there are more than a composed state has room for.
        """
        found = self._numbers.get(state)
        if found is None:
            found = len(self.states)
            if found > FIELD:
                raise TooManyStates(f"expected at most {FIELD} states of each part; narrow the model's bounds")
            self._numbers[state] = found
            self.states.append(state)
        return found

    def __len__(self) -> int:
        return len(self.states) - 1


class Component(Table):
    """A part of the world: its states by number, and every step taken so far."""

    __slots__ = ("_memo", "_nodes")

    def __init__(self, step: StepFunction) -> None:
        super().__init__()
        self._memo = Memo(step)
        self._nodes: list[Node | None] = [None]

    def step(self, number: int, event: Any) -> tuple[int, tuple[Any, ...]]:
        """Return the number of the next state and the effects. Errors of the step pass through."""
        node = self._node(number)
        arc = node.arcs.get(event)
        if arc is None:
            arc = self._memo.learn(node, event)
        return self.number(arc[0].state), arc[1]

    def _node(self, number: int) -> Node:
        nodes = self._nodes
        if number >= len(nodes):
            nodes.extend([None] * (len(self.states) - len(nodes)))
        node = nodes[number]
        if node is None:
            node = nodes[number] = self._memo.node(self.states[number])
        return node
