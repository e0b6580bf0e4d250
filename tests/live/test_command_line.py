"""`rrsim run --backend wine` as a process of its own: a failure with its evidence, Ctrl-C, and `kill -9`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live import state
from rrsim.backends.live.wine import lease, parts

pytestmark = [
    pytest.mark.wine,
    pytest.mark.timeout(600),
    pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}"),
]

WRONG = """\
rrsim: 1
name: wrong-hope
covers: [R13]
steps: [{do: rep restarts}]
expect: {verdict: expired}
"""
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a state directory of the test's own; whatever is left of runs there goes in the end."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(state.MARK, raising=False)
    (tmp_path / "wrong-hope.yaml").write_text(WRONG)
    return tmp_path


@contextlib.contextmanager
def rrsim(place: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command line in a process group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rrsim", *words], cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def wait_for(what: str, there: Callable[[], Any], process: subprocess.Popen[str], limit_s: int = 300) -> Any:
    """Look again and again until something is there; the process that makes it must not end before."""
    for _ in range(limit_s * 5):
        found = there()
        if found:
            return found
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
            pytest.fail(f"expected {what}, and the command ended: {process.communicate()}")
    return pytest.fail(f"expected {what} within {limit_s} s")


def a_run_in_the_middle(process: subprocess.Popen[str]) -> tuple[Path, set[lease.Process]]:
    """Wait until a machine runs with an agent on it; return the run's folder and every process that belongs to it."""

    def joined() -> Path | None:
        found = next(state.runs_home().glob("*/0001/pc-1/prefix"), None)
        if found is None or not any(b"rragent.exe" in words(one) for one in lease.inhabitants(found)):
            return None
        return found

    prefix = wait_for("a machine with an agent", joined, process)
    folder = prefix.parents[2]
    return folder, {*state.marked(folder), *lease.inhabitants(prefix)}


def words(one: lease.Process) -> bytes:
    try:
        return Path(f"/proc/{one.pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_failure_leaves_evidence_and_recurs_on_the_simulator(place: Path) -> None:
    """Pictures, logs and journal are in the bundle; the simulator plays the durations that were seen."""
    with rrsim(place, "run", "wrong-hope.yaml", "--backend", "wine", "--format", "json") as process:
        out, err = process.communicate(timeout=500)
    assert process.returncode == 1, err
    (run,) = json.loads(out)["runs"]
    assert (run["outcome"], run["verdict"], run["time_scale"]) == ("failed", "resumed", 30)
    bundle = place / "out" / "failures" / "wrong-hope-seed1-wine"
    evidence = bundle / "evidence"
    assert (evidence / "pc-1-screen.png").read_bytes().startswith(PNG)
    names = {p.name for p in evidence.iterdir()}
    assert {"notes.txt", "pc-1-machine.log", "server-journal.jsonl", "server-server.log"} <= names
    assert any(name.startswith("pc-1-agent") for name in names)
    notes = (evidence / "notes.txt").read_text()
    assert "time scale 30" in notes
    assert "stand-in: power, sign-in" in notes
    assert list(state.runs_home().iterdir()) == []
    with rrsim(place, "replay", str(bundle), "--backend", "sim", "--format", "json") as process:
        out, err = process.communicate(timeout=60)
    told = json.loads(out)
    assert process.returncode == 1, err
    assert told["recurs"]
    assert {"pc loading", "pc services", "customer logs on"} <= {one["draw"] for one in told["observed"]}


def test_ctrl_c_leaves_nothing(place: Path) -> None:
    """As a terminal does it: the signal goes to the whole process group."""
    with rrsim(place, "run", "wrong-hope.yaml", "--backend", "wine") as process:
        _, processes = a_run_in_the_middle(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 70, (out, err)
    assert "stopped by the user after 0 of 1 runs" in out
    assert [words(one) for one in processes if lease.alive(one)] == []
    assert list(state.runs_home().iterdir()) == []


def test_kill_9_leaves_nothing_that_reap_does_not_clear(place: Path) -> None:
    """Processes, X server, prefix and folder of a run whose owner was killed; the session server ends by itself."""
    with rrsim(place, "run", "wrong-hope.yaml", "--backend", "wine") as process:
        folder, processes = a_run_in_the_middle(process)
        assert any(b"Xvfb" in words(one) for one in processes)
        assert any(b"wineserver" in words(one) for one in processes)
        servers = [one for one in processes if b"rrsim.server.live" in words(one)]
        assert len(servers) == 1
        process.kill()
        process.communicate()
    with rrsim(place, "reap", "--format", "json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    reaped = json.loads(out)
    assert reaped["runs"] == [folder.name]
    assert reaped["machines"] == [f"{folder.name}/0001/pc-1"]
    assert [words(one) for one in processes if lease.alive(one)] == []
    assert list(state.runs_home().iterdir()) == []
