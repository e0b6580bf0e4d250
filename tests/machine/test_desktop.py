"""What eyes see of a desktop, as plain values."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.machine.desktop import Control, DesktopWindow, Rect

PIXELS = st.integers(-4000, 4000)


@settings(deadline=None)
@given(PIXELS, PIXELS, st.integers(1, 4000), st.integers(1, 4000))
def test_a_hand_presses_inside(left: int, top: int, width: int, height: int) -> None:
    box = Rect(left, top, left + width, top + height)
    x, y = box.middle
    assert box.left <= x < box.right
    assert box.top <= y < box.bottom


def test_the_middle_is_the_middle() -> None:
    assert Rect(10, 20, 30, 60).middle == (20, 40)


def test_a_control_is_found_by_its_number() -> None:
    box = Rect(0, 0, 1, 1)
    yes, no = Control(1, 6, "Button", "&Yes", box), Control(2, 7, "Button", "&No", box, enabled=False)
    window = DesktopWindow(9, 100, "rragent.exe", "rragent.prompt.restart", "Restart?", box, (yes, no))
    assert window.control(7) is no
    assert window.control(8) is None
    assert DesktopWindow(9, 100, "a.exe", "x", "", box).control(6) is None


def test_windows_travel_as_json_and_never_change() -> None:
    box = Rect(0, 0, 1, 1)
    window = DesktopWindow(9, 100, "a.exe", "x", "t", box, (Control(1, 6, "Button", "", box),))
    assert msgspec.json.decode(msgspec.json.encode(window), type=DesktopWindow) == window
    with pytest.raises(AttributeError):
        window.title = "other"  # type: ignore[misc]  # what must fail
