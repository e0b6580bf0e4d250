"""Same scenario, same seed: the same bytes, whatever the process, the hash seed, or what the memo remembers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import pytest

from rrsim.backends.sim import runner
from rrsim.backends.sim.compiled import Memos, compile_scenario
from rrsim.backends.sim.memo import Memo, Node
from rrsim.backends.sim.reference import APPLICATION, DIAL_UP, REFERENCES, SAFE_MODE
from rrsim.scenario.history_io import digest, dump
from rrsim.scenario.model import Scenario

_PROGRAM = """
from rrsim.backends.sim.reference import REFERENCES
from rrsim.backends.sim.runner import run
from rrsim.scenario.history_io import digest
for scenario in REFERENCES:
    for seed in (1, 2, 77):
        print(scenario.name, seed, digest(run(scenario, seed).history))
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
    """States are finite: after enough seeds, more of them show no new state of agent or server."""
    compiled = compile_scenario(scenario)
    for seed in range(200):
        runner.run_compiled(compiled, seed)
    seen = compiled.memos.agent.states, compiled.memos.server.states
    for seed in range(200, 260):
        runner.run_compiled(compiled, seed)
    again = compiled.memos.agent.states, compiled.memos.server.states
    assert again[0] <= seen[0] * 1.05 + 5
    assert again[1] <= seen[1] * 1.05 + 5


def test_the_references_pass_and_are_as_long_as_published() -> None:
    events = {s.name: runner.run(s).events for s in (APPLICATION, SAFE_MODE, DIAL_UP)}
    assert all(runner.run(s).outcome == "passed" for s in REFERENCES)
    assert events["reference-dial-up"] >= 150
