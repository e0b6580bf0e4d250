"""Broken agents on Wine: frozen with their bug, installed as the sound one, and caught by ordinary cases.

Three by default, one for each place where a bug shows: the disk, a person's consent, the session. ``RRSIM_BROKEN=all``
hunts every planned bug, as the nightly run does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from rrsim.backends.live.wine import parts
from rrsim.backends.live.wine.bench import make_bench
from rrsim.broken import on_wine
from rrsim.broken.rragent_broken import NAME_FILE, NoSuchBug, name_beside, step_of
from rrsim.scenario.loader import load_paths

ROOT = Path(__file__).parents[2]
FEW = ("autostart left behind", "silence taken as yes by the agent", "chat closed by customer ignored")
WANTED = tuple(bug for bug, _ in on_wine.PLAN) if os.environ.get("RRSIM_BROKEN") == "all" else FEW


@pytest.mark.wine
@pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}")
@pytest.mark.timeout(300 + 60 * len(WANTED))
def test_broken_agents_are_caught_by_ordinary_cases(tmp_path: Path) -> None:
    plan = [row for row in on_wine.planned(load_paths([str(ROOT / "scenarios")]).scenarios) if row[0] in WANTED]
    assert len(plan) == len(WANTED)

    async def hunt() -> list[on_wine.HuntResult]:
        bench = await make_bench(tmp_path, progress=print)
        return await on_wine.hunt_on(bench, plan, tmp_path, jobs=2, each=print)

    found = asyncio.run(hunt())
    assert [one.about for one in found if one.errors] == []
    assert [one.name for one in found if not one.caught] == []


def test_the_plan_is_large_enough_and_its_bugs_are_the_agents() -> None:
    names = [bug for bug, _ in on_wine.PLAN]
    assert len(set(names)) == len(names) >= 10
    assert set(FEW) < set(names)
    for name in names:
        assert callable(step_of(name))


@pytest.mark.parametrize("name", ["", "no such bug", "sessions mixed up"])
def test_a_program_without_a_bug_refuses_to_start(name: str, tmp_path: Path) -> None:
    with pytest.raises(NoSuchBug, match="expected the name of a bug in the agent's core"):
        step_of(name)
    with pytest.raises(NoSuchBug, match=NAME_FILE):
        name_beside(tmp_path / "rragent.exe")
    (tmp_path / NAME_FILE).write_text("ticket left behind\n", encoding="utf-8")
    assert name_beside(tmp_path / "rragent.exe") == "ticket left behind"


def test_a_plan_that_names_what_is_not_there_is_refused() -> None:
    with pytest.raises(on_wine.NotPlanned, match="same-user"):
        on_wine.planned([])
