"""Programs of Wine are started with a heap that stays where it is, where that can be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rrsim import wine_start


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out before counts neither here nor afterwards."""
    wine_start.plainly.cache_clear()
    yield
    wine_start.plainly.cache_clear()


def program(folder: Path, code: int) -> None:
    path = folder / "setarch"
    path.write_text(f"#!/bin/sh\nexit {code}\n", encoding="ascii")
    path.chmod(0o755)


@pytest.mark.parametrize(("code", "words"), [(0, ("setarch", "-R")), (1, ())])
def test_where_a_container_forbids_it_it_is_left_out(
    code: int, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, code)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert wine_start.plainly() == words


def test_without_the_program_it_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert wine_start.plainly() == ()
