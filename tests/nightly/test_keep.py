"""Which old nights go, and that nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.nightly import store
from rrsim.nightly.keep import Held, Removal, removals


def held(*of: tuple[int, int]) -> list[Held]:
    """Nights with so much in results and in bundles, oldest first."""
    return [Held(f"2031-01-{number:02}", results, bundles) for number, (results, bundles) in enumerate(of, 1)]


def test_the_oldest_go_by_number() -> None:
    assert removals(held((1, 1), (1, 1), (1, 1)), 2, 1000) == (Removal("2031-01-01", "night"),)
    assert removals(held((1, 1), (1, 1)), 2, 1000) == ()


def test_bundles_go_before_results() -> None:
    """The oldest bundles first, and no more than has to."""
    nights = held((10, 100), (10, 100), (10, 100))
    assert removals(nights, 9, 250) == (Removal("2031-01-01", "bundles"),)
    assert removals(nights, 9, 130) == (Removal("2031-01-01", "bundles"), Removal("2031-01-02", "bundles"))


def test_then_whole_nights() -> None:
    """A night that goes whole is named once."""
    nights = held((60, 0), (60, 20), (60, 20))
    assert removals(nights, 9, 145) == (Removal("2031-01-02", "bundles"), Removal("2031-01-01", "night"))
    assert removals(held((60, 20), (60, 20)), 9, 90) == (Removal("2031-01-01", "night"),)


def test_the_newest_night_stays_whole() -> None:
    """However much it weighs, and however few are to stay."""
    assert removals(held((10, 10), (999, 999)), 1, 5) == (Removal("2031-01-01", "night"),)
    assert removals(held((999, 999)), 0, 1) == ()


def test_only_nights_are_taken_away(tmp_path: Path) -> None:
    """A folder without a record is somebody's own; so is everything beside the nights."""
    for name in ("2031-01-01", "2031-01-02", "2031-01-03"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "night.json").write_text("{}")
    (tmp_path / "2030-12-31").mkdir()
    (tmp_path / "notes").mkdir()
    store.remove(tmp_path, removals(store.held(tmp_path), 2, 10**9))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2030-12-31", "2031-01-02", "2031-01-03", "notes"]


def test_bundles_pages_and_logs_are_what_explains(tmp_path: Path) -> None:
    """Results stay, so that the history does."""
    folder = tmp_path / "2031-01-01"
    (folder / "failures" / "late").mkdir(parents=True)
    sizes = {"night.json": 2, "a.json": 30, "a.xml": 500, "a.html": 7000, "a.log": 10000, "failures/late/x": 200000}
    for name, size in sizes.items():
        (folder / name).write_bytes(b" " * size)
    assert store.held(tmp_path) == [Held("2031-01-01", 532, 217000)]
    store.remove(tmp_path, [Removal("2031-01-01", "bundles")])
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "a.xml", "night.json"]
    assert store.held(tmp_path) == [Held("2031-01-01", 532, 0)]


def test_what_a_link_leads_to_weighs_nothing_and_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big").write_bytes(b" " * 100_000)
    root = tmp_path / "nights"
    (root / "2031-01-01").mkdir(parents=True)
    (root / "2031-01-01" / "night.json").write_text("{}")
    (root / "2031-01-01" / "failures").symlink_to(outside)
    assert store.held(root)[0].bundles_bytes + store.held(root)[0].results_bytes < 1000
    store.remove(root, [Removal("2031-01-01", "night")])
    assert (outside / "big").exists()


def test_a_second_night_of_a_date_gets_a_number(tmp_path: Path) -> None:
    root = tmp_path / "out" / "nightly"
    assert [store.new_night(root, "2031-01-31").name for _ in range(3)] == [
        "2031-01-31", "2031-01-31-2", "2031-01-31-3",
    ]
    assert (root / "latest").resolve().name == "2031-01-31-3"


def test_a_date_has_only_so_many_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_A_DAY", 1)
    store.new_night(tmp_path, "2031-01-31")
    with pytest.raises(FileExistsError, match="there already"):
        store.new_night(tmp_path, "2031-01-31")
