"""The bench for ``--backend wine``: Wine machines, the chosen agent and server, and where runs live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rrsim.backends.live import adapters
from rrsim.backends.live.runner import Bench
from rrsim.backends.live.wine import pc
from rrsim.machine.adapters import Progress

DEFAULT_SCALE = 30.0
"""Ten minutes of waiting become twenty seconds, which is room for six restarts of a Wine machine."""


async def make_bench(
    root: Path, scale: float = 0.0, agent: str = "rrsim", server: str = "rrsim", progress: Progress = lambda _: None
) -> Bench:
    """Prepare everything that runs share: the agent's build and the names of the adapters.

    Raises:
        AdapterError: no such adapter.
        BuildError: the agent cannot be built.
    """
    agent_adapter = adapters.load(adapters.AGENTS, agent)
    build = await agent_adapter.prepare(progress)
    adapters.load(adapters.SERVERS, server)

    async def machine(name: str, folder: Path, observe: Callable[[Any], None]) -> pc.WinePc:
        made = await pc.WinePc.create(name, folder, observe)
        assert isinstance(made, pc.WinePc)
        return made

    return Bench(
        backend="wine", agent=agent_adapter, server=lambda: adapters.load(adapters.SERVERS, server), machine=machine,
        capabilities=pc.CAPABILITIES, resolution_us=pc.RESOLUTION_US, restart_us=pc.RESTART_US, root=root,
        scale=scale or DEFAULT_SCALE, build=build,
    )
