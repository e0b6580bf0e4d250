"""Every deliberate bug, by where it sits: in the agent, in the session server, in the wiring around them."""

from __future__ import annotations

from typing import Final

from rrsim.broken import agent_bugs, server_bugs, window_bugs, wiring_bugs
from rrsim.broken.bug import Bug

BUGS: Final[tuple[Bug, ...]] = (*agent_bugs.BUGS, *window_bugs.BUGS, *server_bugs.BUGS, *wiring_bugs.BUGS)
"""All of them. Each must be caught (``rrsim broken``, ``docs/broken-agents.md``)."""
