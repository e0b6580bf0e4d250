"""Same scenario, same seed: the same bytes, whatever the process, the hash seed, or what the memo remembers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.sim import runner
from rrsim.backends.sim.compiled import Memos, compile_scenario
from rrsim.backends.sim.memo import Memo, Node
from rrsim.backends.sim.reference import APPLICATION, DIAL_UP, REFERENCES, SAFE_MODE
from rrsim.scenario.history_io import digest, dump
from rrsim.scenario.model import Scenario

ROOT = Path(__file__).parents[3]

_PROGRAM = """
from rrsim.backends.sim.reference import REFERENCES
from rrsim.backends.sim.runner import run
from rrsim.scenario.history_io import digest
for scenario in REFERENCES:
    for seed in (1, 2, 77):
        print(scenario.name, seed, digest(run(scenario, seed).history))
"""


SAMPLE = 10
"""Every so many cases of the scenario files, from a beginning of its own for each hash seed."""

_FILES = """
import sys
from rrsim.backends.sim.runner import run
from rrsim.scenario.history_io import digest
from rrsim.scenario.loader import load_paths
for scenario in load_paths(["scenarios"]).scenarios[int(sys.argv[1])::int(sys.argv[2])]:
    print(scenario.id, digest(run(scenario).history))
"""


class Forgetful(Memo):
    """A memo that remembers nothing: every step runs the part's own code."""

    def learn(self, node: Node, event: Any) -> tuple[Node, tuple[Any, ...]]:
        state, effects = self.step(node.state, event)
        return Node(state), effects


def _digests() -> list[str]:
    lines = []
    for scenario in REFERENCES:
        for seed in (1, 2, 77):
            history = runner.run(scenario, seed).history
            assert history is not None
            lines.append(f"{scenario.name} {seed} {digest(history)}")
    return lines


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_other_processes_and_hash_seeds_give_the_same_bytes(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == _digests()


@pytest.mark.parametrize("first", [0, 3, 7])
def test_scenario_files_give_the_same_bytes_under_other_hash_seeds(first: int) -> None:
    def digests(hash_seed: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", _FILES, str(first), str(SAMPLE)], capture_output=True, text=True, check=True,
            timeout=120, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
        return done.stdout.splitlines()

    one, other = digests("1"), digests("4242")
    assert len(one) > 40
    assert one == other


@pytest.mark.parametrize("scenario", REFERENCES, ids=lambda s: s.name)
def test_a_run_with_the_memo_and_one_without_are_the_same(scenario: Scenario) -> None:
    compiled = compile_scenario(scenario)
    known = compiled.memos
    bare = dataclasses.replace(
        compiled,
        memos=Memos(
            **{f.name: Forgetful(getattr(known, f.name).step) for f in dataclasses.fields(known)}
        ),
        **{
            name: Node(getattr(compiled, name).state)
            for name in ("agent_node", "server_node", "net_node", "person_node")
        },
        pc_nodes=tuple(Node(n.state) for n in compiled.pc_nodes),
        rep_nodes={name: Node(n.state) for name, n in compiled.rep_nodes.items()},
    )
    for seed in (1, 5):
        with_memo = runner.begin(compiled, seed)
        without = runner.begin(bare, seed)
        with_memo.kernel.run()
        without.kernel.run()
        assert dump(without.history) == dump(with_memo.history)


def test_different_seeds_give_different_times() -> None:
    digests = {digest(h) for seed in range(5) if (h := runner.run(APPLICATION, seed).history) is not None}
    assert len(digests) == 5


@pytest.mark.parametrize("scenario", REFERENCES, ids=lambda s: s.name)
def test_every_part_stays_small_over_many_seeds(scenario: Scenario) -> None:
    """States are finite: after enough seeds, more of them show hardly a new state of any part."""
    compiled = compile_scenario(scenario)
    for seed in range(200):
        runner.run_compiled(compiled, seed)
    known = runner.begin(compiled, 0).memo_states()
    for seed in range(200, 260):
        runner.run_compiled(compiled, seed)
    again = runner.begin(compiled, 0).memo_states()
    assert set(known) == {"agent", "server", "pc", "net", "person", "rep"}
    assert {part: count for part, count in again.items() if count > known[part] * 1.05 + 5} == {}


def test_the_references_pass_and_are_as_long_as_published() -> None:
    events = {s.name: runner.run(s).events for s in (APPLICATION, SAFE_MODE, DIAL_UP)}
    assert all(runner.run(s).outcome == "passed" for s in REFERENCES)
    assert events["reference-dial-up"] >= 150
