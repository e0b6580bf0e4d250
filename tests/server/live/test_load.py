"""A small load: everybody comes back, also past a killed server; and the judge of the load can see a loss."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rrsim.server.live import load


@pytest.mark.parametrize("kill", [False, True])
def test_everybody_comes_back(tmp_path: Path, kill: bool) -> None:
    result = asyncio.run(load.measure(tmp_path / "state", agents=30, kill=kill))
    assert result.ok, result.problems
    assert (result.agents, result.killed, result.problems) == (30, kill, ())
    assert result.all_back_s < 60
    assert result.memory_per_session_bytes > 0


def test_the_judge_sees_who_is_missing_or_mixed_up(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    agents: list[Any] = [load._Agent(n, None, None) for n in (1, 2)]  # type: ignore[arg-type]  # they never connect
    agents[1].wrong.append("load-2: resumed into load-1")
    lost, duplicated, mixed, problems = load._judge(agents, [], tmp_path)
    assert (lost, duplicated, mixed) == (2, 0, 1)
    assert len(problems) == 3
