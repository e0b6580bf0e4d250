"""The watcher beside a program that replaces its file quickly: what it says last is what is there."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.wine import parts
from rrsim.backends.live.wine.watched import Watched
from rrsim.live_clock import monotonic_us
from rrsim.machine.adapters import Watch
from tests.live.wine_bench import Bench, Play

pytestmark = [
    pytest.mark.wine,
    pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}"),
    pytest.mark.timeout(180),
]
RECORD = Watch(
    "file", r"C:\rrsim-test\record.bin", appears="ticket saved", changes="record saved", goes="record erased",
    marker='"intent":true', marked="intent saved",
)  # fmt: skip
ROUNDS = 400
LONGEST_GAP_US = 20_000


def test_two_versions_in_quick_succession_are_never_mixed(play: Play) -> None:
    """The time of one file with the content of the next would have it told twice, the second time as news.

    The two are of one size, as an encrypted record may be; now and then both carry the same time, too.
    """

    async def story(b: Bench) -> None:
        folder = b.machine.site.drive_c / "rrsim-test"
        await asyncio.to_thread(folder.mkdir)
        calls: list[str] = []
        watched = Watched((RECORD,))

        def heard(fields: dict[str, Any]) -> None:
            if fields.get("event") == "watch":
                call = watched.told(fields)
                calls.append(call.verb if call is not None else "")

        line = await b.machine.site.open_line("the watcher", "rrwatch.exe", heard)
        try:
            for words in watched.lines():
                line.say(*words)
            await line.ask("look", limit_s=10)
            for n in range(ROUNDS):
                calls.clear()
                await asyncio.to_thread(_replace_twice, folder, LONGEST_GAP_US * n / ROUNDS)
                await line.ask("look", limit_s=10)
                assert calls[-1] == "intent saved", (n, calls)
                assert "record saved" not in calls[calls.index("intent saved") :], (n, calls)
                assert len(calls) <= 2, (n, calls)
        finally:
            await line.close()

    play(story)


def _replace_twice(folder: Path, gap_us: float) -> None:
    for text in ('{"intent":false}', '{"intent":true }'):
        fresh = folder / "record.new"
        fresh.write_text(text, encoding="ascii")
        fresh.replace(folder / "record.bin")
        until_us = monotonic_us() + gap_us
        while monotonic_us() < until_us:
            pass  # a sleep would be no shorter than a turn of the watcher
