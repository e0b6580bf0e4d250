"""The scenario model: who, what, when, and what to expect. The same model serves YAML files and Python tests.

A scenario starts with the session *active* (or queued): the customer has asked, the representative has taken the
session and the agent has joined. Time 0 of the steps is that moment.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rrsim.protocol.messages import AgentMode, Platform
from rrsim.protocol.records import SessionKind
from rrsim.scenario.actions import AnyAction, SignInHow
from rrsim.scenario.words import Duration, Words

FORMAT = 1
"""The format version a file states after ``rrsim:``."""

VerdictName = Literal["resumed", "degraded", "expired", "refused", "cancelled", "lost", "unknown"]
Loss = Literal[
    "chat only", "wrong boot mode", "work pending", "not elevated", "locked", "black screen", "other user",
    "no sharing at the welcome screen", "late",
]
SessionEnd = Literal["queued", "active", "rebooting", "interrupted", "expired", "ended", "lost", "offline"]


class AccountSettings(Words, frozen=True, kw_only=True, omit_defaults=True):
    """Account settings a scenario changes from its profile; ``None`` keeps the profile's value."""

    restart_allowed: bool | None = None
    ask_before_restart: bool | None = None
    ask_before_sharing: bool | None = None
    auto_accept_silence: bool | None = None
    decline_ends_session: bool | None = None
    needs_viewer: bool | None = None
    queued_restart: bool | None = None
    phone_mode: bool | None = None
    window_opens: Literal["order", "announcement", "disconnect"] | None = None
    window_closes: Literal["connected", "resumed"] | None = None
    foreign_resumes: bool | None = None
    expiry_final: bool | None = None
    resume_window_us: Duration | None = None
    restart_limit_us: Duration | None = None
    prompt_timeout_us: Duration | None = None
    rep_grace_us: Duration | None = None
    idle_timeout_us: Duration | None = None


class PcSetup(Words, frozen=True, kw_only=True, omit_defaults=True):
    """What kind of PC the customer has. Everything has an ordinary default."""

    network: Literal["lan", "wifi", "vpn", "dial-up"] = "lan"
    """``wifi`` and ``vpn`` come up only after a logon; ``dial-up`` only when the customer dials."""
    prompts_to_dial: bool = True
    """Dial-up: after a logon Windows asks for the connection (R12: depending on the system)."""
    captive_portal: bool = False
    """After every boot the first connections end at a portal until the customer logs in there (NE-05)."""
    administrator: bool = True
    """The customer's user is a member of Administrators."""
    fast_startup: bool = False
    logon: Literal["by hand", "automatic", "automatic but ignored", "automatic with wrong password"] = "by hand"
    """``automatic`` is the owner's own setting and stays (LO-07, LO-08)."""
    locks_after_automatic_logon: bool = False
    """Windows signs the last user in by itself and locks (LO-10)."""
    temporary_profile: bool = False
    """At the next logon Windows loads a temporary profile: per-user autostart is missing (LO-12)."""
    bitlocker: Literal["none", "pin", "asks after boot change"] = "none"
    bios_password: bool = False
    updates: Literal["none", "short", "long", "second restart"] = "none"
    """Work on updates during the next boot (BO-01, BO-03)."""
    safe_boot_set_by_owner: bool = False
    """The owner has set the safe-boot flag: it must stay (rule 7)."""
    safe_mode_network: bool = True
    """Whether the network card works in safe mode (SM-11)."""
    safe_mode_hangs: bool = False
    """Safe mode shows a black screen and nothing starts (SM-15)."""
    no_bcdedit: bool = False
    """An old or 32-bit view of Windows: the flag cannot be set (SM-08, PL-03)."""
    service_misses_start_limit: bool = False
    """A loaded boot: the service misses its 30 s and is started by the recovery action (BO-08)."""
    service_stays_stopped: bool = False
    """The agent's service does not come up at the next boot (BO-10)."""
    loses_elevation: bool = False
    """After the restart the agent runs without the rights it had (LO-15)."""
    loses_early_start: bool = False
    """The service comes up only after a logon (BO-11)."""
    black_screen: bool = False
    """After the restart the captured picture stays black (RE-07)."""
    terminal_server: bool = False
    """Others work on the same machine (PL-04)."""
    forgets_identity: bool = False
    """After the restart the machine gives itself another identity (BO-14, NE-10)."""
    wifi_returns_after_us: Duration | None = None
    """How long after logon Wi-Fi takes; drawn if not given (NE-02)."""


class CustomerHabits(Words, frozen=True, kw_only=True, omit_defaults=True):
    """What the customer does by themselves when something asks for it. Steps can do more, at exact moments."""

    at_restart_prompt: Literal["yes", "no", "ignore"] = "yes"
    at_sharing_prompt: Literal["yes", "no", "ignore"] = "yes"
    logs_on: SignInHow | Literal["nobody"] = "right user"
    logs_on_after_us: Duration | None = None
    """From the welcome screen; drawn if not given."""
    wrong_passwords_first: int = 0
    dials: Literal["by hand", "never"] = "by hand"
    dials_after_us: Duration | None = None
    """From the desktop being usable; drawn if not given."""
    redials: int = 2
    """How often the customer tries again after BUSY or NO CARRIER."""
    at_block_screen: Literal["wait", "cancel", "restart anyway"] = "wait"
    types_start_up_secret: bool = True
    logs_in_to_portal: bool = True
    starts_vpn: bool = True
    cancels_reconnect: bool = False
    reacts_in_us: Duration | None = None
    """Reaction time at every prompt; drawn if not given."""


class RepHabits(Words, frozen=True, kw_only=True, omit_defaults=True):
    """What the representative does by themselves."""

    confirms: Literal["yes", "no", "ignore"] = "yes"
    takes_session: bool = True
    shares_screen: bool = True
    """The screen is being shared when the steps begin."""
    reacts_in_us: Duration | None = None


class Given(Words, frozen=True, kw_only=True, omit_defaults=True):
    """Who takes part, and how things stand when the steps begin."""

    agent: AgentMode = "application"
    platform: Platform = "windows"
    session: Literal["active", "queued"] = "active"
    kind: SessionKind = "standard"
    profile: str = "gotoassist-corporate"
    account: AccountSettings = AccountSettings()
    pc: PcSetup = PcSetup()
    customer: CustomerHabits = CustomerHabits()
    rep: RepHabits = RepHabits()
    customers: int = 1
    """How many customers with the same set-up, each in a session of their own with the same representative (RE-11)."""
    durations: dict[str, Duration] = {}
    """Named draws fixed by hand, such as ``pc firmware: 12s`` (``docs/scenarios.md`` lists the names)."""


class Moment(Words, frozen=True, kw_only=True, omit_defaults=True):
    """When a step happens. Exactly one of ``at``, ``after``, ``when``; none means: together with the step before
    (the first step: at 1 s)."""

    at_us: Duration | None = None
    """Time since the steps began."""
    after: str | None = None
    """Name of an earlier step that must have been done."""
    when: str | None = None
    """An event: the tag of an observation, a record, or ``message TYPE``."""
    where: dict[str, str | int | bool] = {}
    """Fields the event must have."""
    nth: int = 1
    """The n-th such event since the steps began (or since step ``after`` was done, if both are given)."""
    delay_us: Duration = Duration(0)
    """How long after that moment."""
    called: str = ""
    """A name other steps can refer to."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """One action at one moment."""

    moment: Moment
    action: AnyAction


class ExpectedRestart(Words, frozen=True, kw_only=True, omit_defaults=True):
    """What must have come of one restart."""

    verdict: VerdictName
    name: str = ""
    """The restart's name as given by its step; otherwise the order in the list counts."""
    kind: Literal["ordered", "foreign"] | None = None
    losses: tuple[Loss, ...] | None = None
    reason: str | None = None
    """A word the reason must contain."""
    no_later_than_us: Duration | None = None
    """From the order to the verdict."""
    no_earlier_than_us: Duration | None = None


class ExpectedEvent(Words, frozen=True, kw_only=True, omit_defaults=True):
    """An event that must, or must not, be in the history."""

    event: str
    where: dict[str, str | int | bool] = {}
    times: int | None = None
    """Exactly this often; not given: at least once; 0: never."""
    before: str | None = None
    """Must happen before the first event of this kind."""


class Expect(Words, frozen=True, kw_only=True, omit_defaults=True):
    """What must hold at the end. The invariants I1–I13 are always checked besides."""

    verdict: VerdictName | None = None
    """Short form for exactly one restart."""
    losses: tuple[Loss, ...] | None = None
    """With ``verdict``: exactly these losses."""
    reason: str | None = None
    """With ``verdict``: a word the reason must contain."""
    restarts: tuple[ExpectedRestart, ...] | None = None
    """All restarts, in order; an empty list: no restart at all."""
    session: SessionEnd | None = None
    """State of the session when the steps are over and faults are healed, before the harness winds down."""
    boots: int | None = None
    """How often the PC booted anew during the steps."""
    asked: tuple[Literal["restart", "sharing"], ...] | None = None
    """Which questions the customer was asked, in order."""
    sharing: bool | None = None
    """Whether the screen is shared at the end."""
    offered: dict[Literal["restart", "safe mode"], bool] | None = None
    """Which controls the representative's console offered before the first restart was asked."""
    left_behind: tuple[str, ...] | None = None
    """Residue that is expected although it breaks rule 7, for scenarios about tampering; normally not given."""
    events: tuple[ExpectedEvent, ...] = ()
    broken_invariant: str | None = None
    """For found bugs and the harness's own tests: this invariant must fail."""


class Scenario(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One case, ready to run: a file without a matrix gives one, a matrix gives several."""

    name: str
    case: str = ""
    """Which combination of the matrix, such as ``back=9m59.999s``; empty without a matrix."""
    about: str = ""
    area: str = ""
    """The folder under ``scenarios/``."""
    path: str = ""
    line: int = 1
    covers: tuple[str, ...] = ()
    """Requirement ids, rules and invariants."""
    edge_cases: tuple[str, ...] = ()
    given: Given = Given()
    steps: tuple[Step, ...] = ()
    expect: Expect = Expect()
    runs_for_us: int | None = None
    """How long the steps' phase lasts at most; normally until everything is quiet."""
    meta: dict[str, str] = {}
    """Free fields (owner, tracker key) that pass into JUnit and JSON."""

    @property
    def id(self) -> str:
        """Unique name of the case: ``name`` or ``name[case]``."""
        return f"{self.name}[{self.case}]" if self.case else self.name
