"""Running tools: what they print is kept, an end comes in any case, and an error names all that helps."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from rrsim.agent.freezing import steps
from rrsim.agent.freezing.errors import BuildError, ToolMissing


def test_what_a_step_prints_is_returned_and_kept(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    assert steps.run_step("first", [sys.executable, "-c", program], log=log, within_s=30) == "out\nerr\n"
    assert steps.run_step("second", [sys.executable, "-c", "print('x' * 200000)"], log=log, within_s=30) == (
        "x" * 200000 + "\n"
    )
    assert log.read_text().startswith("\n== first\nout\nerr\n\n== second\nxxx")


def test_a_step_has_no_input(tmp_path: Path) -> None:
    program = "import sys; print(repr(sys.stdin.read()))"
    assert steps.run_step("asks", [sys.executable, "-c", program], log=tmp_path / "log", within_s=30) == "''\n"


def test_a_failed_step_says_what_it_printed_last(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        steps.run_step("compiler", [sys.executable, "-c", "import sys; print('no such header'); sys.exit(3)"],
                       log=tmp_path / "log", within_s=30)
    assert caught.value.expected == "compiler: exit code 0"
    assert caught.value.saw == "exit code 3; it printed last: no such header"
    assert str(tmp_path / "log") in caught.value.try_


def test_a_step_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    program = ("import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], "
               "stdin=subprocess.PIPE); print(child.pid, flush=True); child.wait()")
    with pytest.raises(BuildError) as caught:
        steps.run_step("hangs", [sys.executable, "-c", program], log=tmp_path / "log", within_s=2)
    assert caught.value.expected == "hangs: an end within 2 s"
    child = int((tmp_path / "log").read_text().split()[-1])
    try:
        end = os.pidfd_open(child)
    except ProcessLookupError:
        return
    try:
        assert select.select([end], [], [], 10)[0], f"process {child} still runs"
    finally:
        os.close(end)


def test_a_step_ends_although_its_background_process_keeps_the_pipe(tmp_path: Path) -> None:
    program = ("import subprocess, sys; print('done', flush=True); "
               "subprocess.Popen([sys.executable, '-c', 'import select; select.select([], [], [], 20)'])")
    assert steps.run_step("leaves one", [sys.executable, "-c", program], log=tmp_path / "log", within_s=15) == "done\n"


def test_a_missing_tool_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolMissing) as caught:
        steps.find_tool("wine")
    assert "apt-get install wine64 wine xvfb gcc-mingw-w64-x86-64" in caught.value.try_
