"""Everything that can happen to a session besides the restart that it is about: one entry for each kind.

A kind says in which worlds it makes sense and which actions it is made of. Follow-up actions belong to the kind that
needs them: a dialog to its click, a fault to its end. What nobody takes back is healed at the end of every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, get_args

import msgspec

from rrsim.explore.swarm.chance import Chance
from rrsim.explore.swarm.edges import MINUTE_US, SECOND_US, outage
from rrsim.protocol.settings import Account
from rrsim.scenario import actions as do
from rrsim.scenario.actions import AnyAction, SignInHow, Thing
from rrsim.scenario.model import Given
from rrsim.scenario.words import Duration

Make = Callable[[Chance, Account], tuple[AnyAction, ...]]
_THINGS: Final = get_args(Thing)
_BUTTONS: Final[tuple[Literal["restart", "later"], ...]] = ("restart", "later")
_CHOICES: Final[tuple[Literal["cancel", "restart anyway"], ...]] = ("cancel", "restart anyway")
_PROMPTS: Final[tuple[Literal["restart prompt", "sharing prompt", "leave prompt"], ...]] = (
    "restart prompt", "sharing prompt", "leave prompt",
)  # fmt: skip
_SIGN_INS: Final[tuple[SignInHow, ...]] = get_args(SignInHow)


class Kind(msgspec.Struct, frozen=True, gc=False):
    """One kind of misfortune. ``make`` returns the actions of one occurrence: the first at the drawn moment, each
    further one some time after the one before."""

    name: str
    make: Make
    fits: Callable[[Given], bool] = lambda _: True


def _plain(*actions: AnyAction) -> Make:
    return lambda _chance, _account: actions


def _maybe_undone(action: AnyAction, undo: AnyAction) -> Make:
    return lambda chance, _: (action, undo) if chance.one_in("undone", 2) else (action,)


def _returning(kind: type[do.PowerCut] | type[do.CablePulled]) -> Make:
    def make(chance: Chance, account: Account) -> tuple[AnyAction, ...]:
        if chance.one_in("never back", 5):
            return (kind(),)
        return (kind(returns_after_us=outage(chance, "outage", account)),)

    return make


def _sleeps(chance: Chance, account: Account) -> tuple[AnyAction, ...]:
    return (do.PcSleeps(wakes_after_us=outage(chance, "outage", account)),)


def _stalls(chance: Chance, account: Account) -> tuple[AnyAction, ...]:
    return (do.ConnectionStalls(for_us=outage(chance, "outage", account)),)


def _server(chance: Chance, account: Account) -> tuple[AnyAction, ...]:
    return (do.ServerRestarts(down_for_us=outage(chance, "outage", account)),)


def _schedules(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    return (do.OtherSchedules(in_us=Duration(chance.spread("schedule", SECOND_US, 10 * MINUTE_US))),)


def _clock(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    by_us = Duration(chance.spread("clock", SECOND_US, 24 * 60 * MINUTE_US))
    return (do.WallClockJumps(by_us=by_us, back=chance.one_in("clock back", 2)),)


def _blocks(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    blocked = do.ToolBlocks(thing=chance.pick("thing", _THINGS), silently=chance.one_in("silently", 2))
    return (blocked, do.ToolAllows()) if chance.one_in("undone", 2) else (blocked,)


def _deletes(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    return (do.ToolDeletes(thing=chance.pick("thing", _THINGS)),)


def _windows_dialog(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    button = chance.pick("button", _BUTTONS)
    click = do.RepClicks if chance.one_in("who clicks", 3) else do.CustomerClicks
    shown = do.WindowsAsksRestart()
    return (shown,) if chance.one_in("stays open", 3) else (shown, click(window=_WINDOWS, button=button))


def _installer(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    runs = do.InstallerRuns(
        shows_dialog=not chance.one_in("silent", 4), deletes_agent=chance.one_in("deletes", 8),
        survives_boots=chance.pick("survives", (0, 0, 0, 1, 2)),
    )
    if not runs.shows_dialog or chance.one_in("stays open", 2):
        return (runs,)
    click = do.RepClicks if chance.one_in("who clicks", 3) else do.CustomerClicks
    return (runs, click(window=_INSTALLER, button=chance.pick("button", _BUTTONS)))


_WINDOWS: Final[do.Dialog] = "windows restart dialog"
_INSTALLER: Final[do.Dialog] = "installer restart dialog"


def _block(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    match chance.below("unblocked", 4):
        case 0:
            return (do.AppBlocks(), do.AppLetsGo())
        case 1:
            choice = chance.pick("choice", _CHOICES)
            return (do.AppBlocks(), do.CustomerAtBlockScreen(choice=choice))
        case _:
            return (do.AppBlocks(),)


def _shuts(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    off = do.CustomerShutsDown()
    return (off,) if chance.one_in("stays off", 3) else (off, do.CustomerPowersOn())


def _stranger(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    # On the same machine with a new boot nothing distinguishes a thief from the owner: a bearer ticket, known weakness.
    return (chance.pick("stranger", _STRANGERS),)


_STRANGERS: Final = (
    do.StrangerPresentsTicket(), do.StrangerPresentsTicket(boot="old"),
    do.StrangerPresentsTicket(machine="the same machine"),
    do.StrangerPresentsTicket(machine="the same machine", boot="old"),
)  # fmt: skip


def _chat_gone(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    return (do.ChatDestroyedAction(by=chance.pick("by", ("windows", "restart manager", "crash"))),)


def _closes(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    return (do.CustomerClosesChat(leaves=chance.pick("leaves", ("yes", "yes", "no", "silence"))),)


def _logs_on(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    return (do.CustomerLogsOn(how=chance.pick("how", _SIGN_INS)),)


def _dies(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    return (do.AgentDies(restarts=not chance.one_in("stays dead", 4)),)


def _chats(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    number = chance.below("chat", 4)
    if chance.one_in("who chats", 2):
        return (do.RepChats(text=f"line {number}"),)
    return (do.CustomerChats(text=f"line {number}"),)


def _answers(chance: Chance, _: Account) -> tuple[AnyAction, ...]:
    prompt = chance.pick("prompt", _PROMPTS)
    return (do.CustomerAnswers(prompt=prompt, answer=chance.pick("answer", ("yes", "no"))),)


def _dial_up(given: Given) -> bool:
    return given.pc.network == "dial-up"


def _service(given: Given) -> bool:
    return given.agent == "service" and given.platform == "windows"


def _secret(given: Given) -> bool:
    return given.pc.bitlocker != "none" or given.pc.bios_password


KINDS: Final = (
    Kind("power cut", _returning(do.PowerCut)),
    Kind("crash", _plain(do.PcCrashes())),
    Kind("sleep", _sleeps),
    Kind("restart from the start menu", _plain(do.CustomerRestartsFromStart())),
    Kind("shut down", _shuts),
    Kind("windows update", _plain(do.WindowsUpdateRestarts())),
    Kind("restart scheduled by others", _schedules),
    Kind("windows dialog", _windows_dialog),
    Kind("installer", _installer),
    Kind("blocked shutdown", _block),
    Kind("full disk", _maybe_undone(do.DiskFills(), do.DiskHasRoom())),
    Kind("security tool blocks", _blocks),
    Kind("security tool deletes", _deletes),
    Kind("damaged record", _plain(do.RecordDamaged())),
    Kind("missing privilege", _maybe_undone(do.PrivilegeTaken(), do.PrivilegeGiven())),
    Kind("others signed in", _plain(do.OthersSignedIn())),
    Kind("agent dies", _dies),
    Kind("helper dies", _plain(do.HelperDies()), _service),
    Kind("service removed", _plain(do.CustomerQuitsAgent()), _service),
    Kind("chat window destroyed", _chat_gone),
    Kind("wall clock", _clock),
    Kind("record made readable", _plain(do.TicketReadable())),
    Kind("network down", _returning(do.CablePulled)),
    Kind("connection drops", _plain(do.ConnectionDrops())),
    Kind("connection stalls", _stalls),
    Kind("half open", _plain(do.ConnectionHalfOpen())),
    Kind("server refuses", _maybe_undone(do.ServerRefuses(), do.ServerAccepts())),
    Kind("dns fails", _maybe_undone(do.DnsFails(), do.DnsWorks())),
    Kind("impostor", _maybe_undone(do.Impostor(), do.ImpostorGone())),
    Kind("line busy", _maybe_undone(do.LineBusy(), do.LineWorks()), _dial_up),
    Kind("line dead", _maybe_undone(do.LineDead(), do.LineWorks()), _dial_up),
    Kind("carrier lost", _plain(do.CarrierLost()), _dial_up),
    Kind("customer hangs up", _plain(do.CustomerHangsUp(), do.CustomerDials()), _dial_up),
    Kind("server restart", _server),
    Kind("stranger", _stranger),
    Kind("second endpoint", _plain(do.SecondConnection())),
    Kind("chat", _chats),
    Kind("rep ends", _plain(do.RepEnds())),
    Kind("transfer", _plain(do.RepTransfers())),
    Kind("sharing", lambda c, _: (do.RepStopsSharing(),) if c.one_in("stops", 2) else (do.RepStartsSharing(),)),
    Kind("console lost", _maybe_undone(do.RepConsoleLost(), do.RepConsoleReturns())),
    Kind("rep types the password", lambda c, _: (do.RepTypesPassword(right=not c.one_in("wrong", 3)),), _service),
    Kind("customer closes chat", _closes),
    Kind("customer answers", _answers),
    Kind("customer logs on", _logs_on),
    Kind("customer logs off", _plain(do.CustomerLogsOff())),
    Kind("customer unlocks", _plain(do.CustomerUnlocks())),
    Kind("customer cancels reconnect", _plain(do.CustomerCancelsReconnect()), lambda g: g.account.phone_mode is True),
    Kind("customer types secret", _plain(do.CustomerTypesSecret()), _secret),
    Kind("customer logs in to portal", _plain(do.CustomerLogsInToPortal()), lambda g: g.pc.captive_portal),
    Kind("customer starts vpn", _plain(do.CustomerStartsVpn()), lambda g: g.pc.network == "vpn"),
    Kind("customer asks anew", _plain(do.CustomerStartsSupport())),
)  # fmt: skip
"""Every kind of misfortune, by name."""
