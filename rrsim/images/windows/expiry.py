"""When an evaluation of Windows ends. An image past its day is refused: Windows would restart by itself every hour."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from rrsim.images.description import Built, Licence

WARN_DAYS: Final = 14


class ImageExpired(RuntimeError):
    """The evaluation of Windows in an image is over."""


class DateWrong(ValueError):
    """A manifest's date of expiry is no date."""


def expires(licence: Licence, made: date, windows_says: str = "") -> str:
    """Return the day on which an image built on ``made`` ends, ISO 8601; empty: never.

    ``windows_says`` is the day that Windows itself named, if it did; the earlier of the two counts.
    """
    if licence.kind != "evaluation" or not licence.days:
        return ""
    computed = made + timedelta(days=licence.days)
    try:
        told = date.fromisoformat(windows_says)
    except ValueError:
        return computed.isoformat()
    return min(computed, told).isoformat()


def days_left(expires_on: str, today: date) -> int | None:
    """Return how many days are left; none for an image that never ends. Its last day still counts as a day.

    Raises:
        DateWrong: this is no date.
    """
    if not expires_on:
        return None
    try:
        return (date.fromisoformat(expires_on) - today).days
    except ValueError as error:
        raise DateWrong(
            f"expected a date as 2026-01-31 for the end of the evaluation, saw {expires_on!r}; build the image again"
        ) from error


def require_usable(built: Built, today: date) -> str:
    """Check that an image may still run today; return a warning if that ends soon, else nothing.

    Raises:
        ImageExpired: its evaluation is over.
        DateWrong: its manifest names no date where it should.
    """
    name = built.description.name
    if built.description.licence.kind == "evaluation" and not built.expires:
        raise DateWrong(f"image {name}: expected the day its evaluation ends, saw none; build the image again")
    left = days_left(built.expires, today)
    if left is None:
        return ""
    if left < 0:
        raise ImageExpired(
            f"image {name}: expected an evaluation of Windows that still runs, saw that it ended on {built.expires} "
            f"({-left} days ago); build it anew from a current medium: rrsim image build {name} --iso FILE"
        )
    if left < WARN_DAYS:
        return f"image {name}: its evaluation of Windows ends on {built.expires}, in {left} days"
    return ""
