"""Calls the agent makes to its operating system, and what comes of them.

A call returns after the draw ``os call``. What it changes, it changes at that instant and before the agent is told: a
power cut or a killed process in between loses the change or leaves it whole, never half (SH-09). Every call that
returns is recorded as a host call, for the witness outside the agent.
"""

from __future__ import annotations

from typing import NamedTuple

from rrsim.agent import host
from rrsim.backends.sim.pc import agentproc, power, shutdown
from rrsim.backends.sim.pc.state import (
    AGENT_COMMAND,
    AGENT_VALUE,
    CALLS_MAX,
    UNDO_COMMAND,
    UNDO_VALUE,
    Autostart,
    Call,
    Disk,
    PcState,
    Timer,
)
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.scenario.actions import Thing

DENIED = "access denied"
UNDO = Autostart("HKLM", "RunOnce", UNDO_VALUE, UNDO_COMMAND)
TIMER = "call:"


class _Result(NamedTuple):
    """What a call returned: success with what was read, or failure with its reason."""

    ok: bool
    detail: str = ""


_DONE = _Result(True)


def asked(t: Turn, op: int, what: host.HostRequest) -> None:
    """Take up a call. A second call under the number of one that has not returned takes its place.

    A process that stands still cannot call; should a driver deliver a call all the same, it returns after the wake-up.
    """
    if not t.state.process.running:
        return
    kept = tuple(c for c in t.state.calls if c.op != op)[-(CALLS_MAX - 1):]
    t.set(calls=tuple(sorted((*kept, Call(op, what)), key=lambda c: c.op)))
    if power.runs(t.state):
        t.after(f"{TIMER}{op}", "os call")
    else:
        t.hold(Timer(f"{TIMER}{op}", "os call"))


def returned(t: Turn, op: int) -> None:
    """Call ``op`` returns now: change what it changes, record it, tell the agent."""
    call = next((c for c in t.state.calls if c.op == op), None)
    if call is None:
        return
    agentproc.forget_call(t, op)
    if isinstance(call.what, host.RequestRestart):
        _request_restart(t, op, call.what)
    elif isinstance(call.what, host.AbortRestart):
        _abort_restart(t, op)
    else:
        _answer(t, op, verb_of(call.what), _carry_out(t, call.what))


def verb_of(what: host.HostRequest) -> seen.HostVerb:
    """Name a call by what it does."""
    match what:
        case host.Save(record=record):
            return "intent saved" if record.intent else "ticket saved" if record.ticket else "record saved"
        case host.Erase():
            return "record erased"
        case host.ArmAutostart():
            return "autostart armed"
        case host.DisarmAutostart():
            return "autostart disarmed"
        case host.RegisterSafeBoot():
            return "safe boot key registered"
        case host.UnregisterSafeBoot():
            return "safe boot key removed"
        case host.ReadSafeBootKey():
            return "safe boot key read"
        case host.SetBootFlag():
            return "boot flag set"
        case host.ReadBootFlag():
            return "boot flag read"
        case host.ClearBootFlag():
            return "boot flag cleared"
        case host.RequestRestart():
            return "restart requested"
        case host.AbortRestart():
            return "restart aborted"


def _answer(t: Turn, op: int, verb: seen.HostVerb, result: _Result) -> None:
    t.saw(seen.HostCall(verb, result.ok, result.detail))
    t.tell(host.Completed(op, result.detail) if result.ok else host.Failed(op, result.detail))


def _carry_out(t: Turn, what: host.HostRequest) -> _Result:
    match what:
        case host.Save(record=record):
            return _save(t, record)
        case host.Erase():
            return _erase(t)
        case host.ArmAutostart() if t.state.mode == "service":
            return _verify_service(t.state)
        case host.ArmAutostart() | host.DisarmAutostart():
            return _write_autostart(t, arm=isinstance(what, host.ArmAutostart))
        case host.RegisterSafeBoot(own_flag=own_flag):
            return _write_safe_key(t, listed=True, own_flag=own_flag)
        case host.UnregisterSafeBoot():
            return _write_safe_key(t, listed=False)
        case host.ReadSafeBootKey():
            return _Result(True, _read_safe_key(t.state.disk))
        case host.SetBootFlag() | host.ClearBootFlag():
            return _write_flag(t, wanted=isinstance(what, host.SetBootFlag))
        case _:
            return _Result(True, "network" if t.state.disk.flag else "absent")


def _guard(state: PcState, thing: Thing) -> _Result | None:
    """Return what a security tool makes of a call that touches ``thing``, or nothing if none interferes (SE-10)."""
    how = agentproc.blocked(state, thing)
    if how == "denies":
        return _Result(False, DENIED)
    return _DONE if how == "silently" else None


def _save(t: Turn, record: host.Saved) -> _Result:
    stopped = _guard(t.state, "ticket")
    if stopped is not None:
        return stopped
    if t.state.faults.disk_full:
        return _Result(False, "disk full")
    t.disk(record=record, record_owner=t.state.process.owner, damaged=False, readable=False)
    return _DONE


def _erase(t: Turn) -> _Result:
    stopped = _guard(t.state, "ticket")
    if stopped is not None:
        return stopped
    disk = t.state.disk
    if disk.record is not None and disk.record_owner == t.state.process.owner:
        t.disk(record=None, record_owner="", damaged=False, readable=False)
    return _DONE


def _verify_service(state: PcState) -> _Result:
    """Service mode arms nothing: it verifies that the service is installed and starts by itself (BO-12)."""
    stopped = _guard(state, "service") or _guard(state, "autostart")
    if stopped is not None:
        return stopped
    return _DONE if state.disk.service else _Result(False, "the service is not installed")


def _write_autostart(t: Turn, *, arm: bool) -> _Result:
    """Write, or remove, our RunOnce value in the hive of the user the process runs as (Windows facts 1.1)."""
    if t.state.mode == "service":
        return _DONE
    stopped = _guard(t.state, "autostart")
    if stopped is not None:
        return stopped
    ours = Autostart("HKCU", "RunOnce", AGENT_VALUE, AGENT_COMMAND, t.state.process.owner)
    others = tuple(e for e in t.state.disk.entries if e != ours)
    t.disk(entries=(*others, ours) if arm else others)
    return _DONE


def _read_safe_key(disk: Disk) -> str:
    if not disk.safe_key:
        return "absent"
    return host.KEY_OWNERS if disk.safe_key_owners else host.KEY_PRESENT


def _write_safe_key(t: Turn, *, listed: bool, own_flag: bool = False) -> _Result:
    """List our service under ``SafeBoot\\Network``, or remove it: in HKLM, the service only (Windows facts 2.3).

    With the key goes, if the flag is to be ours, a RunOnce value that clears it at an administrator's logon in safe
    mode.
    """
    others = tuple(e for e in t.state.disk.entries if e != UNDO)
    if not listed and not t.state.disk.safe_key:
        t.disk(entries=others)
        return _DONE
    stopped = _guard(t.state, "safe boot key")
    if stopped is not None:
        return stopped
    if t.state.mode == "application":
        return _Result(False, DENIED)
    t.disk(
        safe_key=listed, safe_key_owners=listed and not own_flag, entries=(*others, UNDO) if own_flag else others
    )
    return _DONE


def _write_flag(t: Turn, *, wanted: bool) -> _Result:
    """Set, or remove, ``safeboot network`` in the boot configuration: administrators only (Windows facts 2.1)."""
    if not wanted and not t.state.disk.flag:
        return _DONE
    stopped = _guard(t.state, "boot flag")
    if stopped is not None:
        return stopped
    if t.state.mode == "application":
        return _Result(False, DENIED)
    if t.state.setup.no_bcdedit:
        return _Result(False, "bcdedit not found")
    t.disk(flag=wanted)
    return _DONE


def _refusal(state: PcState, *, forced: bool) -> str:
    """Return why Windows refuses our request to restart, or nothing (IN-07 to IN-10, PL-04).

    A Mac does as it is told: if anything asks it to restart, the harness must see it restart (I8).
    """
    if state.platform != "windows":
        return "a shutdown is in progress" if state.going is not None else ""
    if state.faults.no_privilege:
        return "access denied (5)"
    if state.going is not None:
        return "a shutdown is in progress (1115)"
    if state.faults.scheduled:
        return "a shutdown is scheduled already (1190)"
    if (state.faults.others or state.setup.terminal_server) and not forced:
        return "other users are signed in (1191)"
    return ""


def _request_restart(t: Turn, op: int, what: host.RequestRestart) -> None:
    reason = _refusal(t.state, forced=what.forced)
    if reason:
        _answer(t, op, "restart requested", _Result(False, reason))
        return
    t.saw(seen.HostCall("restart requested", True))
    shutdown.begin(t, "agent", by="agent", forced=what.forced, op=op)


def _abort_restart(t: Turn, op: int) -> None:
    """Take our own restart back: possible until Windows ends the session, never afterwards (rule 11)."""
    going = t.state.going
    if going is None or going.cause != "agent":
        _answer(t, op, "restart aborted", _Result(False, "no shutdown of ours is in progress (1116)"))
    elif going.stage in ("ending", "stopping"):
        _answer(t, op, "restart aborted", _Result(False, "too late: Windows is ending the session (1115)"))
    else:
        _answer(t, op, "restart aborted", _DONE)
        shutdown.stop(t, "agent")
