"""The walking skeleton on Wine; ``RRSIM_CYCLES=50`` walks further."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.live.skeleton import walk

CYCLES = int(os.environ.get("RRSIM_CYCLES", "3"))


@pytest.mark.wine
@pytest.mark.timeout(120 + 15 * CYCLES)
def test_the_frozen_agent_resumes_after_every_restart(tmp_path: Path) -> None:
    took_s = asyncio.run(walk(tmp_path, CYCLES, print))
    assert len(took_s) == CYCLES
