"""Durations are read and written exactly, and wrong ones say what to write instead."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.scenario.durations import MAX_US, PATTERN, WrongDuration, parse, us, write
from rrsim.scenario.words import Duration


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("9m", 540_000_000),
        ("600s", 600_000_000),
        ("9m59.999s", 599_999_000),
        ("9m59.999999s", 599_999_999),
        ("1h30m", 5_400_000_000),
        ("1.5h", 5_400_000_000),
        ("250ms", 250_000),
        ("0.5ms", 500),
        ("7us", 7),
        ("0s", 0),
        ("1m500ms", 60_500_000),
    ],
)
def test_durations_are_exact(text: str, expected_us: int) -> None:
    assert parse(text) == expected_us
    assert isinstance(parse(text), Duration)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, MAX_US))
def test_what_is_written_reads_back_and_fits_the_pattern(duration_us: int) -> None:
    assert parse(write(duration_us)) == duration_us
    assert re.match(PATTERN, write(duration_us))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.hmsu -", max_size=12))
def test_reading_accepts_exactly_or_refuses_by_name(text: str) -> None:
    try:
        found = parse(text)
    except WrongDuration:
        pass  # what the errors say is tested below
    else:
        assert re.match(PATTERN, text)
        assert parse(write(found)) == found


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (600, "write 600s or 10m"),
        ("600", "write 600s or 10m"),
        ("7.5", "write 7.5s or 7.5m"),
        ("10 min", "write 10m "),
        ("90 sec", "write 90s "),
        ("90seconds", "write 90s "),
        ("10 minutes and 5 seconds", "write 10m5s "),
        ("2 hours", "write 2h "),
        ("9:59", "write 9m59s"),
        ("1:30:00", "write 1h30m0s"),
        ("9 m", "write 9m "),
        ("-5s", "cannot be negative"),
        ("5s3m", "1h30m"),
        ("1s1s", "1h30m"),
        ("0.0000001s", "fewer digits"),
        ("99999h", "shorter"),
        ("soon", "a number and a unit"),
        ("", "a number and a unit"),
        (True, "a number and a unit"),
        (None, "a number and a unit"),
        ("\u0661s", "a number and a unit"),
    ],
)
def test_wrong_durations_say_what_to_write(wrong: object, hint: str) -> None:
    with pytest.raises(WrongDuration) as caught:
        parse(wrong)
    assert hint in caught.value.hint
    assert "expected" in str(caught.value)


def test_the_python_api_takes_whole_microseconds_too() -> None:
    assert us(5) == 5
    assert us("5s") == 5_000_000
    for wrong in (-1, True, "-1s"):
        with pytest.raises(WrongDuration):
            us(wrong)
    with pytest.raises(WrongDuration):
        write(-1)
