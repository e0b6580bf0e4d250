"""The bench for ``--backend wine``: Wine machines, the chosen agent and server, and where runs live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rrsim.backends.live import adapters, link
from rrsim.backends.live.mac import CAPABILITIES as MAC_CAPABILITIES
from rrsim.backends.live.mac import MacAgent, MacMachine
from rrsim.backends.live.runner import Bench
from rrsim.backends.live.wine import parts, pc
from rrsim.machine.adapters import Progress
from rrsim.machine.interface import Capability

DEFAULT_SCALE = 30.0
"""Ten minutes of waiting become twenty seconds, which is room for six restarts of a Wine machine."""

BUNDLED = "rrsim"
"""Name of the bundled agent and of the bundled server."""
MAC: frozenset[Capability] = MAC_CAPABILITIES | link.CAPABILITIES | {"several customers", "server restart", "safe mode"}
"""What a case with Mac customers can have. A restart into safe mode is there to be refused: no machine takes part."""


async def make_bench(
    root: Path, scale: float = 0.0, agent: str = BUNDLED, server: str = BUNDLED, progress: Progress = lambda _: None
) -> Bench:
    """Prepare everything that runs share: the agent's build and the names of the adapters.

    Raises:
        WineMissing: programs of the host are missing, or do not work; the message has the command that installs them.
        AdapterError: no such adapter.
        BuildError: the agent cannot be built.
    """
    parts.require_programs()
    agent_adapter = adapters.load(adapters.AGENTS, agent)
    build = await agent_adapter.prepare(progress)
    adapters.load(adapters.SERVERS, server)
    version = (await parts.call("wine", "--version")).strip().splitlines()[-1]

    async def machine(name: str, folder: Path, observe: Callable[[Any], None]) -> pc.WinePc:
        made = await pc.WinePc.create(name, folder, observe)
        assert isinstance(made, pc.WinePc)
        return made

    return Bench(
        backend="wine", agent=agent_adapter, server=lambda: adapters.load(adapters.SERVERS, server), machine=machine,
        capabilities=pc.CAPABILITIES, resolution_us=pc.RESOLUTION_US, restart_us=pc.RESTART_US, root=root,
        scale=scale or DEFAULT_SCALE, build=build, versions=(version,),
        # A Mac's program speaks the bundled protocol, which another product's server does not.
        mac=(MacAgent(), MacMachine.create) if agent == server == BUNDLED else None, mac_capabilities=MAC,
    )
