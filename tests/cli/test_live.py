"""Live runs through the command line, with pretended machines: order, jobs, Ctrl-C, evidence, folders, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live import runner, state
from rrsim.backends.live.vm.reap import Reaped
from rrsim.backends.live.wine import parts
from rrsim.cli import live, reap
from rrsim.scenario import actions
from rrsim.scenario.api import scenario, us
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import CheckResult, RunResult
from tests.backends.live import runner_rig

Play = Callable[[Scenario, Path], Awaitable[dict[str, Any]]]
FAILED = {"outcome": "failed", "checks": (CheckResult(check="I1", outcome="failed", message="no", cause="why"),)}


async def passes(case: Scenario, folder: Path) -> dict[str, Any]:
    """A run in which everything is as expected."""
    return {"outcome": "passed"}


class Pretended:
    """Machines that are not there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.play: Play = passes
        self.now = self.most = 0
        self.folders: list[Path] = []
        self.asked: tuple[Any, ...] = ()
        monkeypatch.setattr(live, "missing_programs", tuple)
        monkeypatch.setattr(live.wine_bench, "make_bench", self._bench)
        monkeypatch.setattr(runner, "run_case", self._run_case)

    async def _bench(self, root: Path, scale: float, agent: str, server: str, progress: Any) -> Any:
        self.asked = (scale, agent, server)
        return types.SimpleNamespace(backend="wine", scale=scale or 30.0)

    async def _run_case(self, case: Scenario, seed: int, bench: Any, folder: Path) -> RunResult:
        await asyncio.to_thread(folder.mkdir)
        self.folders.append(folder)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            more = await self.play(case, folder)
        finally:
            self.now -= 1
        return RunResult(scenario=case, backend="wine", seed=seed, **more)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretended:
    """A Wine that is there, and a state directory of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(state.MARK, raising=False)
    return Pretended(monkeypatch)


def left() -> list[Path]:
    """Whatever is left of live runs."""
    return list(state.runs_home().iterdir()) if state.runs_home().is_dir() else []


def test_what_waits_longest_begins_first() -> None:
    """Otherwise one machine is busy at the end, and the others have nothing to do; equal ones keep their order."""
    quick = scenario("quick").do(actions.RepRestarts()).scenario
    slow = scenario("slow").do(actions.RepRestarts()).do(actions.CablePulled(returns_after_us=us("20m"))).scenario
    runs = [(quick, 1), (slow, 1), (quick, 2), (slow, 2)]
    assert [place for place, _ in live._longest_first(runs)] == [1, 3, 0, 2]


def test_runs_some_at_a_time_and_keeps_the_order(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """Results are in the order of the cases; nothing stays behind; the machine's own scale is used."""
    together = asyncio.Event()

    async def waits_for_two_others(case: Scenario, folder: Path) -> dict[str, Any]:
        if machines.now == 3:
            together.set()
        await asyncio.wait_for(together.wait(), 10)
        return {"outcome": "passed"}

    machines.play = waits_for_two_others
    answer = rrsim_cli("run", "--backend", "wine", "--jobs", "3", "--format", "json")
    data = json.loads(answer.out)
    assert answer.code == 0
    places = ("chat window", "viewer toolbar", "tools menu")
    assert [r["case"] for r in data["runs"]] == ["", *(f"place={place}" for place in places)]
    assert {r["time_scale"] for r in data["runs"]} == {30}
    assert machines.most == 3
    assert len({f.name for f in machines.folders}) == 4
    assert machines.asked == (0, "rrsim", "rrsim")
    assert left() == []


def test_a_failure_leaves_a_bundle_with_evidence(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """The evidence is in the bundle, the machines' folder is gone, and the repetition has the same options."""

    async def fails(case: Scenario, folder: Path) -> dict[str, Any]:
        (folder / "evidence").mkdir()
        (folder / "evidence" / "pc-1-screen.png").write_bytes(b"picture")
        (folder / "pc-1").mkdir()
        return FAILED

    machines.play = fails
    words = ("--time-scale", "20", "--agent", "acme")
    answer = rrsim_cli("run", "-k", "comes-back", "--backend", "wine", *words)
    assert answer.code == 1
    assert machines.asked == (20, "acme", "rrsim")
    assert answer.out.rstrip().splitlines()[-1].endswith("--seed 1 --backend wine --time-scale 20 --agent acme")
    bundle = Path("out/failures/comes-back-seed1-wine")
    assert (bundle / "evidence" / "pc-1-screen.png").read_bytes() == b"picture"
    assert "--backend sim" in (bundle / "again.txt").read_text()
    assert left() == []


def test_ctrl_c_keeps_what_is_done(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """Machines end at once, results that are there are reported, exit code 70."""
    struck = []

    async def second_is_stopped(case: Scenario, folder: Path) -> dict[str, Any]:
        if not case.case:
            return {"outcome": "passed"}
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            struck.append(case.id)
        return {"outcome": "passed"}

    machines.play = second_is_stopped
    answer = rrsim_cli("run", "--backend", "wine", "--jobs", "1")
    assert answer.code == 70
    assert "stopped by the user after 1 of 4 runs" in answer.out
    assert "1 passed" in answer.out
    assert struck == ["three-places[place=chat window]"]
    assert left() == []


def test_fail_fast(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """No further case after the first that did not pass, and no bundle where none is wanted."""

    async def fails(case: Scenario, folder: Path) -> dict[str, Any]:
        return FAILED

    machines.play = fails
    answer = rrsim_cli("run", "--backend", "wine", "--jobs", "1", "--fail-fast", "--bundle-dir", "")
    assert answer.code == 1
    assert "1 failed  (1 run" in answer.out


def test_trouble_of_one_run_is_not_the_others(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """An exception in the harness is the result of that run: exit code 70 and the reason."""

    async def breaks(case: Scenario, folder: Path) -> dict[str, Any]:
        if not case.case:
            raise RuntimeError("lost the machine")
        return {"outcome": "passed"}

    machines.play = breaks
    answer = rrsim_cli("run", "--backend", "wine")
    assert answer.code == 70
    assert "lost the machine" in answer.out
    assert "3 passed, 1 error" in answer.out


def test_what_is_left_behind_is_said_at_once_and_changes_no_outcome(
    scenarios: Path, rrsim_cli: Any, machines: Pretended
) -> None:
    """Also what the runner noted on an exception, or on being stopped."""

    async def leaves(case: Scenario, folder: Path) -> dict[str, Any]:
        if case.case:
            return {"outcome": "passed", "left_behind": ("the machine pc-1: rrsim reap",)}
        problem = RuntimeError("lost the machine")
        problem.add_note("the machine pc-2: rrsim reap")
        raise problem

    machines.play = leaves
    answer = rrsim_cli("run", "--backend", "wine", "--format", "json")
    assert answer.err.count("left behind: the machine pc-1: rrsim reap") == 3
    assert answer.err.count("left behind: the machine pc-2: rrsim reap") == 1
    runs = json.loads(answer.out)["runs"]
    assert [(r["outcome"], len(r["left_behind"])) for r in runs] == [("error", 1), *[("passed", 1)] * 3]


def test_skipped_cases_are_named(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """Counted in the summary, listed with -v, a reason in JSON; skipping alone is success."""

    async def lacks(case: Scenario, folder: Path) -> dict[str, Any]:
        return {"outcome": "skipped", "reason": "needs dns (step 1: dns fails)"}

    machines.play = lacks
    answer = rrsim_cli("run", "--backend", "wine", "-v")
    assert answer.code == 0
    assert "4  needs dns" in answer.out
    assert answer.err.count("needs dns (step 1: dns fails)") == 4
    assert left() == []


def test_coverage_of_what_was_run(scenarios: Path, rrsim_cli: Any, machines: Pretended) -> None:
    """The results of a run are enough for the matrix; an id that was only skipped is unknown."""

    async def some(case: Scenario, folder: Path) -> dict[str, Any]:
        if case.case:
            return {"outcome": "skipped", "reason": "needs dns"}
        return {"outcome": "passed", "stand_ins": (parts.STAND_INS["sign-in"],)}

    machines.play = some
    Path("wine.json").write_text(rrsim_cli("run", "--backend", "wine", "--format", "json").out)
    machines.folders.clear()
    answer = rrsim_cli("coverage", "--backend", "wine", "--results", "wine.json", "--format", "json")
    rows = {r["id"]: r for r in json.loads(answer.out)["rows"]}
    assert machines.folders == []
    assert [rows[i]["state"] for i in ("R1", "R3", "R8", "R2")] == ["passed", "unknown", "passed", "none"]
    assert [rows[i]["backends"][0]["grade"] for i in ("R1", "R8")] == ["real", "stand-in"]
    assert rrsim_cli("coverage", "--results", "nowhere.json").code == 64


def test_without_wine(scenarios: Path, rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing, the command that installs it, exit code 70."""
    monkeypatch.setenv("PATH", "/nowhere")
    answer = rrsim_cli("run", "--backend", "wine")
    assert answer.code == 70
    assert parts.INSTALL in answer.err
    assert "xdotool" in answer.err
    assert answer.out == ""


@pytest.mark.parametrize("scale", ["0.5", "-1", "100000"])
def test_a_scale_that_no_clock_keeps(scenarios: Path, rrsim_cli: Any, machines: Pretended, scale: str) -> None:
    """A usage error before anything is prepared."""
    answer = rrsim_cli("run", "--backend", "wine", "--time-scale", scale)
    assert answer.code == 64
    assert machines.asked == ()


def test_cases_from_a_file(scenarios: Path, rrsim_cli: Any) -> None:
    """Ids one a line, with remarks; an id that no scenario has is a mistake in the file."""
    Path("some.txt").write_text("# mine\ncomes-back\n\nthree-places[place=tools menu]\n")
    data = json.loads(rrsim_cli("run", "--cases", "some.txt", "--format", "json").out)
    assert [r["scenario"] for r in data["runs"]] == ["comes-back", "three-places"]
    Path("some.txt").write_text("comes-bak\n")
    answer = rrsim_cli("run", "--cases", "some.txt")
    assert answer.code == 64
    assert "comes-bak" in answer.err
    assert "try: comes-back" in answer.err


def test_reap_says_what_it_did(rrsim_cli: Any, machines: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing there; then a folder whose owner has long gone; a host of virtual machines only if there is one."""
    monkeypatch.setattr(reap, "find_spec", lambda _: None)
    assert "nothing to clear away" in rrsim_cli("reap").out
    (state.runs_home() / "20260101-000000-000000-1-2" / "0001").mkdir(parents=True)
    answer = rrsim_cli("reap", "--format", "json")
    assert json.loads(answer.out) == {
        "runs": ["20260101-000000-000000-1-2"], "machines": [], "processes": 0, "host": None,
        "host_not_looked_at": "libvirt's binding for Python is not installed",
    }
    assert left() == []


def test_reap_says_what_it_did_on_a_host(
    rrsim_cli: Any, machines: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines of dead runs, what is in use, and what could not be removed, which is the harness's failure."""
    async def found(wanted: reap.Wanted) -> Reaped:
        asked.append(wanted)
        return Reaped(domains=("rrsim-slot-1: dead",), left=("rrsim-slot-2: in use",), failed=wrong)

    asked: list[reap.Wanted] = []
    wrong: tuple[str, ...] = ()
    monkeypatch.setattr(reap, "find_spec", lambda _: object())
    monkeypatch.setattr(reap, "_on_host", found)
    answer = rrsim_cli("reap", "--kept", "--uri", "test:///default")
    assert answer.code == 0
    assert "removed:\n  rrsim-slot-1: dead\nin use or kept:\n  rrsim-slot-2: in use\n" in answer.out
    assert (asked[0].kept, asked[0].uri, asked[0].only_list) == (True, "test:///default", False)
    assert "would be removed:\n  rrsim-slot-1" in rrsim_cli("reap", "--list").out
    wrong = ("rrsim-slot-3: permission denied",)
    assert rrsim_cli("reap").code == 70


def test_who_wants_to_hears_that_a_case_waits_for_its_virtual_machines(
    machines: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits, and no longer, also when nothing comes of it."""
    heard: list[Any] = []

    @contextlib.asynccontextmanager
    async def turn(needed: int) -> AsyncIterator[None]:
        heard.append(needed)
        if needed > 2:
            raise RuntimeError("no slots")
        yield

    async def make_bench(*_: Any) -> Any:
        async def close() -> None: ...

        return types.SimpleNamespace(bench=runner_rig.bench(machines._bench, turn=turn), close=close)

    async def work(bench: runner.Bench, _: Path) -> None:
        async with bench.turn(2):
            heard.append("machines")
        with contextlib.suppress(RuntimeError):
            async with bench.turn(3):
                pass

    monkeypatch.setattr("rrsim.backends.live.vm.bench.make_bench", make_bench)
    with live.opened(live.LiveOptions(backend="libvirt"), heard.append) as runs:
        runs.use(work)
    assert heard == [True, 2, "machines", False, True, 3, False]


def test_make_names_the_same_programs() -> None:
    """`make test-wine` and the Wine machine agree on what is needed."""
    text = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    programs = re.search(r"^WINE_PROGRAMS := (.*)$", text, re.MULTILINE)
    packages = re.search(r"^WINE_PACKAGES := (.*)$", text, re.MULTILINE)
    assert programs is not None
    assert packages is not None
    assert tuple(programs[1].split()) == parts.NEEDED
    assert parts.INSTALL.endswith(packages[1])


def test_a_repetition_goes_to_the_same_machines() -> None:
    """What was left to its default is not repeated."""
    uri = "qemu+ssh://host/system?keyfile=/a key"
    chosen = live.LiveOptions(backend="libvirt", time_scale=1.0, vm={"image": "mine", "uri": uri, "slots": 1})
    assert chosen.words() == ("--image", "mine", "--uri", uri, "--time-scale", "1")
    assert live.LiveOptions(backend="libvirt", vm={"image": "", "uri": ""}).words() == ()


def test_a_second_ctrl_c_does_not_wait_for_a_host_that_hangs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that comes with the first is the same: a terminal and a starter may both pass it on."""
    left: list[int] = []
    now_s = [100.0]
    monkeypatch.setattr(live.os, "_exit", left.append)
    monkeypatch.setattr(live.clock, "elapsed_s", lambda: now_s[0])
    crew = live._Crew(None, [], False, lambda _: True, None)  # type: ignore[arg-type]  # nothing is run
    for at_s in (100.0, 100.5):
        now_s[0] = at_s
        crew._stop()
        assert left == []
    now_s[0] = 102.0
    crew._stop()
    assert left == [70]
    assert "rrsim reap" in capsys.readouterr().err
