"""Unchanged scenarios on a second, different product: proof that two adapters are all it takes.

The product is in ``tests/product``: its own agent in C, protocol, names, autostart, NSIS installer and server. It comes
in through the entry point groups ``rrsim.agents`` and ``rrsim.servers`` only.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from rrsim.backends.live.credentials import MASK, find
from rrsim.backends.live.runner import run_case
from rrsim.scenario.loader import load_paths
from tests.product.installed import KEY, distribution, plug_in

CASES: Final = (
    "same-user",
    "rep-says-no",
    "customer-agrees[agent=application]",
    "customer-declines[agent=application]",
    "sharing-accepted[agent=application]",
    "agent-closes-it[agent=application]",
    "windows-restart-dialog[presses=customer clicks, agent=application]",
    "installer-restart-dialog[presses=customer clicks, agent=application]",
    "three-places[place=tools menu, agent=application]",
    "nobody-application",
    "dialled-in-time[dials=2m, agent=application]",
)
NIGHTLY: Final = (
    "rep-does-not-confirm",
    "customer-silent[timeout=60s]",
    "sharing-as-before[shared=true, agent=application]",
    "sharing-declined[answer=no, agent=application]",
    "closed-without-a-restart",
    "dialog-stays-open[opens=windows dialog, agent=application]",
    "start-menu[agent=application]",
)
WRONG: Final = """\
rrsim: 1
name: wrong-on-purpose
about: It expects what does not happen, so that everything of the run is kept.
covers: [R1]
steps:
  - do: rep restarts
expect:
  verdict: expired
"""


@pytest.mark.wine
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*CASES, *(pytest.param(one, marks=pytest.mark.nightly) for one in NIGHTLY)])
def test_an_unchanged_case_passes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rrsim.backends.live.wine.bench import make_bench

    plug_in(tmp_path / "site", monkeypatch)
    (case,) = (one for one in load_paths(["scenarios"]).scenarios if one.id == name)

    async def run() -> None:
        bench = await make_bench(tmp_path, agent="tideway", server="tideway")
        result = await run_case(case, 1, bench, tmp_path / "run")
        assert result.outcome == "passed", (result.reason, result.problems)

    asyncio.run(run())


@pytest.mark.wine
@pytest.mark.timeout(300)
def test_a_failed_run_keeps_no_credential(tmp_path: Path) -> None:
    # The server of this run gives the enrolment key away on purpose: in a record's reason, and in its log.
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "wrong-on-purpose.yaml").write_text(WRONG, encoding="utf-8")
    env = {
        **os.environ, "PYTHONPATH": os.pathsep.join(distribution(tmp_path / "site")), "TIDEWAY_KEY": KEY,
        "XDG_STATE_HOME": str(kept / "state"),
    }  # fmt: skip
    done = subprocess.run(
        [
            sys.executable, "-m", "rrsim", "run", str(tmp_path / "wrong-on-purpose.yaml"), "--backend", "wine",
            "--agent", "tideway", "--server", "tideway-leaky", "--bundle-dir", str(kept / "bundles"),
            "--junit", str(kept / "junit.xml"), "--html", str(kept / "report.html"), "--format", "json", "-v",
        ],
        env=env, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    (run,) = json.loads(done.stdout)["runs"]
    assert run["outcome"] == "failed"
    (kept / "output.txt").write_text(done.stdout + done.stderr, encoding="utf-8")

    assert find(kept, KEY) == ()
    leak = next(kept.rglob("*tideway-leak.log"))
    assert leak.read_bytes().count(MASK.encode()) == 4, "the key was there to be masked"
    histories = [path.read_text(encoding="utf-8") for path in kept.rglob("history.jsonl")]
    assert any(f"the technician asked (key {MASK})" in history for history in histories)

    leak.with_name("planted.bin").write_bytes(b"\xff" + KEY.encode("utf-16-le") + b"\xff")
    assert [place.rpartition("/")[2] for place in find(kept, KEY)] == ["planted.bin: UTF-16LE"]
