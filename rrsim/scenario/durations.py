"""Durations as people write them: ``9m``, ``600s``, ``9m59.999s``, ``1h30m``, ``250ms``. Exact, in microseconds.

Only integers are used: a duration that is not a whole number of microseconds is refused, never rounded.
"""

from __future__ import annotations

import re
from typing import Any, Final

from rrsim.scenario.words import Duration

UNITS_US: Final = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
"""Units from the largest to the smallest, in microseconds."""

MAX_US: Final = 10_000 * UNITS_US["h"]
"""Longer durations are typing errors."""

PATTERN: Final = (
    r"^(?=[0-9])([0-9]{1,9}(\.[0-9]{1,9})?h)?([0-9]{1,9}(\.[0-9]{1,9})?m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?"
    r"([0-9]{1,9}(\.[0-9]{1,9})?ms)?([0-9]{1,9}us)?$"
)
"""What a duration looks like, for the JSON Schema."""

_PART = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(h|ms|m|us|s)")
_ORDER: Final = tuple(UNITS_US)
_LONG_UNITS: Final = {
    "hours": "h",
    "hour": "h",
    "hrs": "h",
    "hr": "h",
    "minutes": "m",
    "minute": "m",
    "mins": "m",
    "min": "m",
    "milliseconds": "ms",
    "millisecond": "ms",
    "msecs": "ms",
    "msec": "ms",
    "microseconds": "us",
    "microsecond": "us",
    "usecs": "us",
    "usec": "us",
    "µs": "us",
    "seconds": "s",
    "second": "s",
    "secs": "s",
    "sec": "s",
}
_LONG = re.compile("|".join(sorted(_LONG_UNITS, key=len, reverse=True)))


class WrongDuration(ValueError):
    """This is no duration. ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


def parse(text: object) -> Duration:
    """Read a duration.

    Raises:
        WrongDuration: not a string, no unit, an unknown unit, units out of order, not a whole number of microseconds,
            negative, or longer than 10,000 hours.
    """
    if not isinstance(text, str):
        raise _no_duration(text)
    total = 0
    position = 0
    last_unit = -1
    fraction_seen = False
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or fraction_seen:
            raise _no_duration(text)
        unit = _ORDER.index(part[3])
        if unit <= last_unit:
            raise WrongDuration(
                f"expected every unit once, from large to small (h, m, s, ms, us), saw {text!r}", "1h30m or 9m59.999s"
            )
        last_unit = unit
        scale = UNITS_US[part[3]]
        total += int(part[1]) * scale
        if part[2]:
            fraction_seen = True
            total += _fraction_us(part[2], scale, text)
        position = part.end()
    if last_unit < 0:
        raise _no_duration(text)
    if total > MAX_US:
        raise WrongDuration(f"expected at most 10000h, saw {text!r}", "a shorter duration")
    return Duration(total)


def _fraction_us(digits: str, scale: int, text: str) -> int:
    whole, rest = divmod(int(digits) * scale, int(10 ** len(digits)))
    if rest:
        raise WrongDuration(
            f"expected a whole number of microseconds, saw {text!r}",
            "fewer digits after the point, such as 9m59.999999s",
        )
    return whole


def _no_duration(value: object) -> WrongDuration:
    """Build the error for something that is no duration, with the likeliest correction as its hint."""
    message = f"expected a duration such as 9m, 600s, 9m59.999s or 250ms, saw {_shown(value)}"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return WrongDuration(message, "write a number and a unit: h, m, s or ms")
    text = str(value).strip()
    if text.startswith("-"):
        return WrongDuration(f"expected a duration of 0s or more, saw {text!r}", "durations cannot be negative")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return WrongDuration(f"{message}, which has no unit", _with_unit(int(text)))
    if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", text):
        return WrongDuration(f"{message}, which has no unit", f"write {text}s or {text}m")
    if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", text):
        numbers = text.split(":")
        return WrongDuration(message, f"write {_clock(numbers)}")
    repaired = (
        _LONG.sub(lambda m: _LONG_UNITS[m[0]], text.lower()).replace(" ", "").replace(",", ".").replace("and", "")
    )
    if repaired != value and re.fullmatch(PATTERN, repaired):
        return WrongDuration(message, f"write {repaired} (the units are h, m, s, ms and us)")
    return WrongDuration(message, "write a number and a unit: h, m, s or ms")


def _clock(numbers: list[str]) -> str:
    """Turn 9:59 into 9m59s and 1:30:00 into 1h30m0s."""
    units = "hms" if len(numbers) == 3 else "ms"
    return "".join(f"{int(n)}{u}" for n, u in zip(numbers, units, strict=True))


def _with_unit(number: int) -> str:
    if number and number % 60 == 0:
        return f"write {number}s or {number // 60}m"
    return f"write {number}s or {number}m"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value)[:60]


def write(duration_us: int) -> str:
    """Write a duration in its shortest usual form; :func:`parse` gives the same number back.

    Raises:
        WrongDuration: negative.
    """
    if duration_us < 0:
        raise WrongDuration(
            f"expected a duration of 0 us or more, saw {duration_us} us", "durations cannot be negative"
        )
    if duration_us == 0:
        return "0s"
    hours, rest = divmod(int(duration_us), UNITS_US["h"])
    minutes, rest = divmod(rest, UNITS_US["m"])
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    if not rest:
        return text
    if rest >= UNITS_US["s"]:
        return text + _decimal(rest, 1_000_000) + "s"
    return text + (_decimal(rest, 1_000) + "ms" if rest >= UNITS_US["ms"] else f"{rest}us")


def _decimal(number: int, scale: int) -> str:
    whole, rest = divmod(number, scale)
    digits = len(str(scale)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)


def us(value: str | int) -> Duration:
    """Accept what the Python API accepts: a string such as ``9m``, or a whole number of microseconds.

    Raises:
        WrongDuration: neither of the two, or negative.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise WrongDuration(f"expected 0 us or more, saw {value} us", "durations cannot be negative")
        return Duration(value)
    return parse(value)


def dec_hook(type_: Any, value: Any) -> Any:
    """Let ``msgspec.convert`` read durations.

    Raises:
        WrongDuration: the value is no duration.
        NotImplementedError: asked for another custom type.
    """
    if type_ is Duration:
        return parse(value)
    raise NotImplementedError(f"expected {Duration.__name__}, saw {type_!r}")
