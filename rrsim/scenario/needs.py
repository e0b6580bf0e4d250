"""What a scenario needs of a machine, and why: a case that needs what a machine lacks is skipped with that name. Pure.

Needs come from what is given, from the steps, and from the expectations. Three are about time rather than things:
*exact trigger* (a fault between two effects of the agent), *resolution* (a moment closer to a deadline than the
machine can tell apart), and *time scale* (a duration too short to keep).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from rrsim.machine.interface import Capability
from rrsim.protocol.settings import Account
from rrsim.scenario import actions
from rrsim.scenario.model import Given, Scenario

Needs = dict[Capability, str]
"""Capability to the reason it is needed."""

_ACTIONS: Final[dict[type, tuple[Capability, ...]]] = {
    actions.RepClicks: ("press",), actions.RepTypesPassword: ("log on",), actions.CustomerChats: ("press",),
    actions.CustomerClosesChat: ("press",), actions.CustomerClicks: ("press",), actions.CustomerAnswers: ("press",),
    actions.CustomerRestartsFromStart: ("restart",), actions.CustomerShutsDown: ("power off",),
    actions.CustomerPowersOn: ("power off",), actions.CustomerLogsOn: ("log on",),
    actions.CustomerLogsOff: ("log off",), actions.CustomerUnlocks: ("lock",),
    actions.CustomerDials: ("dial",), actions.CustomerHangsUp: ("dial",),
    actions.CustomerCancelsReconnect: ("press",), actions.CustomerAtBlockScreen: ("blocked shutdown",),
    actions.CustomerTypesSecret: ("bitlocker",), actions.CustomerLogsInToPortal: ("captive portal",),
    actions.CustomerStartsVpn: ("vpn",), actions.CustomerQuitsAgent: ("service removal",),
    actions.PowerCut: ("power cut",), actions.PowerReturns: ("power cut",), actions.PcCrashes: ("reset",),
    actions.PcSleeps: ("sleep",), actions.PcWakes: ("sleep",), actions.WindowsAsksRestart: ("windows dialog",),
    actions.InstallerRuns: ("installer dialog",), actions.WindowsUpdateRestarts: ("restart",),
    actions.OtherSchedules: ("scheduled restart",), actions.AppBlocks: ("blocked shutdown",),
    actions.AppLetsGo: ("blocked shutdown",), actions.DiskFills: ("full disk",), actions.DiskHasRoom: ("full disk",),
    actions.ToolBlocks: ("security tool",), actions.ToolAllows: ("security tool",),
    actions.ToolDeletes: ("security tool",), actions.RecordDamaged: ("damaged record",),
    actions.PrivilegeTaken: ("missing privilege",), actions.PrivilegeGiven: ("missing privilege",),
    actions.OthersSignedIn: ("other sessions",), actions.AgentDies: ("process kill",),
    actions.HelperDies: ("process kill",), actions.ChatDestroyedAction: ("destroyed window",),
    actions.WallClockJumps: ("wall clock",), actions.TicketReadable: ("file rights",),
    actions.CablePulled: ("pull the cable",), actions.CablePlugged: ("pull the cable",),
    actions.ConnectionDrops: ("link faults",), actions.ConnectionStalls: ("link faults",),
    actions.ConnectionHalfOpen: ("link faults",), actions.ServerRefuses: ("link faults",),
    actions.ServerAccepts: ("link faults",), actions.DnsFails: ("dns",), actions.DnsWorks: ("dns",),
    actions.Impostor: ("link faults",), actions.ImpostorGone: ("link faults",), actions.LineBusy: ("dial",),
    actions.LineDead: ("dial",), actions.LineWorks: ("dial",), actions.CarrierLost: ("dial",),
    actions.ServerRestarts: ("server restart",), actions.StrangerPresentsTicket: ("stranger",),
    actions.SecondConnection: ("stranger",),
}

NEED_NOTHING: Final[dict[type, str]] = {
    **dict.fromkeys((
        actions.RepTakes, actions.RepRestarts, actions.RepChats, actions.RepEnds, actions.RepTransfers,
        actions.RepStartsSharing, actions.RepStopsSharing, actions.RepConsoleLost, actions.RepConsoleReturns,
    ), "the representative acts at the session server, which every run has"),
    actions.CustomerStartsSupport: "every run begins with it",
    actions.Wait: "time passes everywhere",
}  # fmt: skip
"""Actions that every machine can be used for, and why."""

_PC: Final[dict[str, Capability]] = {
    "captive_portal": "captive portal", "fast_startup": "fast startup", "locks_after_automatic_logon": "lock",
    "temporary_profile": "temporary profile", "bios_password": "bios password",
    "safe_boot_set_by_owner": "boot options", "safe_mode_hangs": "safe mode faults", "no_bcdedit": "safe mode faults",
    "service_misses_start_limit": "service faults", "service_stays_stopped": "service faults",
    "loses_elevation": "standard user", "loses_early_start": "service faults", "black_screen": "black screen",
    "terminal_server": "other sessions", "forgets_identity": "identity faults",
}
"""Settings of the PC that are off by default, and what it takes to have them on."""

_UNDER_THE_BLOCK_SCREEN: Final = (actions.CustomerClosesChat, actions.CustomerChats, actions.CustomerAnswers)
"""What a person cannot do on a PC whose block screen lies over every window."""
_EXACT: Final = ("agent does", "host call")
"""Events inside the agent: a fault right after one needs a machine that can hold it there."""
_UNCLAIMED: Final = ("message hello", "message welcome")
"""Said on a connection before the server knows whose it is: live, nobody can tell which session they belong to."""


def needs(case: Scenario) -> Needs:
    """Return every capability a case needs, with the reason."""
    found: Needs = {}

    def need(capability: Capability, why: str) -> None:
        found.setdefault(capability, why)

    _of_given(case.given, need)
    service = case.given.agent == "service"
    for number, step in enumerate(case.steps, 1):
        tag = type(step.action).__struct_config__.tag
        for capability in _ACTIONS.get(type(step.action), ()):
            need(capability, f"step {number}: {tag}")
        if step.moment.when in _EXACT + _UNCLAIMED:
            need("exact trigger", f"step {number}: when {step.moment.when}")
        _of_action(step.action, number, need)
        if isinstance(step.action, actions.CustomerCancelsReconnect) and case.given.pc.network != "dial-up":
            need("exact trigger", f"step {number}: {tag} in the instant in which the agent is back and resumes")
        if isinstance(step.action, actions.AppBlocks) and _nobody_decides(case):
            need("block screen that gives up", f"step {number}: {tag}, and nobody decides at the block screen")
        if service and isinstance(step.action, actions.AgentDies) and step.action.restarts:
            need("service recovery", f"step {number}: Windows starts the service that died again")
        if step.moment.when == "restart blocked" and isinstance(step.action, _UNDER_THE_BLOCK_SCREEN):
            need("press under the block screen", f"step {number}: {tag} while the block screen covers the desktop")
    if service and case.given.customer.logs_on == "nobody" and case.expect.sharing:
        need("sharing at the welcome screen", "expects that the screen is shared while nobody is signed in")
    if _work_waits_through_safe_mode(case):
        need("installer faults", "work of an installer's service waits through safe mode")
    if _dialog_stays_open(case):
        need("installer that lets go", "an installer's window stays open while the representative restarts")
    for event in case.expect.events:
        if event.event == "agent does" or event.event in _UNCLAIMED:
            need("exact trigger", f"expects the event {event.event!r}")
        verb = str(event.where.get("verb", ""))
        if event.event == "host call" and (verb.endswith(" read") or (service and verb.startswith("autostart"))):
            need("calls that change nothing", f"expects the host call {verb!r}, which leaves no trace on the machine")
    if case.expect.left_behind:
        need("security tool", "expects something to be left behind")
    return found


def _nobody_decides(case: Scenario) -> bool:
    """Whether a block screen stays until Windows gives up: the customer waits, and nothing else happens."""
    steps = [step.action for step in case.steps]
    unforced = any(isinstance(one, actions.RepRestarts) and not one.end_programs for one in steps)
    waits = case.given.customer.at_block_screen == "wait"
    return waits and unforced and all(isinstance(one, actions.AppBlocks | actions.RepRestarts) for one in steps)


def _work_waits_through_safe_mode(case: Scenario) -> bool:
    """Whether an installer's work meets a restart into safe mode: work that needs no service is done there as well."""
    steps = [step.action for step in case.steps]
    runs = any(isinstance(one, actions.InstallerRuns) for one in steps)
    return runs and any(isinstance(one, actions.RepRestarts) and one.mode == "safe" for one in steps)


def _dialog_stays_open(case: Scenario) -> bool:
    """Whether an unforced restart meets an installer's open window: real wizards refuse to let Windows end."""
    steps = [step.action for step in case.steps]
    shown = any(isinstance(one, actions.InstallerRuns) and one.shows_dialog for one in steps)
    pressed = any(
        isinstance(one, actions.CustomerClicks | actions.RepClicks) and one.window == "installer restart dialog"
        for one in steps
    )
    return shown and not pressed and any(isinstance(one, actions.RepRestarts) and not one.end_programs for one in steps)


def _of_given(given: Given, need: Callable[[Capability, str], None]) -> None:
    if given.platform != "windows":
        need("mac customer" if given.platform == "mac" else "linux customer", f"given: platform {given.platform}")
    pc = given.pc
    if pc.network == "dial-up":
        need("dial", "given: dial-up")
    elif pc.network in ("wifi", "vpn"):
        need("vpn" if pc.network == "vpn" else "wifi", f"given: network {pc.network}")
    for name, capability in _PC.items():
        if getattr(pc, name):
            need(capability, f"given: pc {name.replace('_', ' ')}")
    if not pc.administrator:
        need("standard user", "given: pc administrator false")
    if pc.bitlocker != "none":
        need("bitlocker", "given: bitlocker")
    if pc.updates != "none":
        need("updates", f"given: updates {pc.updates}")
    if pc.logon != "by hand":
        need("automatic logon", f"given: logon {pc.logon}")
    if not pc.safe_mode_network:
        need("safe mode faults", "given: no network in safe mode")
    if given.customer.logs_on == "other user":
        need("other user", "given: another user logs on")
    elif given.customer.logs_on == "temporary profile":
        need("temporary profile", "given: a temporary profile")
    if given.customers > 1:
        need("several customers", f"given: {given.customers} customers")
    if any(name.startswith("pc ") for name in given.durations):
        need("fixed boot times", "given: a duration of the PC's own")


def _of_action(action: Any, number: int, need: Callable[[Capability, str], None]) -> None:
    match action:
        case actions.RepRestarts(mode="safe"):
            need("safe mode", f"step {number}: restart into safe mode")
        case actions.CustomerLogsOn(how="other user"):
            need("other user", f"step {number}: another user logs on")
        case actions.CustomerLogsOn(how="temporary profile"):
            need("temporary profile", f"step {number}: a temporary profile")
        case actions.InstallerRuns() if action.deletes_agent or action.survives_boots:
            need("installer faults", f"step {number}: an installation that damages or stays")
        case actions.InstallerRuns(shows_dialog=False):
            need("silent installer", f"step {number}: an installation without a dialog")
        case _:
            return


def too_close(case: Scenario, account: Account, resolution_us: int, scale: float) -> str:
    """Return which moment of a case lies so close to a deadline that a machine of this resolution could miss it.

    A scaled margin that is smaller than the resolution decides nothing (``docs/design.md``, *Time*). Empty: none.
    """
    margin_us = resolution_us * scale
    deadlines = {"resume window": account.resume_window_us, "restart limit": account.restart_limit_us}
    for before, after in pairwise(case.steps):
        # A line takes its time to type: which of two that come close together is in the chat first is not decided.
        both = {type(before.action), type(after.action)} == {actions.CustomerChats, actions.RepChats}
        if both and not (after.moment.when or after.moment.after or after.moment.at_us is not None):
            delay_us = after.moment.delay_us
            if delay_us < margin_us:
                return f"two lines of the chat are {delay_us / 1e6:g} s apart"
    for where, us in _moments(case):
        reaction = {"prompt time-out": account.prompt_timeout_us} if where == "reacts in" else {}
        for name, deadline_us in (deadlines | reaction).items():
            if us and abs(us - deadline_us) < margin_us:
                return f"{where} is {us / 1e6:g} s, the {name} {deadline_us / 1e6:g} s"
    return ""


def _moments(case: Scenario) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for number, step in enumerate(case.steps, 1):
        found.append((f"step {number}", int(step.moment.delay_us)))
        for name in step.action.__struct_fields__:
            value = getattr(step.action, name)
            if name.endswith("_us") and value is not None and not isinstance(step.action, actions.WallClockJumps):
                found.append((f"step {number}, {name.removesuffix('_us').replace('_', ' ')}", int(value)))
    for part in (case.given.customer, case.given.pc, case.given.rep):
        for name in part.__struct_fields__:
            value = getattr(part, name)
            if name.endswith("_us") and value is not None:
                found.append((name.removesuffix("_us").replace("_", " "), int(value)))
    found += [(name, int(us)) for name, us in case.given.durations.items()]
    return found
