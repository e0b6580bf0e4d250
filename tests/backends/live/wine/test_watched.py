"""What the watcher says, and which call each change bears witness of."""

from __future__ import annotations

from rrsim.backends.live.wine.watched import Watched
from rrsim.machine import observations as seen
from rrsim.machine.adapters import Watch

RECORD = Watch(
    "file", r"C:\a\record.bin", appears="ticket saved", changes="record saved", goes="record erased",
    marker="intent", marked="intent saved",
)  # fmt: skip
VALUE = Watch("value", r"HKCU\Software\Run\\entry", appears="autostart armed", goes="autostart disarmed")


def told(watched: Watched, *states: tuple[bool, bool, bool], number: int = 0) -> list[str]:
    """Feed states (there, marked, first) and return the verbs."""
    calls = [watched.heard(number, there=t, marked=m, first=f) for t, m, f in states]
    return [call.verb if call is not None else "" for call in calls]


def test_a_record_s_life_is_told_in_the_agent_s_verbs() -> None:
    gone, plain, marked = (False, False, False), (True, False, False), (True, True, False)
    states = ((False, False, True), plain, marked, plain, gone)
    assert told(Watched((RECORD,)), *states) == ["", "ticket saved", "intent saved", "record saved", "record erased"]


def test_a_record_saved_again_with_its_intent_withdraws_nothing() -> None:
    """*Record saved* would: the restart that follows would count as foreign (rule 3)."""
    watched = Watched((RECORD,))
    assert told(watched, (True, False, True), (True, True, False), (True, True, False)) == [
        "ticket saved", "intent saved", "intent saved",
    ]  # fmt: skip


def test_what_was_so_before_the_boot_is_no_news_after_it() -> None:
    watched = Watched((RECORD,))
    told(watched, (False, False, True), (True, True, False))
    assert told(watched, (True, True, True), (False, False, False)) == ["", "record erased"]


def test_a_value_is_named() -> None:
    watched = Watched((RECORD, VALUE))
    assert watched.heard(1, there=True, marked=False, first=False) == seen.HostCall(
        "autostart armed", ok=True, detail="entry"
    )


def test_the_watcher_is_told_path_and_marker() -> None:
    assert Watched((RECORD, VALUE)).lines() == [
        ("watch", "0", "file", r"C:\a\record.bin", "intent"),
        ("watch", "1", "value", "HKCU", r"Software\Run", "entry"),
    ]
