"""The journal's file: what is written comes back, a torn end is cut off, and damage has a place and a name."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rrsim.live_clock import boot_time_us, monotonic_us, wall_time_us
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.server.live import journal
from rrsim.server.live.journal import CorruptFile, InUse, Journal, TimerKept
from tests.server.live.rig import running

OPENED = rec.SessionRequested("session-1", "standard", Account())
TAKEN = rec.SessionTaken("session-1", "rep-1")


def _with_journal(folder: Path, act: Callable[[Journal], None]) -> Journal:
    async def story() -> Journal:
        kept = Journal(folder)
        try:
            act(kept)
            done = asyncio.Event()
            kept.on_durable = done.set
            while kept.durable < kept.written:
                done.clear()
                await asyncio.wait_for(done.wait(), 10)
        finally:
            kept.close()
        return kept

    return asyncio.run(story())


def _write_two(kept: Journal) -> None:
    kept.append(journal.SessionMade(session="session-1", customer="customer-1"))
    kept.append(journal.Recorded(t_us=monotonic_us(), record=OPENED))
    kept.append(journal.timer_kept("session-1", "window", monotonic_us() + 5_000_000, kept.boot))
    kept.append(journal.timer_kept("session-1", "rep", monotonic_us() + 5_000_000, kept.boot))
    kept.append(journal.TimerGone(session="session-1", name="rep"))
    kept.append(journal.Recorded(t_us=monotonic_us(), record=TAKEN))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    _with_journal(tmp_path, _write_two)
    again = _with_journal(tmp_path, lambda _: None)
    assert list(again.kept) == ["session-1"]
    kept = again.kept["session-1"]
    assert (kept.customer, kept.records) == ("customer-1", [OPENED, TAKEN])
    assert all(0 < t_us <= monotonic_us() for t_us in kept.times_us)
    assert list(kept.timers) == ["window"]
    assert 0 < journal.due_again_us(kept.timers["window"], again.boot) - monotonic_us() <= 5_000_000


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    _with_journal(tmp_path, _write_two)
    path = tmp_path / journal.FILE
    whole = path.read_bytes()
    last = len(whole) - whole[:-1].rindex(b"\n") - 1
    for torn_bytes in range(1, last):
        path.write_bytes(whole[:-torn_bytes])
        lines, sound_bytes = journal.read(path)
        assert (len(lines), sound_bytes) == (6, len(whole) - last)
    again = _with_journal(tmp_path, lambda kept: kept.append(journal.Recorded(t_us=1, record=TAKEN)))
    assert again.kept["session-1"].records == [OPENED]
    assert _with_journal(tmp_path, lambda _: None).kept["session-1"].records == [OPENED, TAKEN]


def test_a_last_line_of_garbage_is_cut_off(tmp_path: Path) -> None:
    _with_journal(tmp_path, _write_two)
    path = tmp_path / journal.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0\0\0\0\n")
    assert len(journal.read(path)[0]) == 7


@pytest.mark.parametrize("damage", [b'{"line":"nonsense"}', b"\0\0", b""])
def test_damage_in_the_middle_is_named(tmp_path: Path, damage: bytes) -> None:
    _with_journal(tmp_path, _write_two)
    path = tmp_path / journal.FILE
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], damage, *lines[3:]]))
    with pytest.raises(CorruptFile, match=r"journal\.jsonl:3"):
        Journal(tmp_path)


def test_a_missing_line_is_noticed(tmp_path: Path) -> None:
    _with_journal(tmp_path, _write_two)
    path = tmp_path / journal.FILE
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], *lines[3:]]))
    with pytest.raises(CorruptFile, match="expected line number 3"):
        Journal(tmp_path)


def test_one_server_at_a_time(tmp_path: Path) -> None:
    def try_again(_: Journal) -> None:
        with pytest.raises(InUse, match="another state directory"):
            Journal(tmp_path)

    _with_journal(tmp_path, try_again)


def test_another_boot_of_the_host_goes_by_wall_time() -> None:
    kept = TimerKept(
        session="s", name="window", host_boot="yesterday", boot_us=boot_time_us() + 900_000_000,
        wall_us=wall_time_us() + 60_000_000,
    )  # fmt: skip
    left_us = journal.due_again_us(kept, "today") - monotonic_us()
    assert 59_000_000 < left_us <= 60_000_000
    left_us = journal.due_again_us(kept, "yesterday") - monotonic_us()
    assert 899_000_000 < left_us <= 900_000_000
    past = msgspec.structs.replace(kept, wall_us=wall_time_us() - 1)
    assert journal.due_again_us(past, "today") <= monotonic_us()


def test_nothing_leaves_a_server_whose_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.agent().connect()
            code = await server.session()
            assert server.server is not None

            def full(_: bytes) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(server.server.registry.journal, "_write", full)
            await agent.say(msg.Join(code, "boot-1", "customer"))
            await asyncio.wait_for(server.server.stopping.wait(), 10)
            assert "No space left on device" in server.server.failed
            assert [type(m) for m in agent.seen] == [msg.Welcome]
            agent.break_off()

    asyncio.run(story())


def test_what_is_shown_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            assert server.server is not None
            registry = server.server.registry
            await server.active()
            write, disk = registry.journal._write, threading.Event()

            def slow(data: bytes) -> None:
                assert disk.wait(30)
                write(data)

            monkeypatch.setattr(registry.journal, "_write", slow)
            try:
                said = asyncio.create_task(server.rep("session-1", msg.RepChat("are you there?")))
                while registry.journal.written == registry.journal.durable:
                    await server.ask("GET", "/api/reps")
                asked = [
                    asyncio.create_task(server.ask("GET", f"/api/sessions{path}"))
                    for path in ("", "/session-1", "/session-1/transcript")
                ]
                for _ in range(20):
                    await server.ask("GET", "/api/reps")  # shows nothing from the journal: answered at once
                assert not any(task.done() for task in (said, *asked))
            finally:
                disk.set()
            await asyncio.wait_for(asyncio.gather(said, *asked), 10)
            assert [line["text"] for line in asked[2].result()] == ["are you there?"]

    asyncio.run(story())
