"""The one way into the world: everything a scenario step, a swarm plan or a search move can do.

Each action is a frozen struct whose tag is the phrase after ``do:`` in a scenario file. The same structs are the
inputs of the modelled PC, network and people in the simulator, and the commands of the live backends.
``customer`` names the customer (1, 2, …) whose side is meant when a scenario has several.
"""

from __future__ import annotations

from typing import Literal

from rrsim.protocol.messages import BootMode, Place
from rrsim.scenario.words import Duration, Words

Dialog = Literal["windows restart dialog", "installer restart dialog"]
SignInHow = Literal["right user", "other user", "wrong password", "temporary profile", "remote desktop"]
Thing = Literal["agent", "ticket", "autostart", "safe boot key", "boot flag", "service"]


class Action(Words, frozen=True, tag_field="do", kw_only=True):
    """Base of all actions."""

    customer: int = 1


# --- the representative -----------------------------------------------------------------------------------------


class RepTakes(Action, frozen=True, tag="rep takes the session"):
    """Take the session from the queue."""


class RepRestarts(Action, frozen=True, tag="rep restarts"):
    """Use a restart control (R3). Confirming, or not, follows ``given: rep``."""

    from_: Place = "chat window"
    mode: BootMode = "normal"
    end_programs: bool = False
    """End programs that refuse to close (SH-04)."""
    bypass_controls: bool = False
    """Send the request although the console does not offer it (R2, R10: the server must refuse)."""
    rep: str = ""
    """Which representative; empty: the one who has the session."""
    name: str = ""
    """A name for this restart, to expect its verdict by."""


class RepChats(Action, frozen=True, tag="rep chats"):
    """Type a line."""

    text: str = "hello from the representative"


class RepEnds(Action, frozen=True, tag="rep ends the session"):
    """End the session (rule 13)."""


class RepTransfers(Action, frozen=True, tag="rep transfers the session"):
    """Hand the session to another representative (RE-03)."""

    to: str = "rep-2"


class RepStartsSharing(Action, frozen=True, tag="rep starts screen sharing"):
    """Ask for the screen; before a restart the customer's click is not asked again."""


class RepStopsSharing(Action, frozen=True, tag="rep stops screen sharing"):
    """Stop looking at the screen."""


class RepConsoleLost(Action, frozen=True, tag="rep console is lost"):
    """The console's connection ends (RE-02)."""


class RepConsoleReturns(Action, frozen=True, tag="rep console returns"):
    """The console is connected again."""


class RepClicks(Action, frozen=True, tag="rep clicks"):
    """Press a button on the customer's screen by remote control (R6)."""

    window: Dialog = "windows restart dialog"
    button: Literal["restart", "later"] = "restart"


class RepTypesPassword(Action, frozen=True, tag="rep types the password"):
    """Sign in at the remote welcome screen, service mode (LO-11)."""

    right: bool = True


# --- the customer -----------------------------------------------------------------------------------------------


class CustomerStartsSupport(Action, frozen=True, tag="customer asks for support"):
    """Send a new support request and join the new session once it is there (R13)."""


class CustomerChats(Action, frozen=True, tag="customer chats"):
    """Type a line."""

    text: str = "hello from the customer"


class CustomerClosesChat(Action, frozen=True, tag="customer closes the chat window"):
    """Press the close button and then answer *keep the session open?* (R5, rule 12)."""

    leaves: Literal["yes", "no", "silence"] = "yes"
    """``yes``: really leave. ``no``: stay. ``silence``: no answer, which means stay."""


class CustomerClicks(Action, frozen=True, tag="customer clicks"):
    """Press a button in a Windows or installer restart dialog (R6)."""

    window: Dialog = "windows restart dialog"
    button: Literal["restart", "later"] = "restart"


class CustomerAnswers(Action, frozen=True, tag="customer answers"):
    """Answer a prompt of the agent now; reported as impossible if that prompt never appears."""

    prompt: Literal["restart prompt", "sharing prompt", "leave prompt"]
    answer: Literal["yes", "no"]


class CustomerRestartsFromStart(Action, frozen=True, tag="customer restarts from the start menu"):
    """Start > Restart (IN-03)."""


class CustomerShutsDown(Action, frozen=True, tag="customer shuts the pc down"):
    """Start > Shut down; with fast startup on, the next power-on is no new boot (SH-07, BO-07)."""


class CustomerPowersOn(Action, frozen=True, tag="customer switches the pc on"):
    """Press the power button of a PC that is off."""


class CustomerLogsOn(Action, frozen=True, tag="customer logs on"):
    """Sign in now, whatever ``given: customer`` says."""

    how: SignInHow = "right user"


class CustomerLogsOff(Action, frozen=True, tag="customer logs off"):
    """Sign out: application-mode agents end without a restart (rule 14)."""


class CustomerUnlocks(Action, frozen=True, tag="customer unlocks the screen"):
    """Type the password at a locked desktop (LO-10)."""


class CustomerDials(Action, frozen=True, tag="customer dials"):
    """Dial the internet provider by hand (R12)."""


class CustomerHangsUp(Action, frozen=True, tag="customer hangs up"):
    """Close the dial-up connection."""


class CustomerCancelsReconnect(Action, frozen=True, tag="customer cancels the reconnect"):
    """Phone mode (R11); reported as impossible if the option never appears."""


class CustomerAtBlockScreen(Action, frozen=True, tag="customer decides at the block screen"):
    """An application holds the shutdown up: cancel it, or end the application (SH-01, SH-02)."""

    choice: Literal["cancel", "restart anyway"] = "cancel"


class CustomerTypesSecret(Action, frozen=True, tag="customer types the start-up secret"):
    """BitLocker PIN, recovery key, BIOS or disk password (BO-05, BO-06)."""


class CustomerLogsInToPortal(Action, frozen=True, tag="customer logs in to the portal"):
    """Open the captive portal's page and log in (NE-05)."""


class CustomerStartsVpn(Action, frozen=True, tag="customer starts the vpn"):
    """Bring the tunnel up (NE-03)."""


class CustomerQuitsAgent(Action, frozen=True, tag="customer removes the agent service"):
    """The service registration is gone while the program still runs (BO-12)."""


# --- the PC -----------------------------------------------------------------------------------------------------


class PowerCut(Action, frozen=True, tag="power is cut"):
    """No electricity; nothing is flushed."""

    returns_after_us: Duration | None = None
    """When power returns and the PC starts by itself; never, if not given (until faults are healed)."""


class PowerReturns(Action, frozen=True, tag="power returns"):
    """Electricity is back and the PC starts."""


class PcCrashes(Action, frozen=True, tag="pc crashes"):
    """Blue screen, then a restart nobody asked for."""


class PcSleeps(Action, frozen=True, tag="pc sleeps"):
    """Sleep or hibernation; no new boot follows (SH-08)."""

    wakes_after_us: Duration | None = None


class PcWakes(Action, frozen=True, tag="pc wakes"):
    """End of sleep."""


class WindowsAsksRestart(Action, frozen=True, tag="windows shows a restart dialog"):
    """Windows' own restart dialog appears and stays until somebody clicks (R6)."""


class InstallerRuns(Action, frozen=True, tag="installer runs"):
    """An installation ends with work pending for the next boot (R14)."""

    shows_dialog: bool = True
    deletes_agent: bool = False
    """The pending work removes the agent at the next boot (SH-10)."""
    survives_boots: int = 0
    """How many boots the pending marker outlives; 0: the next boot finishes the work."""


class WindowsUpdateRestarts(Action, frozen=True, tag="windows update restarts"):
    """A restart that Windows Update begins by itself."""


class OtherSchedules(Action, frozen=True, tag="another program schedules a restart"):
    """``shutdown /r /t`` by somebody else: our request meets 1190 (IN-07)."""

    in_us: Duration = Duration(120_000_000)


class AppBlocks(Action, frozen=True, tag="an application blocks the shutdown"):
    """An unsaved document refuses ``WM_QUERYENDSESSION`` (SH-01)."""


class AppLetsGo(Action, frozen=True, tag="the application lets go"):
    """The document is saved."""


class DiskFills(Action, frozen=True, tag="the disk fills up"):
    """No further write succeeds (BO-13)."""


class DiskHasRoom(Action, frozen=True, tag="the disk has room again"):
    """Undo."""


class ToolBlocks(Action, frozen=True, tag="a security tool blocks"):
    """Calls that touch this thing fail with access denied (SE-10)."""

    thing: Thing
    silently: bool = False
    """Report success and do nothing (SM-03, SM-08)."""


class ToolAllows(Action, frozen=True, tag="the security tool allows everything"):
    """Undo."""


class ToolDeletes(Action, frozen=True, tag="a security tool deletes"):
    """Remove the thing now (BO-09, BO-14)."""

    thing: Thing


class RecordDamaged(Action, frozen=True, tag="the agent's record is damaged"):
    """What the agent saved cannot be read any more (SH-09)."""


class PrivilegeTaken(Action, frozen=True, tag="the shutdown privilege is missing"):
    """Requesting a restart fails with access denied (IN-09)."""


class PrivilegeGiven(Action, frozen=True, tag="the shutdown privilege is back"):
    """Undo."""


class OthersSignedIn(Action, frozen=True, tag="another user is signed in too"):
    """Requesting a restart fails with 1191 unless forced (IN-10)."""


class AgentDies(Action, frozen=True, tag="the agent process dies"):
    """No new boot; in service mode Windows starts the service again (rule 14)."""

    restarts: bool = True


class HelperDies(Action, frozen=True, tag="the desktop helper dies"):
    """Service mode; it is started again (rule 14)."""


class ChatDestroyedAction(Action, frozen=True, tag="the chat window is destroyed"):
    """By Windows, by Restart Manager during an installation, or by a crash (rule 12)."""

    by: Literal["windows", "restart manager", "crash"] = "restart manager"


class WallClockJumps(Action, frozen=True, tag="the wall clock jumps"):
    """The PC's wall clock changes; monotonic time does not (rule 1, NE-14)."""

    by_us: Duration
    back: bool = False


class TicketReadable(Action, frozen=True, tag="the saved record becomes readable by everyone"):
    """Somebody loosens the file's protection: the harness must see it (SE-03)."""


# --- the network ------------------------------------------------------------------------------------------------


class CablePulled(Action, frozen=True, tag="the network goes down"):
    """Cable out, Wi-Fi gone, line dead: both ends notice sooner or later."""

    returns_after_us: Duration | None = None


class CablePlugged(Action, frozen=True, tag="the network comes back"):
    """Undo."""


class ConnectionDrops(Action, frozen=True, tag="the connection drops"):
    """The one connection ends; a new one may be made at once (LO-16)."""


class ConnectionStalls(Action, frozen=True, tag="the connection stalls"):
    """Nothing passes, nothing is lost."""

    for_us: Duration = Duration(20_000_000)


class ConnectionHalfOpen(Action, frozen=True, tag="the connection is half open"):
    """Nothing passes and neither end is told (NE-08)."""


class ServerRefuses(Action, frozen=True, tag="the server refuses connections"):
    """TCP refused, until it accepts again."""


class ServerAccepts(Action, frozen=True, tag="the server accepts connections"):
    """Undo."""


class DnsFails(Action, frozen=True, tag="dns fails"):
    """The server's name does not resolve (NE-13)."""


class DnsWorks(Action, frozen=True, tag="dns works again"):
    """Undo."""


class Impostor(Action, frozen=True, tag="an impostor answers for the server"):
    """Another server answers; its certificate does not verify (SE-11)."""


class ImpostorGone(Action, frozen=True, tag="the impostor is gone"):
    """Undo."""


class LineBusy(Action, frozen=True, tag="the line is busy"):
    """Dial-up: further calls get BUSY."""


class LineDead(Action, frozen=True, tag="the line is dead"):
    """Dial-up: no dial tone."""


class LineWorks(Action, frozen=True, tag="the line works"):
    """Undo."""


class CarrierLost(Action, frozen=True, tag="the carrier is lost"):
    """Dial-up: the call drops; it must be dialled again."""


# --- the server, and strangers ----------------------------------------------------------------------------------


class ServerRestarts(Action, frozen=True, tag="the server restarts"):
    """The session server is killed and comes back from its journal (NE-12)."""

    down_for_us: Duration = Duration(20_000_000)


class StrangerPresentsTicket(Action, frozen=True, tag="a stranger presents the ticket"):
    """Somebody else offers the latest ticket (SE-01, SE-02, SE-05)."""

    machine: Literal["another machine", "the same machine"] = "another machine"
    boot: Literal["new", "old"] = "new"


class SecondConnection(Action, frozen=True, tag="a second endpoint joins"):
    """The same machine's second process tries to join the session too (RE-05)."""


class Wait(Action, frozen=True, tag="wait"):
    """Do nothing; gives a moment a name, or keeps the run going until a time."""


AnyAction = (
    RepTakes | RepRestarts | RepChats | RepEnds | RepTransfers | RepStartsSharing | RepStopsSharing | RepConsoleLost
    | RepConsoleReturns | RepClicks | RepTypesPassword | CustomerStartsSupport | CustomerChats | CustomerClosesChat
    | CustomerClicks | CustomerAnswers | CustomerRestartsFromStart | CustomerShutsDown | CustomerPowersOn
    | CustomerLogsOn | CustomerLogsOff | CustomerUnlocks | CustomerDials | CustomerHangsUp | CustomerCancelsReconnect
    | CustomerAtBlockScreen | CustomerTypesSecret | CustomerLogsInToPortal | CustomerStartsVpn | CustomerQuitsAgent
    | PowerCut | PowerReturns | PcCrashes | PcSleeps | PcWakes | WindowsAsksRestart | InstallerRuns
    | WindowsUpdateRestarts | OtherSchedules | AppBlocks | AppLetsGo | DiskFills | DiskHasRoom | ToolBlocks | ToolAllows
    | ToolDeletes | RecordDamaged | PrivilegeTaken | PrivilegeGiven | OthersSignedIn | AgentDies | HelperDies
    | ChatDestroyedAction | WallClockJumps | TicketReadable | CablePulled | CablePlugged | ConnectionDrops
    | ConnectionStalls | ConnectionHalfOpen | ServerRefuses | ServerAccepts | DnsFails | DnsWorks | Impostor
    | ImpostorGone | LineBusy | LineDead | LineWorks | CarrierLost | ServerRestarts | StrangerPresentsTicket
    | SecondConnection | Wait
)
