"""A person's hands at a PC: what can be pressed, and what Windows takes away in the last moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rrsim.backends.live.pc import LivePc, NotPossible
from rrsim.machine import observations as seen
from rrsim.machine.desktop import CannotPress
from rrsim.people import vocabulary as said
from rrsim.scenario import actions

REFLEX = said.Press("customer", "restart prompt", "yes", by_habit=True)
STEP = said.Press("customer", "restart prompt", "yes")


def pc_with_a_prompt(observed: list[Any]) -> LivePc:
    """Return a PC with a restart prompt on the desktop that is gone when somebody presses."""
    async def click(_hwnd: int, _control: int) -> None:
        raise CannotPress("no window 0x1 is on the desktop")

    def no_picture() -> bytes:
        raise OSError("no screen")

    window = SimpleNamespace(hwnd=1)
    adapter = SimpleNamespace(
        window=lambda _: "restart prompt", control=lambda *_: 6, shows_sharing=lambda _: False
    )
    machine = SimpleNamespace(
        click=click, screenshot=no_picture, patience=1.0, window_kind=lambda _: None, closed_by_program=frozenset()
    )
    pc = LivePc(1, machine, adapter, "application", observed.append)  # type: ignore[arg-type] -- as much of both as a press takes
    pc.eyes_saw((window,))  # type: ignore[arg-type] -- the adapter names it
    return pc


def test_a_window_that_is_gone_cannot_be_pressed() -> None:
    pc = pc_with_a_prompt([])
    with pytest.raises(NotPossible, match="no window"):
        asyncio.run(pc.person_does(said.Press("customer", "restart prompt", "yes")))


def test_a_window_that_windows_takes_away_under_the_hand_is_nobodys_fault() -> None:
    observed: list[Any] = []
    pc = pc_with_a_prompt(observed)
    pc.machine_saw(seen.SessionEnds("agent"))
    asyncio.run(pc.person_does(said.Press("customer", "restart prompt", "yes")))
    assert seen.Clicked("customer", "restart prompt", "yes") in observed


@pytest.mark.parametrize("end", [(seen.SessionEnds("agent"), seen.WentDown("agent", clean=True)),
                                 (seen.WentDown("power", clean=False),)])  # fmt: skip
def test_nor_is_one_that_a_quick_pc_has_booted_without_by_then(end: tuple[Any, ...]) -> None:
    pc = pc_with_a_prompt([])

    async def click(_hwnd: int, _control: int) -> None:
        for one in end:
            pc.machine_saw(one)
        raise CannotPress("no window 0x1 is on the desktop")

    pc.machine.click = click
    asyncio.run(pc.person_does(said.Press("customer", "restart prompt", "yes")))


async def restart(pc: LivePc) -> None:
    """Windows ends the session, and the machine goes down."""
    pc.machine_saw(seen.SessionEnds("agent"))
    pc.machine_saw(seen.WentDown("agent", clean=True))


async def sign_out(pc: LivePc) -> None:
    """The customer signs out; machines tell no end of Windows for that."""
    async def log_off() -> None:
        return None

    pc.machine.log_off = log_off
    await pc.do(actions.CustomerLogsOff())


async def late(pc: LivePc, press: said.Press, ends: Any) -> None:
    """Somebody decides to press, and before a hand is free Windows takes the window away."""
    pc.machine.patience = 0.1
    pressed = pc.person_does(press)
    await ends(pc)
    await pressed


@pytest.mark.parametrize("ends", [restart, sign_out])
def test_nor_is_one_that_windows_takes_away_before_a_hand_is_free(ends: Any) -> None:
    observed: list[Any] = []
    pc = pc_with_a_prompt(observed)
    asyncio.run(late(pc, REFLEX, ends))
    assert not [one for one in observed if isinstance(one, seen.Clicked)]


@pytest.mark.parametrize("ends", [restart, sign_out])
def test_a_step_that_came_too_late_was_not_played(ends: Any) -> None:
    with pytest.raises(NotPossible, match="not on the desktop"):
        asyncio.run(late(pc_with_a_prompt([]), STEP, ends))


def test_a_reflex_does_not_go_into_a_window_of_the_next_boot() -> None:
    """That would be a consent nobody gave."""
    pressed: list[int] = []
    pc = pc_with_a_prompt([])

    async def click(hwnd: int, _control: int) -> None:
        pressed.append(hwnd)

    async def ends(one: LivePc) -> None:
        await restart(one)
        one.eyes_saw((SimpleNamespace(hwnd=2),))  # type: ignore[arg-type] -- the adapter names it

    pc.machine.click = click
    asyncio.run(late(pc, REFLEX, ends))
    assert pressed == []


def test_a_window_that_was_taken_away_before_a_person_decides_is_missing() -> None:
    pc = pc_with_a_prompt([])
    pc.machine.patience = 0.1
    pc.machine_saw(seen.SessionEnds("agent"))
    pc.machine_saw(seen.WentDown("agent", clean=True))
    with pytest.raises(NotPossible, match="not on the desktop"):
        asyncio.run(pc.person_does(said.Press("customer", "restart prompt", "yes")))


def test_an_earlier_restart_excuses_no_press() -> None:
    pc = pc_with_a_prompt([])
    pc.machine_saw(seen.SessionEnds("agent"))
    pc.machine_saw(seen.WentDown("agent", clean=True))
    pc.eyes_saw((SimpleNamespace(hwnd=2),))  # type: ignore[arg-type] -- the adapter names it
    with pytest.raises(NotPossible, match="no window"):
        asyncio.run(pc.person_does(said.Press("customer", "restart prompt", "yes")))
