"""The process dies between any two effects: what is left is taken away at the next start (rule 7, rule 14, SH-09)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from rrsim.agent import host
from rrsim.protocol import messages as msg
from tests.agent.rig import SETTINGS, Killed, Pc, sent

Story = Callable[[Pc], None]


def restart(mode: msg.BootMode) -> Story:
    """An order, armed and carried out."""

    def play(pc: Pc) -> None:
        pc.join()
        pc.order(mode)
        pc.give(host.SessionEnding())

    return play


def undone(pc: Pc) -> None:
    """An order that Windows cancels."""
    pc.join()
    pc.order("safe")
    pc.give(host.EndSessionCancelled("customer"))


def returned(pc: Pc) -> None:
    """A whole restart to safe mode, the resumption, and the end of the session."""
    restart("safe")(pc)
    pc.reboot()
    pc.resume()
    pc.say(msg.SessionOver("ended"))


STORIES: dict[str, Story] = {
    "normal": restart("normal"), "safe": restart("safe"), "undone": undone, "returned": returned,
}


def length(story: Story) -> int:
    """Count a story's effects."""
    pc = Pc("service")
    story(pc)
    return pc.done


def killed_at(story: Story, k: int, mode: msg.AgentMode = "service") -> Pc:
    """Play a story until the process dies before its effect number ``k``."""
    pc = Pc(mode)
    pc.kill_after = k
    with contextlib.suppress(Killed):
        story(pc)
    pc.kill_after = -1
    pc.pending = []
    return pc


@pytest.mark.parametrize("name", STORIES)
def test_same_boot_start_disarms_from_everywhere(name: str) -> None:
    """Rule 14, I7: whatever was armed is void without a new boot."""
    story = STORIES[name]
    for k in range(length(story) + 1):
        pc = killed_at(story, k)
        saved = pc.record
        pc.start()
        if saved is not None and saved.boot == pc.boot:
            assert sent(pc.effects) == [], k
            assert not pc.restarting, k
        if pc.state.goal == "resuming":
            pc.greet()
            pc.say(msg.TurnedAway("lost"))
        assert pc.residue() == (), k


@pytest.mark.parametrize("name", STORIES)
def test_new_boot_resumes_only_with_the_intent_and_leaves_nothing(name: str) -> None:
    """Rule 3, I6, I7: from every point, then the session ends and the next boot is normal."""
    story = STORIES[name]
    resumed = 0
    for k in range(length(story) + 1):
        pc = killed_at(story, k)
        saved = pc.record
        pc.reboot()
        pc.start(desktop="none", user="")
        may = saved is not None and saved.intent and bool(saved.ticket)
        assert (pc.state.goal == "resuming") == may, k
        assert not pc.flag, k
        if may:
            resumed += 1
            pc.greet()
            pc.say(msg.Resumed("session-1", "key-9", SETTINGS, 0, 0))
            pc.say(msg.SessionOver("ended"))
        assert pc.residue() == (), k
        pc.reboot()
        assert not pc.safe_mode, k
    assert resumed


@pytest.mark.parametrize("name", ["normal", "undone"])
def test_application_never_leaves_a_ticket_that_nobody_comes_back_for(name: str) -> None:
    """Rule 7, I7: at every point a record on the disk has its autostart entry, or nothing would ever remove it."""

    def play(pc: Pc) -> None:
        pc.join()
        pc.order()
        if name == "undone":
            pc.give(host.EndSessionCancelled("customer"))

    whole = Pc("application")
    play(whole)
    records = 0
    for k in range(whole.done + 1):
        pc = killed_at(play, k, "application")
        records += pc.record is not None
        assert pc.record is None or pc.autostart, k
    assert records
