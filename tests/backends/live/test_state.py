"""What a killed run leaves is found by its owner's process and cleared away; what is in use stays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrsim.backends.live import state
from rrsim.backends.live.wine import lease

WAITS = "import sys; sys.stdin.read()"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory of the test's own, and no mark of a run around it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv(state.MARK, raising=False)


@pytest.fixture
def dead() -> lease.Process:
    """A process that is gone."""
    child = subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE)
    found = lease.process(child.pid)
    child.communicate()
    assert found is not None
    return found


def run_of(owner: lease.Process) -> Path:
    """A run's folder with one case in it."""
    folder = state.runs_home() / f"20260101-000000-000000-{owner.pid}-{owner.started}"
    (folder / "0001" / "server").mkdir(parents=True)
    return folder


@pytest.fixture
def waiting() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are ended with the test, whatever happens."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def start(started: list[subprocess.Popen[bytes]], **environment: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, env={"PATH": os.environ["PATH"], **environment}
    )
    started.append(child)
    return child


def test_the_owner_is_in_the_name_and_in_the_environment() -> None:
    """A run that is going on is left alone; when it ends, nothing of it stays."""
    folder = state.begin_run()
    assert os.environ[state.MARK] == str(folder)
    assert state.owner_of(folder) == lease.process(os.getpid())
    assert state.reap() == state.Reaped()
    assert folder.is_dir()
    state.end_run(folder)
    assert not folder.exists()
    assert state.MARK not in os.environ


def test_a_dead_owners_run_goes_with_its_processes_and_machines(
    dead: lease.Process, waiting: list[subprocess.Popen[bytes]]
) -> None:
    """Marked processes, inhabitants of a machine's prefix, and the folder; a process of another run stays."""
    folder = run_of(dead)
    machine = folder / "0001" / "pc-1"
    (machine / "prefix").mkdir(parents=True)
    lease.write(machine, lease.Lease(dead, str(machine / "prefix")))
    server = start(waiting, **{state.MARK: str(folder)})
    inhabitant = start(waiting, WINEPREFIX=str(machine / "prefix"))
    stranger = start(waiting, **{state.MARK: f"{folder}0"})
    reaped = state.reap()
    assert reaped == state.Reaped((folder.name,), (f"{folder.name}/0001/pc-1",), 1)
    assert (server.wait(10), inhabitant.wait(10)) == (-9, -9)
    assert stranger.poll() is None
    assert not folder.exists()
    assert state.reap() == state.Reaped()


def test_what_is_no_run_is_left_alone() -> None:
    """A folder that somebody else put there has no owner in its name."""
    other = state.runs_home() / "notes-of-mine"
    other.mkdir(parents=True)
    (state.runs_home() / "file").touch()
    assert state.reap() == state.Reaped()
    assert other.is_dir()


def test_only_evidence_stays_of_a_case_that_failed(dead: lease.Process) -> None:
    """Machines and server go at once, so that a long run does not fill the disk."""
    case = run_of(dead) / "0001"
    (case / "evidence").mkdir()
    (case / "evidence" / "notes.txt").write_text("why")
    (case / "stray").touch()
    state.clear_case(case, keep_evidence=True)
    assert [p.name for p in case.iterdir()] == ["evidence"]
    state.clear_case(case, keep_evidence=False)
    assert not case.exists()


def test_a_state_directory_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with what to try."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(state.RunsNotKept, match="XDG_STATE_HOME"):
        state.begin_run()
