"""The customer in front of the PC, as a pure step function.

Rules:

* By habit the customer answers prompts, signs in, dials, passes a portal and starts a tunnel, each after a drawn or
  fixed time. Every habit has one timer; when it fires the person looks again whether the thing is still there.
* An action of the scenario is done at once if it is possible, otherwise as soon as it is; it takes the place of the
  habit for the same thing. What still waits at the end never became possible (:func:`pending_wishes`).
* Wrong passwords come first, as many as the habits say. A user who can only type wrong ones tries once.
* BUSY, NO CARRIER and a dropped call are dialled again, up to ``redials`` times a boot or connection. NO DIAL TONE is
  not: the person would look at the cable first.
* The leave prompt asks *keep the session open?*: leaving is the answer No (rule 12). Only who pressed the close button
  answers it.
* When the PC goes down everything on its screen is forgotten; wishes are not.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rrsim.machine import observations as seen
from rrsim.people.mind import (
    MAX_WISHES,
    SECRET_WINDOWS,
    WISHES,
    CustomerState,
    Wish,
    at_desktop,
    missing_for,
    tag_of,
    window_of,
)
from rrsim.people.vocabulary import (
    After,
    CustomerEffect,
    DialNow,
    Forget,
    LineDown,
    NewRequest,
    PortalLogin,
    Press,
    SignIn,
    ToNet,
    ToPc,
    TypeChat,
    TypeSecret,
    VpnStart,
)
from rrsim.protocol.messages import AgentMode
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import CustomerHabits, PcSetup

__all__ = ["CustomerState", "NotForCustomer", "TooManyWishes", "initial", "pending_wishes", "step"]

Effects = list[Any]
_replace: Final = msgspec.structs.replace

_PASSED_ON: Final = (
    act.CustomerRestartsFromStart, act.CustomerShutsDown, act.CustomerPowersOn, act.CustomerLogsOff,
    act.CustomerQuitsAgent,
)  # fmt: skip
ACTIONS: Final = (*WISHES, *_PASSED_ON, act.CustomerStartsSupport)
"""Every action a customer can carry out."""


class NotForCustomer(ValueError):
    """An input of a type that a customer does not take."""


class TooManyWishes(ValueError):
    """More actions wait to become possible than a customer can keep in mind."""


def initial(habits: CustomerHabits, setup: PcSetup, mode: AgentMode, account_phone_mode: bool) -> CustomerState:
    """Return a customer in the middle of a session: signed in, at the desktop, connected.

    The option to cancel the reconnect exists in phone mode only (R11): ``account_phone_mode`` False makes the habit
    ``cancels_reconnect`` ineffective even if an agent showed the option. ``mode`` does not change what a person does.
    """
    del mode
    if habits.cancels_reconnect and not account_phone_mode:
        habits = _replace(habits, cancels_reconnect=False)
    return CustomerState(
        habits,
        dial_up=setup.network == "dial-up",
        wrong_left=habits.wrong_passwords_first,
        call="up" if setup.network == "dial-up" else "no",
        redials_left=habits.redials,
        portal="done" if setup.captive_portal else "nothing to do",
        vpn="done" if setup.network == "vpn" else "nothing to do",
    )


def pending_wishes(state: CustomerState) -> tuple[str, ...]:
    """Return what the customer still waits to be able to do, and what is missing for it."""
    return tuple(f"{tag_of(wish)}: {missing_for(state, wish)}" for wish in state.wishes)


def step(state: CustomerState, event: Any) -> tuple[CustomerState, tuple[CustomerEffect, ...]]:
    """Take one input.

    Raises:
        NotForCustomer: the input's type means nothing to a customer.
        TooManyWishes: an action is not possible now and too many are waiting already.
    """
    effects: Effects = []
    match event:
        case seen.WindowShown():
            state = _window_shown(state, event.window, effects)
        case seen.WindowGone():
            state = _window_gone(state, event.window, effects)
        case seen.RestartBlocked():
            state = _window_shown(state, "block screen", effects)
        case seen.PhaseBegan():
            state = _phase(state, event.phase, effects)
        case seen.LoggedOn():
            state = _logged_on(state, event, effects)
        case seen.LogonFailed():
            state = _logon_failed(state, effects)
        case seen.WentDown():
            state = _went_down(state, effects)
        case seen.LinkChanged():
            state = _link_changed(state, event, effects)
        case seen.DialProgress():
            state = _dial_progress(state, event.phase, effects)
        case TimerFired():
            state = _timer(state, event.name, effects)
        case _ if isinstance(event, ACTIONS):
            state = _act(state, event, effects)
        case _:
            raise NotForCustomer(
                f"expected something a customer notices or does, saw {type(event).__name__}; "
                "the list at the top of parts.py says who hears what"
            )
    return _try_wishes(state, effects), tuple(effects)


# --- windows ----------------------------------------------------------------------------------------------------


def _us(wanted: int | None) -> int:
    return -1 if wanted is None else int(wanted)


def _window_shown(state: CustomerState, window: seen.Window, effects: Effects) -> CustomerState:
    if window in state.windows:
        return state
    state = _replace(state, windows=tuple(sorted((*state.windows, window))))
    if any(window_of(wish) == window for wish in state.wishes):
        return state
    reacts_us = _us(state.habits.reacts_in_us)
    if window == "dial prompt":
        return _want_to_dial(state, "customer dials", _us(state.habits.dials_after_us), effects)
    if window in SECRET_WINDOWS:
        if state.habits.types_start_up_secret:
            effects.append(After(f"react {window}", "customer types secret", reacts_us))
    elif window == "portal page":
        return _chores(state, effects)
    elif _answer(state, window):
        effects.append(After(f"react {window}", "customer reacts", reacts_us))
    return state


def _window_gone(state: CustomerState, window: seen.Window, effects: Effects) -> CustomerState:
    if window not in state.windows:
        return state
    effects.append(Forget(f"react {window}"))
    leaves = "" if window in ("leave prompt", "chat") else state.leaves
    return _replace(state, windows=tuple(w for w in state.windows if w != window), leaves=leaves)


def _answer(state: CustomerState, window: str) -> str:
    """Return the button the customer presses in a window by habit; empty: none."""
    habits = state.habits
    answer = ""
    match window:
        case "restart prompt":
            answer = habits.at_restart_prompt
        case "sharing prompt":
            answer = habits.at_sharing_prompt
        case "leave prompt":
            answer = {"yes": "no", "no": "yes"}.get(state.leaves, "")
        case "cancel option":
            answer = "cancel" if habits.cancels_reconnect else ""
        case "block screen":
            answer = "" if habits.at_block_screen == "wait" else habits.at_block_screen
    return "" if answer == "ignore" else answer


def _press(
    state: CustomerState, window: seen.Window, button: str, effects: Effects, *, by_habit: bool = False
) -> CustomerState:
    effects += (Forget(f"react {window}"), ToPc(Press("customer", window, button, by_habit)))
    return _replace(state, leaves="") if window == "leave prompt" else state


# --- the PC's life ----------------------------------------------------------------------------------------------


def _phase(state: CustomerState, phase: seen.Phase, effects: Effects) -> CustomerState:
    match phase:
        case "welcome":
            return _welcome(state, effects)
        case "shell":
            return _replace(state, place="shell")
        case "desktop":
            return _desktop(_replace(state, place="desktop"), effects)
        case "bitlocker" | "bios password":
            return _window_shown(_replace(state, place="away"), phase, effects)
        case "shutdown asked" | "shutting down" | "updating" | "services":
            return state
        case _:
            for window in SECRET_WINDOWS:
                state = _window_gone(state, window, effects)
            if state.call == "about to":
                effects.append(Forget("dial"))
            return _replace(state, place="away", call="no")


def _welcome(state: CustomerState, effects: Effects) -> CustomerState:
    for window in SECRET_WINDOWS:
        state = _window_gone(state, window, effects)
    state = _replace(state, place="welcome", locked=False, signing="no")
    if state.habits.logs_on == "nobody" or state.stays_out or _has_wish(state, act.CustomerLogsOn):
        return state
    effects.append(After("log on", "customer logs on", _us(state.habits.logs_on_after_us)))
    return _replace(state, signing="about to")


def _sign_in(state: CustomerState, effects: Effects) -> CustomerState:
    how = state.habits.logs_on
    if state.signing != "about to" or state.place != "welcome" or how == "nobody":
        return state
    if state.wrong_left:
        effects.append(ToPc(SignIn("wrong password")))
        return _replace(state, signing="typed", wrong_left=state.wrong_left - 1)
    effects.append(ToPc(SignIn(how)))
    return _replace(state, signing="no" if how == "wrong password" else "typed")


def _logon_failed(state: CustomerState, effects: Effects) -> CustomerState:
    if state.signing != "typed":
        return state
    effects.append(After("log on", "customer types again", _us(state.habits.reacts_in_us)))
    return _replace(state, signing="about to")


def _logged_on(state: CustomerState, event: seen.LoggedOn, effects: Effects) -> CustomerState:
    effects.append(Forget("log on"))
    was_locked = state.locked
    state = _replace(state, signing="no", stays_out=False, locked=event.desktop == "locked")
    if state.place == "desktop":
        return _desktop(state, effects) if was_locked else state
    return _replace(state, place="shell")


def _desktop(state: CustomerState, effects: Effects) -> CustomerState:
    if not at_desktop(state):
        return state
    state = _chores(state, effects)
    if state.dial_up and state.call == "no" and not state.link:
        return _want_to_dial(state, "customer dials", _us(state.habits.dials_after_us), effects)
    return state


def _went_down(state: CustomerState, effects: Effects) -> CustomerState:
    effects += [Forget(f"react {window}") for window in state.windows]
    effects += [Forget(name) for name in ("log on", "dial", "portal", "vpn")]
    return _replace(
        state,
        place="away",
        locked=False,
        link=False,
        windows=(),
        signing="no",
        stays_out=False,
        wrong_left=state.habits.wrong_passwords_first,
        call="no",
        redials_left=state.habits.redials,
        leaves="",
        portal="nothing to do" if state.portal == "nothing to do" else "to do",
        vpn="nothing to do" if state.vpn == "nothing to do" else "to do",
    )


# --- network ----------------------------------------------------------------------------------------------------


def _link_changed(state: CustomerState, event: seen.LinkChanged, effects: Effects) -> CustomerState:
    if event.kind == "vpn":
        if event.up or state.vpn == "nothing to do":
            return state
        effects.append(Forget("vpn"))
        return _chores(_replace(state, vpn="to do"), effects)
    if not event.up and state.vpn in ("about to", "done"):
        effects.append(Forget("vpn"))
        state = _replace(state, vpn="to do")
    return _chores(_replace(state, link=event.up), effects)


def _chores(state: CustomerState, effects: Effects) -> CustomerState:
    """Pass the portal, then start the tunnel, once there is a desktop and a network to do it with."""
    if not at_desktop(state) or not state.link:
        return state
    habits = state.habits
    if state.portal == "to do":
        if not habits.logs_in_to_portal:
            return state
        effects.append(After("portal", "customer logs in to portal", _us(habits.reacts_in_us)))
        return _replace(state, portal="about to")
    if state.vpn == "to do" and state.portal in ("nothing to do", "done") and habits.starts_vpn:
        effects.append(After("vpn", "customer starts vpn", _us(habits.reacts_in_us)))
        return _replace(state, vpn="about to")
    return state


def _do_chore(state: CustomerState, chore: str, effects: Effects) -> CustomerState:
    """The chore's time has come; without desktop or network it stays to be done."""
    if getattr(state, chore) != "about to":
        return state
    ready = at_desktop(state) and state.link
    if ready:
        effects.append(ToNet(PortalLogin() if chore == "portal" else VpnStart()))
    state = _replace(state, **{chore: "done" if ready else "to do"})
    return _chores(state, effects)


def _want_to_dial(state: CustomerState, draw: str, us: int, effects: Effects) -> CustomerState:
    if not state.dial_up or state.habits.dials == "never" or state.call != "no":
        return state
    if _has_wish(state, act.CustomerDials):
        return state
    effects.append(After("dial", draw, us))
    return _replace(state, call="about to")


def _dial(state: CustomerState, effects: Effects) -> None:
    """Dial by hand: in the window in which Windows asks for it, if that is there (R12)."""
    if "dial prompt" in state.windows:
        effects.append(ToPc(Press("customer", "dial prompt", "dial")))
    effects.append(ToNet(DialNow()))


def _dial_progress(state: CustomerState, phase: str, effects: Effects) -> CustomerState:
    if phase == "connected":
        return _replace(state, call="up", redials_left=state.habits.redials)
    if phase not in ("busy", "no carrier", "no dial tone", "dropped") or state.call in ("no", "about to"):
        return state
    state = _replace(state, call="no")
    if phase == "no dial tone" or not state.redials_left or not at_desktop(state):
        return state
    state = _replace(state, redials_left=state.redials_left - 1)
    return _want_to_dial(state, "customer redials", -1, effects)


# --- timers -----------------------------------------------------------------------------------------------------


def _timer(state: CustomerState, name: str, effects: Effects) -> CustomerState:
    match name:
        case "log on":
            return _sign_in(state, effects)
        case "portal" | "vpn":
            return _do_chore(state, name, effects)
        case "dial" if state.call == "about to":
            if not at_desktop(state):
                return _replace(state, call="no")
            _dial(state, effects)
            return _replace(state, call="calling")
    window = name.removeprefix("react ")
    if not name.startswith("react ") or window not in state.windows:
        return state
    if window in SECRET_WINDOWS:
        effects.append(ToPc(TypeSecret()))
        return state
    button = _answer(state, window)
    return _press(state, window, button, effects, by_habit=True) if button else state


# --- what a scenario makes the customer do ----------------------------------------------------------------------


def _has_wish(state: CustomerState, kind: type) -> bool:
    return any(isinstance(wish, kind) for wish in state.wishes)


def _act(state: CustomerState, action: Any, effects: Effects) -> CustomerState:
    if isinstance(action, act.CustomerStartsSupport):
        effects.append(NewRequest())
        return state
    if isinstance(action, _PASSED_ON):
        effects.append(ToPc(action))
        return _replace(state, stays_out=True) if isinstance(action, act.CustomerLogsOff) else state
    if len(state.wishes) >= MAX_WISHES and missing_for(state, action):
        raise TooManyWishes(
            f"expected at most {MAX_WISHES} waiting actions of the customer, saw one more: {tag_of(action)}; "
            "check that the steps before it can happen"
        )
    state = _instead_of_habit(state, action, effects)
    return _replace(state, wishes=(*state.wishes, action))


def _instead_of_habit(state: CustomerState, action: Wish, effects: Effects) -> CustomerState:
    """Give up the habit that would do the same thing as an action that is now waited for."""
    window = window_of(action)
    match action:
        case act.CustomerLogsOn() if state.signing == "about to":
            effects.append(Forget("log on"))
            return _replace(state, signing="no")
        case act.CustomerDials() if state.call == "about to":
            effects.append(Forget("dial"))
            return _replace(state, call="no")
        case act.CustomerTypesSecret():
            effects += [Forget(f"react {secret}") for secret in SECRET_WINDOWS if secret in state.windows]
    if window is not None and window != "chat":
        effects.append(Forget(f"react {window}"))
    return state


def _try_wishes(state: CustomerState, effects: Effects) -> CustomerState:
    """Carry out every action that is possible, oldest first, until none is: one can make another possible."""
    while (wish := next((wish for wish in state.wishes if not missing_for(state, wish)), None)) is not None:
        waiting = list(state.wishes)
        waiting.remove(wish)
        state = _fulfil(_replace(state, wishes=tuple(waiting)), wish, effects)
    return state


def _fulfil(state: CustomerState, wish: Wish, effects: Effects) -> CustomerState:
    match wish:
        case act.CustomerChats():
            effects.append(ToPc(TypeChat(wish.text)))
        case act.CustomerClosesChat():
            effects.append(ToPc(Press("customer", "chat", "close")))
            return _replace(state, leaves=wish.leaves)
        case act.CustomerClicks():
            return _press(state, wish.window, wish.button, effects)
        case act.CustomerAnswers():
            return _press(state, wish.prompt, wish.answer, effects)
        case act.CustomerCancelsReconnect():
            return _press(state, "cancel option", "cancel", effects)
        case act.CustomerAtBlockScreen():
            return _press(state, "block screen", wish.choice, effects)
        case act.CustomerTypesSecret():
            effects.append(ToPc(TypeSecret()))
        case act.CustomerLogsOn():
            effects += (Forget("log on"), ToPc(SignIn(wish.how)))
            return _replace(state, signing="no")
        case act.CustomerUnlocks():
            effects.append(ToPc(wish))
        case act.CustomerHangsUp():
            effects.append(ToNet(LineDown()))
            return _replace(state, call="no")
        case act.CustomerDials():
            effects.append(Forget("dial"))
            _dial(state, effects)
            return _replace(state, call="calling" if state.call != "up" else "up")
        case act.CustomerLogsInToPortal():
            effects += (Forget("portal"), ToNet(PortalLogin()))
            return _chores(_replace(state, portal="done"), effects)
        case act.CustomerStartsVpn():
            effects += (Forget("vpn"), ToNet(VpnStart()))
            return _replace(state, vpn="done")
    return state
