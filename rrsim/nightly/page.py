"""The kept nights as one self-contained HTML file, in the dress of the other reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import jinja2

from rrsim import __version__
from rrsim.nightly.history import NightTotals, Story
from rrsim.nightly.outcomes import MARKS, Problem
from rrsim.nightly.text import seconds, trend_text

TONES: Final = {
    "passed": "good", "failed": "bad", "error": "bad", "unknown": "warn", "known": "warn", "flaky": "warn",
    "skipped": "mute", "absent": "none",
}


def html(
    nights: Sequence[NightTotals], stories: Sequence[Story], slow: Sequence[Story], problems: Sequence[Problem] = (),
    *, made: str = "", marks: int = 30,
) -> str:
    """Return the page.

    Args:
        nights: oldest first.
        stories: every case, the most urgent first.
        slow: the slowest ones.
        problems: what could not be read.
        made: when, for the heading; empty leaves it out, which makes the page reproducible.
        marks: how many nights of each case are drawn.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([
            jinja2.PackageLoader("rrsim.nightly"), jinja2.PackageLoader("rrsim.report"),
        ]),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(seconds=seconds, trend=trend_text, tone=lambda status: TONES[status],
                               mark=lambda status: MARKS[status])
    names = [night.name for night in nights]
    return environment.get_template("nights.html.j2").render(
        nights=list(reversed(nights)), stories=stories, slow=slow, problems=problems, made=made, version=__version__,
        shown=names[-marks:], first=max(0, len(names) - marks),
        tiles=_tiles(nights, stories), statuses=[s for s in MARKS if s != "absent"],
    )


def _tiles(nights: Sequence[NightTotals], stories: Sequence[Story]) -> list[tuple[str, str, str]]:
    """Return the summary tiles: number, caption, tone."""
    last = nights[-1].statuses if nights else {}
    bad = sum(last.get(status, 0) for status in ("failed", "error", "unknown"))
    wavered = sum(bool(story.flaky_nights) for story in stories)
    slower = sum((story.trend or 0) > 1 for story in stories)
    tiles = [
        (len(nights), "nights", ""), (len(stories), "cases", ""),
        (bad, "did not pass last night", "bad"), (last.get("flaky", 0), "flaky last night", "warn"),
        (wavered, "wavered in some night", "warn"), (slower, "have become slower", "warn"),
    ]
    return [(str(n), caption, tone if n else "mute") for n, caption, tone in tiles]
