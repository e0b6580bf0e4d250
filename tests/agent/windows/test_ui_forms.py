"""The windows as data: ids, harmless defaults, and controls that do not cover each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.agent.windows import ui_forms as forms
from rrsim.agent.windows.texts import Texts

LANGUAGES = ("en", "de")


def all_forms(language):
    texts = Texts(language, pytest.fail)
    return (
        forms.chat(texts, True), forms.chat(texts, False), forms.session(texts, True), forms.session(texts, False),
        *(forms.prompt(texts, kind) for kind in ("restart", "sharing", "leave")),
        forms.notice(texts, "expired"), forms.notice(texts, "line not sent"), forms.cancel(texts), forms.code(texts),
    )


def measure(text, width):
    """Six units a character, sixteen a line: near enough to a real font."""
    if not width:
        return 6 * len(text), 16
    lines = sum(max(1, -(-len(line) * 6 // width)) for line in text.split("\n"))
    return min(width, 6 * len(text)), 16 * lines


def overlap(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_controls_are_inside_and_cover_no_other(language):
    for form in all_forms(language):
        hidden = frozenset(control.id for control in form.controls() if not control.visible)
        (width, height), rects = forms.arrange(form, measure, hidden)
        seen = [rects[control.id] for control in form.controls() if control.id not in hidden]
        for at, rect in enumerate(seen):
            assert rect[2] > 0, form.cls
            assert rect[3] > 0, form.cls
            assert rect[0] >= 0
            assert rect[1] >= 0
            assert rect[0] + rect[2] <= width
            assert rect[1] + rect[3] <= height
            assert not any(overlap(rect, other) for other in seen[at + 1:]), form.cls


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_control_has_an_id_of_its_own(language):
    for form in all_forms(language):
        ids = [control.id for control in form.controls()]
        assert len(ids) == len(set(ids)), form.cls


def test_the_default_button_is_the_one_that_changes_nothing():
    texts = Texts("en", pytest.fail)
    assert forms.prompt(texts, "restart").default() == forms.NO
    assert forms.prompt(texts, "sharing").default() == forms.NO
    assert forms.prompt(texts, "leave").default() == forms.YES
    assert forms.cancel(texts).default() == 0
    assert forms.session(texts, True).default() == 0
    assert forms.chat(texts, True).default() == forms.SEND


def test_a_long_translation_makes_the_window_wider():
    form = forms.Form("c", "t", 100, ((forms.Control("button", 1, "x" * 60), forms.Control("button", 2, "y" * 60)),))
    (width, _), rects = forms.arrange(form, measure, frozenset())
    assert width > 2 * 60 * 6
    assert not overlap(rects[1], rects[2])


def test_a_transcript_takes_the_room_that_is_left():
    form = forms.chat(Texts("en", pytest.fail), False)
    _, small = forms.arrange(form, measure, frozenset({forms.SHARED}))
    size, large = forms.arrange(form, measure, frozenset({forms.SHARED}), (700, 600))
    assert size == (700, 600)
    assert large[forms.TRANSCRIPT][3] > small[forms.TRANSCRIPT][3]
    assert large[forms.END_SESSION][3] == small[forms.END_SESSION][3]


@pytest.mark.parametrize(("bits", "kind"), [
    (0, "shutdown"), (1, "closeapp"), (0x80000000, "logoff"), (-0x80000000, "logoff"), (0x80000001, "closeapp"),
    (0x40000000, "shutdown"), (-0x40000000, "logoff"),
])
def test_what_windows_ends(bits, kind):
    assert forms.end_session_kind(bits) == kind


@given(
    size=st.tuples(st.integers(50, 900), st.integers(50, 700)),
    area=st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(640, 2560), st.integers(480, 1440)),
    taken=st.lists(st.tuples(*[st.integers(0, 900)] * 4), max_size=6),
    place=st.sampled_from(["front", "corner"]),
)
def test_a_window_begins_on_the_screen(size, area, taken, place):
    x, y = forms.spot(size, area, taken, place)
    assert area[0] <= x <= area[0] + area[2]
    assert area[1] <= y <= area[1] + area[3]
    if size[0] + 20 < area[2] and size[1] + 20 < area[3]:
        assert x + size[0] <= area[0] + area[2]
        assert y + size[1] <= area[1] + area[3]


def test_windows_keep_clear_of_each_other():
    area, taken = (0, 0, 1024, 768), []
    for size, place in [((408, 368), "corner"), ((426, 188), "front"), ((426, 156), "front"), ((404, 120), "front")]:
        spot = (*forms.spot(size, area, taken, place), *size)
        assert not any(overlap(spot, other) for other in taken)
        taken.append(spot)
