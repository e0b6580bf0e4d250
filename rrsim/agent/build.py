"""The door to the frozen Windows agent: ask for it, and it is built from pinned parts if the cache lacks it.

``ensure_agent()`` needs Wine and the MinGW compiler; ``ensure_runtime()`` the compiler only. How it is done is told in
:mod:`rrsim.agent.freezing`. This module is no part of the agent.
"""

from __future__ import annotations

from rrsim.agent.freezing.errors import BuildError, Progress, ToolMissing
from rrsim.agent.freezing.freeze import BuiltAgent, ensure_agent, ensure_runtime
from rrsim.agent.freezing.runtime import BuiltRuntime

__all__ = ["BuildError", "BuiltAgent", "BuiltRuntime", "Progress", "ToolMissing", "ensure_agent", "ensure_runtime"]
