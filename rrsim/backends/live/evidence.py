"""What is kept of a live run that did not pass: pictures, logs and the server's journal, beside the usual bundle.

::

    evidence/
        notes.txt            outcome, versions, the agent's build, time scale, stand-ins, what could not be had
        pc-1-screen.png      the screen of customer 1's PC when the run ended
        pc-1-press-*.png     the screen at every button that somebody pressed
        pc-1-agent-*.log     the agent's own log
        pc-1-machine.log     what the machine's witnesses and helpers said, in order
        server-*.jsonl       the session server's journal
        server-server.log    the session server's log
"""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rrsim import __version__
from rrsim.machine.adapters import ServerAdapter
from rrsim.scenario.result import RunResult

if TYPE_CHECKING:
    from rrsim.backends.live.pc import LivePc
    from rrsim.backends.live.runner import Bench
    from rrsim.backends.live.stage import Stage

FOLDER: Final = "evidence"
NOTES: Final = "notes.txt"
PIECE_LIMIT_S: Final = 15.0
"""A picture or a log that takes longer is said to be missing: evidence never holds a run up."""


async def collect(folder: Path, result: RunResult, world: Stage, server: ServerAdapter, bench: Bench) -> None:
    """Write everything that helps to understand the run into ``folder/evidence``.

    A piece that cannot be had is named in the notes, with the reason; it never hides the failure it is about.
    """
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    notes = [
        f"case: {result.scenario.id}", f"outcome: {result.outcome}", f"reason: {result.reason}",
        f"rrsim {__version__}, Python {platform.python_version()}",
        f"backend {bench.backend}, seed {result.seed}, time scale {bench.scale:g}",
        *bench.versions, f"agent {bench.agent.name}, build {bench.build}", f"server {server.name}",
        *result.stand_ins,
    ]
    pieces: dict[str, bytes] = {}
    for side in world.sides:
        if side.pc.machine is None:
            notes.append(f"pc-{side.number}: there was no machine")
            continue
        pieces |= {f"pc-{side.number}-{name}": data for name, data in (await _of_pc(side.pc, notes)).items()}
    try:
        pieces |= server.evidence()
    except OSError as error:
        notes.append(f"server: {error}")
    for name, data in pieces.items():
        (target / name).write_bytes(world.mask.data(data))
    (target / NOTES).write_text(world.mask.text("\n".join(notes) + "\n"), encoding="utf-8")


async def _of_pc(pc: LivePc, notes: list[str]) -> dict[str, bytes]:
    """Return screen and logs of one PC by file name, and note what could not be had."""
    machine, found = pc.machine, dict(pc.pictures)
    try:
        async with asyncio.timeout(PIECE_LIMIT_S):
            await machine.fetch()
    except Exception as error:  # noqa: BLE001 (evidence never hides the failure it is about)
        notes.append(f"pc-{pc.number} logs on the machine: {type(error).__name__}: {error}")
    sources = {
        "screen.png": machine.screenshot, "agent.log": lambda: pc.adapter.logs(machine), "machine.log": machine.log,
    }
    for what, take in sources.items():
        try:
            async with asyncio.timeout(PIECE_LIMIT_S):
                got: Any = await asyncio.to_thread(take)
        except Exception as error:  # noqa: BLE001 (evidence never hides the failure it is about)
            notes.append(f"pc-{pc.number} {what}: {type(error).__name__}: {error}")
            continue
        found |= got if isinstance(got, dict) else {what: got if isinstance(got, bytes) else str(got).encode()}
    return found
