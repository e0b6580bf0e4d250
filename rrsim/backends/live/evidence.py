"""What is kept of a live run that did not pass: pictures, logs and the server's journal, beside the usual bundle."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrsim.machine.adapters import ServerAdapter
from rrsim.scenario.result import RunResult

if TYPE_CHECKING:
    from rrsim.backends.live.runner import Bench
    from rrsim.backends.live.stage import Stage

FOLDER = "evidence"


async def collect(folder: Path, result: RunResult, world: Stage, server: ServerAdapter, bench: Bench) -> None:
    """Write everything that helps to understand the run into ``folder/evidence``. A piece that cannot be had is said,
    not
    waited for."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    pieces: dict[str, bytes] = {}
    notes = [f"outcome: {result.outcome}", f"reason: {result.reason}", f"agent build: {bench.build}"]
    notes += [f"stand-in: {name}" for name in result.stand_ins]
    for side in world.sides:
        machine = side.pc.machine
        for what, take in (
            ("screen.png", lambda m=machine: m.screenshot()), ("agent", lambda m=machine: bench.agent.logs(m)),
            ("machine.log", lambda m=machine: m.log()),
        ):
            try:
                got: Any = await asyncio.to_thread(take)
            except Exception as error:  # noqa: BLE001 (evidence never hides the failure it is about)
                notes.append(f"pc-{side.number} {what}: {type(error).__name__}: {error}")
                continue
            if isinstance(got, dict):
                pieces |= {f"pc-{side.number}-{name}": data for name, data in got.items()}
            else:
                pieces[f"pc-{side.number}-{what}"] = got if isinstance(got, bytes) else str(got).encode()
    try:
        pieces |= server.evidence()
    except OSError as error:
        notes.append(f"server: {error}")
    for name, data in pieces.items():
        (target / name).write_bytes(data)
    (target / "notes.txt").write_text("\n".join(notes) + "\n", encoding="utf-8")

