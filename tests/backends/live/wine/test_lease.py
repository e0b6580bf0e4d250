"""Leases: machines of a run that is gone are cleared away, machines in use are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrsim.backends.live.wine import lease
from rrsim.backends.live.wine.lease import Lease, Process

WAITS = "import sys; sys.stdin.read()"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives in a prefix and waits."""
    env = {**os.environ, "WINEPREFIX": str(tmp_path / "machines" / "pc" / "prefix")}
    with subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, env=env) as process:
        yield process
        process.kill()


def made(root: Path, owner: Process, screen: Process | None = None) -> Path:
    folder = root / "pc"
    (folder / "prefix").mkdir(parents=True)
    (folder / "prefix" / "system.reg").write_text("x", encoding="ascii")
    lease.write(folder, Lease(owner, str(folder / "prefix"), screen))
    return folder


def myself() -> Process:
    found = lease.process(os.getpid())
    assert found is not None
    return found


def test_a_process_is_known_by_number_and_start() -> None:
    assert lease.alive(myself())
    assert not lease.alive(Process(os.getpid(), myself().started + 1)), "another process had this number before"
    assert not lease.alive(None)


def test_a_lease_comes_back_as_it_was_written_and_damage_is_no_lease(tmp_path: Path) -> None:
    written = Lease(myself(), "/a/prefix", None, Process(7, 8))
    lease.write(tmp_path, written)
    assert lease.read(tmp_path) == written
    (tmp_path / lease.NAME).write_text("{", encoding="ascii")
    assert lease.read(tmp_path) is None


def test_a_machine_in_use_is_left_alone(tmp_path: Path) -> None:
    folder = made(tmp_path / "machines", myself())
    assert lease.reap(tmp_path / "machines") == ()
    assert (folder / "prefix").exists()


def test_a_machine_without_its_owner_is_ended_and_removed(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    root = tmp_path / "machines"
    folder = made(root, Process(os.getpid(), 1))
    assert [one.pid for one in lease.inhabitants(folder / "prefix")] == [sleeper.pid]
    assert lease.reap(root) == ("pc",)
    assert sleeper.wait(10) == -9
    assert not folder.exists()


def test_a_process_that_took_over_a_number_is_not_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    now = lease.process(sleeper.pid)
    assert now is not None
    made(tmp_path / "others", Process(os.getpid(), 1), screen=Process(now.pid, now.started + 1))
    assert lease.reap(tmp_path / "others") == ("pc",)
    assert sleeper.poll() is None


def test_folders_that_are_no_machines_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("x", encoding="ascii")
    assert lease.reap(tmp_path) == ()
    assert lease.reap(tmp_path / "nothing") == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notes"]
