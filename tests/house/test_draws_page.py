"""docs/scenarios.md lists every named draw, as the parts declare them."""

from __future__ import annotations

from tests.house import draws_page


def test_the_table_of_draws_is_up_to_date() -> None:
    page = draws_page.PAGE.read_text(encoding="utf-8")
    assert draws_page.refreshed(page) == page, "run: python -m tests.house.draws_page"


def test_a_missing_draw_is_noticed() -> None:
    page = draws_page.PAGE.read_text(encoding="utf-8").replace("| `pc firmware` |", "| `pc firmwares` |")
    assert draws_page.refreshed(page) != page
