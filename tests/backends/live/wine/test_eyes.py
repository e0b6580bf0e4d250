"""Where the hands may press, decided from what the eyes list."""

from __future__ import annotations

import pytest

from rrsim.backends.live.wine import eyes
from rrsim.backends.live.wine.eyes import ControlCovered, ControlMissing, pressable
from rrsim.machine.desktop import Control, DesktopWindow, Rect

YES = Control(hwnd=11, id=6, cls="Button", text="&Yes", rect=Rect(110, 150, 160, 170), visible=True, enabled=True)
OFF = Control(hwnd=12, id=7, cls="Button", text="Save && go", rect=Rect(170, 150, 220, 170), enabled=False)
DIALOG = DesktopWindow(hwnd=1, pid=5, exe="a.exe", cls="#32770", title="Restart", rect=Rect(100, 100, 300, 200),
                       controls=(YES, OFF))


def other(*, hwnd: int = 2, rect: Rect | None = None) -> DesktopWindow:
    place = rect or Rect(0, 0, 140, 165)
    return DesktopWindow(hwnd=hwnd, pid=6, exe="b.exe", cls="chat", title="Chat", rect=place)


def test_a_control_is_found_by_id_and_by_what_a_person_reads() -> None:
    assert pressable(DIALOG, 6) is pressable(DIALOG, "yes") is YES
    assert eyes.plain("Save && &go") == "Save & go"


@pytest.mark.parametrize("which", [7, "Save & go", 99, "No"])
def test_what_is_off_or_not_there_cannot_be_pressed_and_the_error_lists_what_is(which: int | str) -> None:
    with pytest.raises(ControlMissing, match=r"6 'Yes', 7 'Save & go' \(off\)"):
        pressable(DIALOG, which)


def test_a_press_goes_to_the_middle_and_the_close_button_is_at_the_top_right() -> None:
    assert eyes.target((DIALOG,), 1, 6) == (135, 160)
    assert eyes.target((DIALOG,), 1, "close") == (287, 113)


def test_a_window_above_covers_a_control_and_one_below_or_beside_does_not() -> None:
    with pytest.raises(ControlCovered, match=r"lies under 'Chat' of b\.exe"):
        eyes.target((other(), DIALOG), 1, 6)
    assert eyes.target((DIALOG, other()), 1, 6) == (135, 160)
    assert eyes.target((other(rect=Rect(0, 0, 135, 160)), DIALOG), 1, 6) == (135, 160)


def test_a_window_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ControlMissing, match=r"no window 0x63 .* 'Restart' of a\.exe"):
        eyes.target((DIALOG,), 99, 6)


def test_changes_are_windows_that_came_and_went() -> None:
    assert eyes.changes((DIALOG,), (other(), DIALOG)) == ((other(),), ())
    assert eyes.changes((DIALOG, other()), (DIALOG,)) == ((), (other(),))


def test_a_report_of_the_helper_is_read() -> None:
    report = {"event": "changed", "look": 0, "windows": [{
        "hwnd": 1, "pid": 5, "exe": "a.exe", "cls": "#32770", "title": "Restart", "rect": [100, 100, 300, 200],
        "foreground": True, "controls": [{"hwnd": 11, "id": 6, "cls": "Button", "text": "&Yes",
                                          "rect": [110, 150, 160, 170], "visible": True, "enabled": True}],
    }]}
    assert pressable(eyes.windows(report)[0], "Yes") == YES
    assert eyes.windows({"event": "changed"}) == ()
