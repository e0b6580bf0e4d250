"""Signals to our own processes take nothing away from whoever waits for them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import Any

import pytest

from rrsim.backends.live import processes


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_signal_arrives_and_nobody_asks_for_the_exit_status(
    how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def play() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
        monkeypatch.setattr(subprocess.Popen, "poll", asked.append)
        processes.send(process, how)
        monkeypatch.undo()
        code = await process.wait()
        processes.send(process, how)  # it has ended: nothing
        return code

    assert asyncio.run(play()) == -how
    assert asked == []
