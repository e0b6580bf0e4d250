"""``rrsim bench --search``: real searches in processes of their own, small ones; nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.cli import bench_search
from rrsim.cli.errors import CommandError


def test_every_figure_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_search, "SPIN", Path("nowhere"))
    figures = {figure.name: figure for figure in bench_search.measure(states=3_000, large=4_000, rounds=1)}
    exact, prints = figures["search, exact states"], figures["search, fingerprints"]
    assert exact.value > 0
    assert exact.ratio is not None
    assert prints.ratio == pytest.approx(1 / exact.ratio, abs=0.01)
    assert (exact.floor, exact.goal, exact.better) == (100_000, 200_000, "higher")
    assert (prints.floor, prints.better) == (None, "higher")
    assert figures["memory of a state, exact"].floor == 200
    assert figures["memory of a state, fingerprints"].floor == 100
    [whole] = [figure for name, figure in figures.items() if name.startswith("4,") and name.endswith("states")]
    assert whole.floor == 60
    assert "not measured" in figures["SPIN beside it"].note


def test_a_slow_search_is_beyond_its_floor() -> None:
    slow = bench_search.Measured(1_000, 3_000, 1.0, 1.0, 1_000_000, 10)
    assert not bench_search._speed("search", [slow], 1.0, "the other", 100_000).ok
    assert [figure.ok for figure in bench_search._of_large(slow, slow)] == [False, False, True]


def test_spin_stands_beside_it_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "rate"
    # A shell's: a kernel ends the name of an interpreter at the first blank.
    program.write_text("#!/bin/sh\necho states per second 600000\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(bench_search, "SPIN", program)
    monkeypatch.setattr(bench_search.shutil, "which", lambda _: str(program))
    figure = bench_search._spin(200_000.0)
    assert (figure.value, figure.ratio) == (600_000, 3.0)
    program.write_text("#!/bin/sh\necho nothing\n", encoding="utf-8")
    assert "not measured" in bench_search._spin(200_000.0).note


def test_a_search_that_does_not_end_is_an_error_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_search.sys, "executable", "/bin/false")
    with pytest.raises(CommandError) as caught:
        bench_search.in_a_process(1_000, fingerprints=False)
    assert caught.value.code == 70
