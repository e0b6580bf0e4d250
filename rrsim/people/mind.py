"""What a customer keeps in mind, and what can be read off it. The rules are in
:mod:`rrsim.people.customer`."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from rrsim.machine import observations as seen
from rrsim.scenario import actions as act
from rrsim.scenario.model import CustomerHabits

MAX_WISHES: Final = 16

Place = Literal["away", "welcome", "shell", "desktop"]
"""Where the PC is, as the person in front of it sees it; ``away``: off, or nothing to be done there yet."""
Chore = Literal["nothing to do", "to do", "about to", "done"]
SECRET_WINDOWS: Final = ("bitlocker", "bios password")

Wish = (
    act.CustomerChats | act.CustomerClosesChat | act.CustomerClicks | act.CustomerAnswers | act.CustomerLogsOn
    | act.CustomerUnlocks | act.CustomerDials | act.CustomerHangsUp | act.CustomerCancelsReconnect
    | act.CustomerAtBlockScreen | act.CustomerTypesSecret | act.CustomerLogsInToPortal | act.CustomerStartsVpn
)
"""Actions that need something to be there first."""
WISHES: Final = (
    act.CustomerChats, act.CustomerClosesChat, act.CustomerClicks, act.CustomerAnswers, act.CustomerLogsOn,
    act.CustomerUnlocks, act.CustomerDials, act.CustomerHangsUp, act.CustomerCancelsReconnect,
    act.CustomerAtBlockScreen, act.CustomerTypesSecret, act.CustomerLogsInToPortal, act.CustomerStartsVpn,
)  # fmt: skip


class CustomerState(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Everything a customer keeps in mind."""

    habits: CustomerHabits
    dial_up: bool = False
    place: Place = "desktop"
    locked: bool = False
    link: bool = True
    windows: tuple[seen.Window, ...] = ()
    """Windows on the desktop, sorted by name."""
    signing: Literal["no", "about to", "typed"] = "no"
    wrong_left: int = 0
    """How many wrong passwords will still be typed before the right one."""
    stays_out: bool = False
    """Signed out on purpose: does not sign in again by habit before the next boot."""
    call: Literal["no", "about to", "calling", "up"] = "no"
    redials_left: int = 0
    leaves: Literal["", "yes", "no", "silence"] = ""
    """The answer to *keep the session open?* after pressing the chat window's close button."""
    portal: Chore = "nothing to do"
    vpn: Chore = "nothing to do"
    wishes: tuple[Wish, ...] = ()
    """Actions of the scenario that are not possible yet, oldest first."""


def at_desktop(state: CustomerState) -> bool:
    """Whether the desktop is there and can be used."""
    return state.place == "desktop" and not state.locked


def tag_of(action: Any) -> str:
    """Return the words a scenario uses for an action."""
    return str(type(action).__struct_config__.tag)


def window_of(wish: Wish) -> seen.Window | None:
    """Return the window that an action needs, if it needs one."""
    match wish:
        case act.CustomerClicks():
            return wish.window
        case act.CustomerAnswers():
            return wish.prompt
        case act.CustomerChats() | act.CustomerClosesChat():
            return "chat"
        case act.CustomerCancelsReconnect():
            return "cancel option"
        case act.CustomerAtBlockScreen():
            return "block screen"
        case _:
            return None


def missing_for(state: CustomerState, wish: Wish) -> str:
    """Return what keeps an action from being possible; empty if it is possible now."""
    window = window_of(wish)
    if window is not None:
        return "" if window in state.windows else f"the window {window!r} did not appear"
    match wish:
        case act.CustomerLogsOn():
            there = state.place == "welcome" or (state.place == "desktop" and state.locked)
            return "" if there else "the welcome screen did not appear"
        case act.CustomerUnlocks():
            return "" if state.place == "desktop" and state.locked else "there was no locked desktop"
        case act.CustomerTypesSecret():
            shown = any(window in state.windows for window in SECRET_WINDOWS)
            return "" if shown else "nothing asked for a start-up secret"
        case act.CustomerDials() | act.CustomerHangsUp() if not state.dial_up:
            return "the pc has no dial-up connection"
        case act.CustomerHangsUp():
            return "" if state.call in ("calling", "up") else "no call was under way"
        case act.CustomerDials():
            return "" if at_desktop(state) else "the desktop was not usable"
        case act.CustomerLogsInToPortal() if state.portal == "nothing to do":
            return "there is no portal"
        case act.CustomerStartsVpn() if state.vpn == "nothing to do":
            return "the pc has no vpn"
        case act.CustomerStartsVpn() if state.portal in ("to do", "about to"):
            return "the portal was not passed"
    if not at_desktop(state):
        return "the desktop was not usable"
    return "" if state.link else "there was no network"
