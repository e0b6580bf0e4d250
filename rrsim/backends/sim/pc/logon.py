"""Who signs in at the modelled PC, and what Windows starts for them.

Order: sign-in, shell, then the autostart values of that user are taken up (those without ``!`` are deleted at that
instant), a moment later their commands are started and the desktop is usable. A power cut in between loses what was
deleted and not yet started (LO-14).
"""

from __future__ import annotations

from rrsim.backends.sim.pc import agentproc, profile, windows
from rrsim.backends.sim.pc.state import AGENT_COMMAND, OTHER, RIGHT, UNDO_COMMAND, Autostart, NotPossible
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.protocol.messages import Desktop
from rrsim.scenario.actions import SignInHow

AUTO = "auto logon"
RUN_ONCE = "run once"
COMMANDS = "run commands"


def at_welcome(t: Turn) -> None:
    """The welcome screen is up: sign in by itself if the PC does that (LO-07, LO-08, LO-10)."""
    setup = t.state.setup
    wrong = setup.logon == "automatic with wrong password"
    if t.state.probing or setup.locks_after_automatic_logon or setup.logon == "automatic" or wrong:
        t.after(AUTO, "pc auto logon")


def automatic(t: Turn) -> None:
    """Windows signs the stored user in. A wrong password is tried once, then it is left to a person (LO-07)."""
    if t.state.power.phase != "welcome":
        return
    setup = t.state.setup
    if setup.logon == "automatic with wrong password" and not t.state.probing:
        t.saw(seen.LogonFailed(RIGHT))
    else:
        _enter(t, RIGHT, lock=setup.locks_after_automatic_logon and not t.state.probing)


def sign_in(t: Turn, how: SignInHow) -> None:
    """Somebody signs in at the welcome screen, or unlocks the desktop.

    Raises:
        NotPossible: there is nowhere to sign in, or the desktop belongs to somebody else, or the harness's own restart
            is under way, which signs the right user in whatever the customer's habits are (I7).
    """
    session = t.state.session
    if t.state.probing:
        raise NotPossible(f"sign in as {how!r}: the harness's own restart signs the right user in")
    if t.state.power.phase == "desktop" and session.desktop == "locked":
        _unlock(t, how)
        return
    if t.state.power.phase != "welcome":
        raise NotPossible(
            f"sign in as {how!r}: the PC is not at the welcome screen (phase {t.state.power.phase}, signed in: "
            f"{session.user or 'nobody'}); wait for the welcome screen or log off first"
        )
    if how == "wrong password":
        t.saw(seen.LogonFailed(RIGHT))
        return
    t.forget(AUTO)
    _enter(t, OTHER if how == "other user" else RIGHT, temporary=how == "temporary profile",
           remote=how == "remote desktop")


def _enter(t: Turn, user: str, *, lock: bool = False, temporary: bool = False, remote: bool = False) -> None:
    setup = t.state.setup
    desktop: Desktop = "locked" if lock else _open_desktop(t)
    if setup.temporary_profile:
        t.setup(temporary_profile=False)
    t.session(user=user, desktop=desktop, ready=False, temporary=temporary or setup.temporary_profile, remote=remote)
    t.saw(seen.LoggedOn(user=user, desktop=desktop, right=user == RIGHT))
    t.phase("shell")
    t.after(RUN_ONCE, "pc shell")


def _open_desktop(t: Turn) -> Desktop:
    """What could be seen of an unlocked desktop; black after a restart of a PC that does that (RE-07)."""
    return "black" if t.state.setup.black_screen and t.state.power.boots > 1 else "visible"


def _unlock(t: Turn, how: SignInHow) -> None:
    session = t.state.session
    if how == "wrong password":
        t.saw(seen.LogonFailed(session.user))
    elif how in ("right user", "remote desktop") and session.user == RIGHT:
        t.session(desktop=_open_desktop(t), remote=how == "remote desktop")
        t.saw(seen.LoggedOn(user=session.user, desktop=t.state.session.desktop, right=True))
        windows.reveal(t)
        agentproc.plan_helper(t)
    else:
        raise NotPossible(f"unlock as {how!r}: the desktop is locked by {session.user}; only that user can unlock it")


def take_up_autostart(t: Turn) -> None:
    """The shell is there and takes up the autostart values of the signed-in user."""
    state = t.state
    todo = profile.plan(state.disk.entries, profile=state.session.profile, safe_mode=state.power.safe_mode,
                        administrator=state.setup.administrator and state.session.user == RIGHT)
    t.disk(entries=tuple(e for e in state.disk.entries if e not in todo.delete_now))
    t.session(starting=todo.run)
    t.after(COMMANDS, "pc autostart")


def start_commands(t: Turn) -> None:
    """The autostart commands are started and the desktop is usable."""
    starting = t.state.session.starting
    t.session(ready=True, starting=())
    t.phase("desktop")
    if t.state.setup.network == "dial-up" and t.state.setup.prompts_to_dial and not t.state.power.safe_mode:
        windows.show(t, "dial prompt")
    for entry in starting:
        _start(t, entry)
    if t.state.setup.loses_early_start and agentproc.service_may_start(t.state):
        agentproc.start(t, "service")
    agentproc.plan_helper(t)
    t.set(probing=False)


def _start(t: Turn, entry: Autostart) -> None:
    """Start one command; a value with ``!`` goes only after that.

    Our command is a launcher. Windows deletes the value when the launcher has run, so before it ends it makes sure of a
    value for the next logon; the agent takes that away when it is back in the session, or cleans up. Thus an agent that
    dies right after its start still has a way to clean up (rule 7).
    """
    ours = entry.command == AGENT_COMMAND
    if entry.command == UNDO_COMMAND and t.state.disk.flag and not agentproc.blocked(t.state, "boot flag"):
        t.disk(flag=False)
        t.saw(seen.HostCall("boot flag cleared", ok=True, detail="at the logon, by RunOnce"))
    if ours and t.state.mode == "application":
        agentproc.start(t, "autostart")
    elif not ours and profile.deferred(entry):
        t.disk(entries=tuple(e for e in t.state.disk.entries if e != entry))
