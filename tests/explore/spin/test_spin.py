"""SPIN, with a model of the protocol that was written by hand, agrees with the search: state by state, move by move."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace as with_part
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.sim.compiled import REAL
from rrsim.explore.moves import Move
from rrsim.explore.search import run
from rrsim.protocol import messages as msg
from rrsim.server import core as server_core
from rrsim.server import vocabulary
from tests.explore.spin import oracle, projection
from tests.explore.spin.compare import CONFIGURATIONS, LARGE, row, search
from tests.explore.spin.oracle import INSTALL, Answer, Verifier, missing

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "exploration.md"
HAS_SPIN = pytest.mark.skipif(
    bool(missing()), reason=f"no {' and no '.join(missing())}: nothing checks the search; install with: {INSTALL}"
)
Build = Callable[..., Verifier]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a verifier for some bounds, each only once."""

    @cache
    def made(*bounds: tuple[str, int | str]) -> Verifier:
        return Verifier(tmp_path_factory.mktemp("spin"), dict(bounds))

    return lambda **bounds: made(*bounds.items())


# --- the same graph ---------------------------------------------------------------------------------------------


@HAS_SPIN
@pytest.mark.parametrize("title", CONFIGURATIONS)
def test_spin_and_the_search_go_through_the_same_graph(title: str, build: Build) -> None:
    """Same states, same moves between them, same counts; and every state that SPIN does not tell apart is explained."""
    ours = search(CONFIGURATIONS[title].model)
    verifier = build(**CONFIGURATIONS[title].bounds, TABLE=1)
    answer = verifier.run()
    theirs = set(verifier.table())
    assert not ours.rows - theirs, f"only the search has {_one(ours.rows - theirs)}"
    assert not theirs - ours.rows, f"only SPIN has {_one(theirs - ours.rows)}"
    # SPIN's first step sets the scene, from a state of its own; and it counts its initial state as a transition.
    assert answer == Answer(states=len(ours.words) + 1, transitions=len(ours.rows) + 2, errors=0, broken="")
    assert not ours.uneven, f"what the oracle's words drop decides what happens next: {ours.uneven[0]}"
    assert len(ours.words) + sum(ours.explained.values()) == ours.states, "some states differ in nothing that is named"
    wanted = row(title, ours, answer.states, answer.transitions)
    assert wanted in DOCUMENT.read_text(encoding="utf-8"), f"expected this row in {DOCUMENT.name}: {wanted}"


def _one(rows: set[tuple[str, str, str]]) -> str:
    before, move, after = min(rows)
    return f"{len(rows)} transitions, one of them {move!r}:\n  {before}\n  {after}"


def test_the_search_counts_what_the_comparison_counts() -> None:
    """The comparison goes its own way through the graph; it is the graph of ``rrsim search``."""
    model = CONFIGURATIONS["`safe-mode`"].model
    report, ours = run(model), search(model)
    assert (report.states, report.transitions) == (ours.states, ours.transitions)


@pytest.mark.parametrize("title", LARGE)
def test_large_ones_are_in_the_document(title: str) -> None:
    assert f"| {title} | " in DOCUMENT.read_text(encoding="utf-8")


@HAS_SPIN
def test_a_wrong_core_is_seen_even_if_it_breaks_no_invariant(build: Build) -> None:
    """A server that does not hear *armed* is wrong, and still every restart is decided: only the oracle sees it."""

    def deaf(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        armed = isinstance(event, vocabulary.AgentSaid) and isinstance(event.message, msg.Armed)
        return (state, ()) if armed else server_core.step(state, event)

    steps, model = with_part(REAL, server=deaf), CONFIGURATIONS["one restart"].model
    assert run(model, steps).violations == ()
    verifier = build(TABLE=1)
    verifier.run()
    assert search(model, steps).rows - set(verifier.table())


# --- deliberate bugs in the oracle ------------------------------------------------------------------------------


ALL_OF_IT = {"FAULTS": 1, "LOSSES": 1, "FOREIGN": 1, "CUTS": 1, "ASKED_FIRST": 1}
INTO_SAFE_MODE = {"SERVICE": 1, "SAFE": 1, "NORMAL": 0}
BUGS = {
    "RESUMES_WHEN_OVER": ("I1", ALL_OF_IT), "TICKET_TWICE": ("I2", ALL_OF_IT), "TWO_JOINED": ("I3", ALL_OF_IT),
    "NO_IS_YES": ("I4", ALL_OF_IT), "SILENCE_IS_YES": ("I4", ALL_OF_IT), "FLAG_STAYS": ("I6", INTO_SAFE_MODE),
    "ENTRY_STAYS": ("I7", ALL_OF_IT), "MAC_RESTARTS": ("I8", {"MAC": 1}), "WINDOW_FORGOTTEN": ("I9", ALL_OF_IT),
    "SAFE_FOR_ALL": ("I10", {"NORMAL": 0, "SAFE": 1}), "FOREIGN_RESUMES": ("I11", ALL_OF_IT),
    "BACK_IS_RESUMED": ("rule9", ALL_OF_IT),
}  # fmt: skip
"""Each bug, the invariant that names it, and bounds in which it shows. Its number in the model is its place here."""


@HAS_SPIN
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_in_the_protocol_breaks_its_invariant(name: str, build: Build) -> None:
    broken, bounds = BUGS[name]
    verifier, number = build(**bounds, BUG="chosen"), 1 + list(BUGS).index(name)
    assert f"#define {name} {number} " in (verifier.folder / "protocol.pml").read_text(encoding="utf-8")
    assert verifier.run().broken == "", "without the bug everything holds"
    found = verifier.run(bug=number)
    assert (found.broken, found.errors) == (broken, 1)


@HAS_SPIN
def test_every_order_comes_to_its_end(build: Build) -> None:
    """I9 as a formula over whole behaviours, with no harness to decide what the protocol does not."""
    verifier = build(**ALL_OF_IT, BUG="chosen", LTL=1)
    assert verifier.run().broken == ""
    assert verifier.run(bug=1 + list(BUGS).index("WINDOW_FORGOTTEN")).broken == "cycle"


# --- reading SPIN, and the projection ---------------------------------------------------------------------------


SAID = """
State-vector 228 byte, depth reached 42, errors: 0
     1063 states, stored
     1023 states, matched
     2086 transitions (= stored+matched)
        0 atomic steps
"""


def test_an_answer_is_read() -> None:
    assert oracle.read(SAID) == Answer(1063, 2086, 0, "")
    failed = SAID.replace("errors: 0", "errors: 1") + "pan:1: assertion violated  !(broken_I4) (at depth 11)\n"
    assert oracle.read(failed).broken == "I4"


@pytest.mark.parametrize(
    "said",
    [
        "", SAID.replace("stored\n", "kept\n"), SAID + SAID, SAID.replace("errors: 0", "errors: 1"),
        SAID + "pan:1: assertion violated  !(broken_I4) (at depth 11)\n",
    ],
)  # fmt: skip
def test_an_unclear_answer_is_an_error(said: str) -> None:
    with pytest.raises(oracle.Unreadable):
        oracle.read(said)


def test_a_search_that_was_cut_short_is_an_error() -> None:
    with pytest.raises(oracle.CutShort, match="depth too small"):
        oracle.read("error: max search depth too small\n" + SAID)


def test_a_missing_program_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == ("spin", "gcc")
    with pytest.raises(oracle.ToolMissing, match="apt-get install"):
        Verifier(tmp_path / "build", {})


@HAS_SPIN
def test_a_model_that_does_not_compile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(oracle.BuildFailed):
        Verifier(tmp_path, {"QUEUE": "nonsense("})


@HAS_SPIN
def test_the_rate_is_a_number() -> None:
    assert oracle.rate({}, "-O0") > 0
    assert os.access(oracle.HERE / "rate", os.X_OK)


def test_what_the_oracle_has_no_word_for_is_an_error() -> None:
    with pytest.raises(projection.NoWord, match="reverse order"):
        projection._todo(("disarm autostart", "abort restart"))
    with pytest.raises(projection.NoWord, match="a move"):
        projection.name(Move("rep", msg.RepChat("hello")))
    with pytest.raises(projection.NoWord, match="a server that says"):
        projection._from_server(msg.Sharing(True))
