"""Deliberately wrong models of the PC, the network and the people: each is wrong in one thing, as a model might be."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rrsim.backends.sim import network, pc
from rrsim.backends.sim.compiled import Parts
from rrsim.backends.sim.parts import ConnDown, Press, Saw, SignIn, ToPc
from rrsim.broken.bug import changed_effects, changed_input, without
from rrsim.machine import observations as seen
from rrsim.people import customer


def _later_restarts(_: Any, event: Any) -> Any:
    """The button *later* of Windows' dialog restarts at once."""
    if isinstance(event, Press) and event.window == "windows restart dialog" and event.button == "later":
        return replace(event, button="restart")
    return event


def _cut_counts_as_clean(_: Any, __: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    """A power cut looks like an ordinary end of Windows."""
    return tuple(
        Saw(replace(e.what, clean=True)) if isinstance(e, Saw) and isinstance(e.what, seen.WentDown) else e
        for e in effects
    )


def _windows_stay_open(_: Any, __: Any, effect: Any) -> bool:
    """Windows ends a session and the agent's windows are not seen to go."""
    return isinstance(effect, Saw) and isinstance(effect.what, seen.WindowGone) and effect.what.by == "windows"


def _always_normal(_: Any, __: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    """The machine tells that every boot is a normal one."""
    return tuple(
        Saw(replace(e.what, safe_mode=False)) if isinstance(e, Saw) and isinstance(e.what, seen.BootBegan) else e
        for e in effects
    )


def _signs_nobody_in(_: Any, __: Any, effect: Any) -> bool:
    """The customer never signs in."""
    return isinstance(effect, ToPc) and isinstance(effect.what, SignIn)


def _presses_no(_: Any, __: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    """The customer presses *No* for *Yes*."""
    return tuple(
        ToPc(replace(e.what, button="no"))
        if isinstance(e, ToPc) and isinstance(e.what, Press) and e.what.button == "yes" else e
        for e in effects
    )


def _no_cable(_: Any, event: Any) -> Any:
    """The network does not notice that Windows has come up: there is none after a restart."""
    return None if isinstance(event, seen.PhaseBegan | seen.BootBegan) else event


def _server_never_told(_: Any, __: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    """The server does not hear that a connection is gone."""
    return tuple(replace(e, tell_server=False) if isinstance(e, ConnDown) else e for e in effects)


WRONG: dict[str, tuple[str, Parts]] = {
    "PC: 'later' restarts": (
        "later-in-the-dialog[presses=customer clicks]", Parts(pc=changed_input(pc.step, _later_restarts)),
    ),
    "PC: a power cut is a clean end": (
        "power-returns-later[application, in time]", Parts(pc=changed_effects(pc.step, _cut_counts_as_clean)),
    ),
    "PC: windows stay open": ("same-user", Parts(pc=without(pc.step, _windows_stay_open))),
    "PC: safe mode is not told": (
        "restart-into-safe-mode[place=chat window]", Parts(pc=changed_effects(pc.step, _always_normal)),
    ),
    "network: none after a restart": ("same-user", Parts(net=changed_input(network.step, _no_cable))),
    "network: the server is not told of a loss": (
        "same-user", Parts(net=changed_effects(network.step, _server_never_told)),
    ),
    "people: nobody signs in": ("same-user", Parts(person=without(customer.step, _signs_nobody_in))),
    "people: No for Yes": (
        "customer-agrees[agent=service]", Parts(person=changed_effects(customer.step, _presses_no)),
    ),
}
"""What is wrong, in which case it must show, and the wrong part."""
