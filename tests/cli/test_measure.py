"""``rrsim broken`` and ``rrsim bench``: what they print and their exit codes; the long work itself is replaced."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from rrsim.cli import bench


class Bug(msgspec.Struct):
    """A bug as far as the command looks at it."""

    name: str
    caught: bool = True
    about: str = "a bug"
    by: tuple[str, ...] = ("comes-back: I2",)


class NothingToHuntWith(ValueError):
    """Stands for the hunt's own error."""


@pytest.fixture
def hunting(scenarios: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the catalogue and the hunt; the list holds the bugs, or an exception to raise instead of the last."""
    bugs: list[Any] = [Bug("ticket-twice"), Bug("silence-is-yes")]

    def hunt_all(cases: Any, wanted: Any) -> Iterator[Bug]:
        assert cases
        for bug in wanted:
            if isinstance(bug, Bug) and bug.name == "stop":
                raise KeyboardInterrupt
            if bug.name == "unfit":
                raise NothingToHuntWith("saw none")
            yield bug

    for name, content in {
        "rrsim.broken.catalogue": {"BUGS": bugs},
        "rrsim.broken.hunt": {"hunt_all": hunt_all, "NothingToHuntWith": NothingToHuntWith},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return bugs


def test_all_caught(hunting: list[Any], rrsim_cli: Any) -> None:
    """Exit code 0, and the documented JSON."""
    answer = rrsim_cli("broken", "--format", "json")
    assert answer.code == 0
    data = json.loads(answer.out)
    first = {"name": "ticket-twice", "about": "a bug", "caught": True, "by": ["comes-back: I2"]}
    assert data["bugs"][0] == first
    assert "2 of 2 bugs caught" in rrsim_cli("broken").out


def test_a_survivor_fails(hunting: list[Any], rrsim_cli: Any) -> None:
    """One bug that nothing catches: exit code 1 and its name."""
    hunting.append(Bug("wrong-user", caught=False, by=()))
    answer = rrsim_cli("broken")
    assert answer.code == 1
    assert "SURVIVED wrong-user" in answer.out
    assert "wrong-user survived" in answer.err


@pytest.mark.parametrize(("name", "code"), [("stop", 70), ("unfit", 70)])
def test_a_hunt_that_cannot_finish(hunting: list[Any], rrsim_cli: Any, name: str, code: int) -> None:
    """Stopped by the user, or no sound scenario: not a pass."""
    hunting.append(Bug(name))
    assert rrsim_cli("broken").code == code


def test_filter_and_no_such_bug(hunting: list[Any], rrsim_cli: Any) -> None:
    """``-k`` takes a part of the name; no match is bad usage."""
    assert "1 of 1 bugs caught" in rrsim_cli("broken", "-k", "silence").out
    assert rrsim_cli("broken", "-k", "no such bug").code == 64


def test_bench(rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure with its floor; one beyond it gives exit code 1."""
    good = bench.Figure(name="one event", value=2.0, unit="us", floor=3.4, goal=2.5, ratio=0.2, against="SimPy")
    slow = bench.Figure(name="the suite", value=9.0, unit="s", floor=1.0)
    monkeypatch.setattr(bench, "measure", lambda: iter([good]))
    answer = rrsim_cli("bench", "--format", "json")
    assert answer.code == 0
    (figure,) = json.loads(answer.out)["figures"]
    shown = {name: figure[name] for name in ("value", "unit", "floor", "ratio", "ok")}
    assert shown == {"value": 2.0, "unit": "us", "floor": 3.4, "ratio": 0.2, "ok": True}
    monkeypatch.setattr(bench, "measure", lambda: iter([good, slow]))
    answer = rrsim_cli("bench")
    assert answer.code == 1
    assert "BEYOND ITS FLOOR" in answer.out
