"""docs/performance.md publishes the event mix of the reference scenarios as it is."""

from __future__ import annotations

from tests.house import mix_page


def test_the_published_mix_is_up_to_date() -> None:
    page = mix_page.PAGE.read_text(encoding="utf-8")
    assert mix_page.refreshed(page) == page, "run: python -m tests.house.mix_page"
