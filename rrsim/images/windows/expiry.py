"""When an evaluation of Windows ends. An image past its day is refused: Windows would restart by itself every hour."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from rrsim.images.description import Built, Licence
from rrsim.images.errors import ImageError

WARN_DAYS: Final = 14


class ImageExpired(ImageError):
    """The evaluation of Windows in an image is over."""


class DateWrong(ImageError):
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


def days_left(expires_on: str, today: date, name: str = "NAME") -> int | None:
    """Return how many days are left; none for an image that never ends. Its last day still counts as a day.
    ``name`` is the image's, for the error.

    Raises:
        DateWrong: this is no date.
    """
    if not expires_on:
        return None
    try:
        return (date.fromisoformat(expires_on) - today).days
    except ValueError as error:
        raise DateWrong(
            f"a date as 2026-01-31 for the end of the evaluation in image {name}", repr(expires_on), _again(name)
        ) from error


def require_usable(built: Built, today: date) -> str:
    """Check that an image may still run today; return a warning if that ends soon, else nothing.

    Raises:
        ImageExpired: its evaluation is over.
        DateWrong: its manifest names no date where it should.
    """
    name = built.description.name
    if built.description.licence.kind == "evaluation" and not built.expires:
        raise DateWrong(f"the day on which the evaluation in image {name} ends", "none", _again(name))
    left = days_left(built.expires, today, name)
    if left is None:
        return ""
    if left < 0:
        raise ImageExpired(
            f"an evaluation of Windows that still runs in image {name}",
            f"it ended on {built.expires} ({-left} days ago)",
            f"a current medium: {_again(name)}",
        )
    if left < WARN_DAYS:
        return f"image {name}: its evaluation of Windows ends on {built.expires}, in {left} days"
    return ""


def _again(name: str) -> str:
    return f"rrsim image build {name} --iso FILE --virtio FILE --openssh FILE"
