"""The agent's log: a line an event, bounded, and never a reason to fail."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import pytest

from rrsim.agent.windows import log as logs
from rrsim.agent.windows.log import Log


def test_an_event_is_one_line_with_its_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "made")
    log("one")
    log("two\nlines\tand  spaces\r\n")
    first, second = (tmp_path / "made" / "rragent.log").read_text(encoding="utf-8").splitlines()
    assert datetime.fromisoformat(first.split()[0]).tzinfo is not None
    assert first.split(" ", 1)[1] == "one"
    assert second.split(" ", 1)[1] == "two lines and spaces"


def test_a_log_that_is_full_is_moved_away_and_an_older_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 100)
    log = Log(tmp_path, "rragent-helper")
    for number in range(30):
        log(f"event {number} {'x' * 40}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rragent-helper.log", "rragent-helper.old"]
    assert all(path.stat().st_size < 250 for path in tmp_path.iterdir())
    assert "event 29 " in log.path.read_text(encoding="utf-8")


def test_a_disk_that_takes_nothing_costs_the_line_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    Log(tmp_path / "file" / "folder")("lost")


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    log = Log(tmp_path)
    threads = [threading.Thread(target=lambda n=n: [log(f"{n} {'y' * 200}") for _ in range(40)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    lines = log.path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 160
    assert {line.split(" ", 2)[2] for line in lines} == {"y" * 200}
