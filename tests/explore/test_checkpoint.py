"""A search that was cut anywhere goes on to the same totals; a file that is of no use says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rrsim.explore import checkpoint
from rrsim.explore.checkpoint import CorruptCheckpoint, OtherCode, OtherModel, load, save
from rrsim.explore.model import Budget
from rrsim.explore.models import MODELS
from rrsim.explore.report import Limits, Report
from rrsim.explore.search import Search, run

SMALL = replace(MODELS["application"], budget=Budget(asks=1, faults=1, losses=1))
THIEF = replace(MODELS["second-machine"], budget=Budget(asks=1, faults=1, strangers=1))
TWO = replace(MODELS["two-customers"], budget=Budget(asks=1))


def totals(report: Report) -> tuple[Any, ...]:
    return (
        report.states, report.transitions, report.ends, report.depth, report.whole_depth, report.reached, report.parts,
        report.settled, report.complete, report.violations,
    )  # fmt: skip


@pytest.mark.parametrize("fingerprints", [False, True])
@pytest.mark.parametrize("model", [SMALL, THIEF, TWO], ids=lambda model: model.name)
def test_a_search_cut_anywhere_comes_to_the_same_totals(tmp_path: Path, model: Any, fingerprints: bool) -> None:
    whole = run(model, fingerprints=fingerprints)
    path = tmp_path / "search"
    for cut in (1, whole.states // 7, whole.states // 2, whole.states - 1):
        going = Search(model, fingerprints=fingerprints)
        assert not going.go(Limits(states=cut)).complete
        save(going, path)
        again = load(model, path, fingerprints=fingerprints)
        assert again.report().states == going.report().states
        assert totals(again.go()) == totals(whole)


def test_a_search_may_be_cut_more_than_once(tmp_path: Path) -> None:
    going, cuts = Search(SMALL), 0
    while not going.go(Limits(states=len(going.store) + 1_000)).complete:
        cuts += 1
        save(going, tmp_path / "search")
        going = load(SMALL, tmp_path / "search")
    assert cuts > 3
    assert totals(going.report()) == totals(run(SMALL))


def test_violations_are_kept(tmp_path: Path) -> None:
    going = Search(replace(SMALL, account=replace(SMALL.account, foreign_resumes=True)))
    going.world.model = replace(going.world.model, invariants=("I9",))
    going.note(0, None, [checkpoint_broken()])
    save(going, tmp_path / "search")
    assert load(going.world.model, tmp_path / "search").report().violations == going.report().violations


def checkpoint_broken() -> Any:
    from rrsim.explore.monitor import Broken

    return Broken("I9", "expected one thing; seen: another")


def _flip(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], type[Exception]]] = {
    "one bit is another": (_flip, CorruptCheckpoint),
    "it was cut off": (lambda data: data[: len(data) // 2], CorruptCheckpoint),
    "its last byte is missing": (lambda data: data[:-1], CorruptCheckpoint),
    "it is empty": (lambda _: b"", CorruptCheckpoint),
    "it is something else": (lambda _: b"hello\n" * 100, CorruptCheckpoint),
    "its format is a later one": (lambda data: data.replace(b"checkpoint 1\n", b"checkpoint 2\n", 1), OtherCode),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_not_whole_is_refused_by_name(tmp_path: Path, name: str) -> None:
    damage, error = DAMAGES[name]
    path = tmp_path / "search"
    save(Search(SMALL), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(error, match="seen: "):
        load(SMALL, path)


def test_another_version_of_the_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(Search(SMALL), tmp_path / "search")
    monkeypatch.setattr(checkpoint, "code_version", lambda: "another")
    with pytest.raises(OtherCode, match="another"):
        load(SMALL, tmp_path / "search")


def test_another_model_other_bounds_and_another_mode_are_refused(tmp_path: Path) -> None:
    save(Search(SMALL), tmp_path / "search")
    for model, fingerprints in ((THIEF, False), (replace(SMALL, budget=Budget(asks=2)), False), (SMALL, True)):
        with pytest.raises(OtherModel, match="application"):
            load(model, tmp_path / "search", fingerprints=fingerprints)


def test_a_body_that_does_not_fit_this_world_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checksum that fits proves that nobody changed the file, not that it was right."""
    going = Search(SMALL)
    going.world.pc.states.insert(1, going.world.pc.states[-1])
    save(going, tmp_path / "search")
    with pytest.raises(CorruptCheckpoint, match="state 1 of the pc"):
        load(SMALL, tmp_path / "search")


def test_a_checkpoint_replaces_an_older_one_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "search"
    save(Search(SMALL), path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    going = Search(SMALL)
    going.go(Limits(states=2_000))
    with pytest.raises(OSError, match="no space"):
        save(going, path)
    assert path.read_bytes() == before
