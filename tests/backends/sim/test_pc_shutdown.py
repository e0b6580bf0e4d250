"""Restarts asked, refused, blocked, taken back, begun by others; shutdown and fast startup; power, crash, sleep."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import NotPossible, runs
from rrsim.machine import observations as seen
from rrsim.scenario import actions as do
from rrsim.scenario.words import Duration
from tests.backends.sim.pc_driver import Pc, record


def requested(pc: Pc, *, forced: bool = False) -> Pc:
    """The agent asks for a restart and the call returns."""
    return pc.call(host.RequestRestart(forced), op=9)


@pytest.mark.parametrize(
    ("fault", "setup", "reason", "force_helps"),
    [
        (do.PrivilegeTaken(), {}, "access denied (5)", False),
        (do.OtherSchedules(), {}, "1190", False),
        (do.OthersSignedIn(), {}, "1191", True),
        (do.Wait(), {"terminal_server": True}, "1191", True),
        (do.CustomerRestartsFromStart(), {}, "1115", False),
    ],
)
def test_windows_refuses_the_request(fault: Any, setup: dict[str, Any], reason: str, force_helps: bool) -> None:
    pc = Pc(**setup).started()
    if not isinstance(fault, do.Wait):
        pc.give(fault)
    requested(pc)
    assert [f.reason for f in pc.told(host.Failed) if reason in f.reason]
    call = pc.seen(seen.HostCall)[-1]
    assert (call.verb, call.ok) == ("restart requested", False)
    requested(pc, forced=True)
    assert (pc.seen(seen.HostCall)[-1].ok) is force_helps


def test_request_is_accepted_before_windows_asks_the_programs() -> None:
    pc = requested(Pc().started())
    assert pc.told(ever=False) == [host.Completed(9), host.QueryEndSession("shutdown")]
    assert pc.seen(seen.RestartBegan) == [seen.RestartBegan("agent", "agent", False)]
    pc.fire("shutdown")
    assert pc.told(ever=False) == [host.SessionEnding()]
    assert pc.seen(seen.SessionEnds) == [seen.SessionEnds("agent")]
    assert pc.kills() == []
    pc.fire("shutdown")
    assert pc.kills() == ["windows goes down"]


def blocked() -> Pc:
    """A restart that an application holds up."""
    pc = requested(Pc().started().give(do.AppBlocks())).fire("shutdown")
    assert pc.seen(seen.RestartBlocked)
    assert seen.WindowShown("block screen", "unsaved document") in pc.seen()
    return pc


def test_forced_restart_is_not_blocked_and_asks_nobody() -> None:
    pc = requested(Pc().started().give(do.AppBlocks()), forced=True).fire("shutdown")
    assert not pc.seen(seen.RestartBlocked)
    assert pc.seen(seen.SessionEnds)
    assert not pc.told(host.QueryEndSession)


@pytest.mark.parametrize("by", ["customer", "windows", "agent"])
def test_blocked_restart_is_taken_back(by: Any) -> None:
    pc = blocked()
    if by == "customer":
        pc.give(do.CustomerAtBlockScreen(choice="cancel"))
    elif by == "windows":
        pc.fire("shutdown")
    else:
        pc.call(host.AbortRestart(), op=2)
    assert pc.seen(seen.RestartStopped) == [seen.RestartStopped(by)]
    assert pc.told(host.EndSessionCancelled) == [host.EndSessionCancelled(by)]
    assert pc.phase == "desktop"
    assert pc.timers == ()
    assert pc.state.going is None
    assert seen.WindowGone("block screen", by) in pc.seen()


@pytest.mark.parametrize("way", ["restart anyway", "lets go"])
def test_blocked_restart_goes_on(way: str) -> None:
    pc = blocked()
    pc.give(do.CustomerAtBlockScreen(choice="restart anyway") if way == "restart anyway" else do.AppLetsGo())
    assert pc.seen(seen.SessionEnds) == [seen.SessionEnds("agent")]
    pc.settle(until="welcome")
    assert len(pc.seen(seen.BootBegan)) == 1
    assert not pc.state.faults.app


def test_abort_is_too_late_once_the_session_ends_and_void_without_a_restart() -> None:
    pc = Pc().started().call(host.AbortRestart(), op=2)
    assert "1116" in pc.told(host.Failed)[-1].reason
    requested(pc).fire("shutdown").call(host.AbortRestart(), op=2)
    assert "too late" in pc.told(host.Failed)[-1].reason


def test_abort_leaves_a_restart_of_others_alone() -> None:
    pc = Pc().started().give(do.CustomerRestartsFromStart()).call(host.AbortRestart(), op=2)
    assert not pc.seen(seen.RestartStopped)
    assert pc.told(host.Failed)


def rep_clicks(pc: Pc) -> Pc:
    """The rep clicks Windows' dialog by remote control."""
    return pc.give(do.WindowsAsksRestart()).give(parts.UiAsked(host.Capture(True))).give(do.RepClicks())


@pytest.mark.parametrize(
    ("begin", "cause"),
    [
        (lambda pc: pc.give(do.WindowsAsksRestart()).give(do.CustomerClicks()), "windows dialog"),
        (rep_clicks, "windows dialog"),
        (lambda pc: pc.give(do.InstallerRuns()).give(do.CustomerClicks(window="installer restart dialog")),
         "installer"),
        (lambda pc: pc.give(do.CustomerRestartsFromStart()), "start menu"),
        (lambda pc: pc.give(do.WindowsUpdateRestarts()), "windows update"),
        (lambda pc: pc.give(do.OtherSchedules(in_us=Duration(5))).fire("scheduled"), "other program"),
        (lambda pc: pc.give(parts.Probe()), "probe"),
        (requested, "agent"),
    ],
)
def test_cause_follows_who_began_it(begin: Any, cause: str) -> None:
    pc = begin(Pc().started()).settle(until="welcome", skip=("auto logon",))
    assert [r.cause for r in pc.seen(seen.RestartBegan)] == [cause]
    assert [e.cause for e in pc.seen(seen.SessionEnds)] == [cause]
    assert [(d.cause, d.clean) for d in pc.seen(seen.WentDown)] == [(cause, True)]
    assert [b.cause for b in pc.seen(seen.BootBegan)] == [cause]


def test_second_request_keeps_the_first_cause() -> None:
    pc = requested(Pc().started().give(do.WindowsAsksRestart())).give(do.CustomerClicks())
    pc.give(do.WindowsUpdateRestarts()).settle(until="welcome")
    assert [b.cause for b in pc.seen(seen.BootBegan)] == ["agent"]


def test_open_restart_dialog_does_not_hinder_the_agents_restart() -> None:
    pc = requested(Pc().started().give(do.WindowsAsksRestart())).settle(until="welcome")
    assert seen.WindowGone("windows restart dialog", "windows") in pc.seen()


def test_later_leaves_everything_as_it_is() -> None:
    pc = Pc().started().give(do.WindowsAsksRestart()).give(do.CustomerClicks(button="later"))
    assert pc.phase == "desktop"
    assert pc.state.screen.windows == ()
    assert not pc.seen(seen.RestartBegan)


def test_shutdown_stays_off_until_switched_on() -> None:
    pc = Pc().started().give(do.CustomerShutsDown()).settle()
    assert pc.phase == "off"
    assert not pc.seen(seen.RestartBegan)
    pc.give(do.CustomerPowersOn()).settle()
    assert [(b.boot, b.cause) for b in pc.seen(seen.BootBegan)] == [("boot-2", "power button")]


def test_fast_startup_keeps_kernel_and_service() -> None:
    pc = Pc("service", fast_startup=True).started().give(parts.HostAsked(5, host.ReadBootFlag()))
    pc.give(do.CustomerShutsDown()).settle(skip=("call:5",))
    assert pc.phase == "off"
    assert pc.state.process.running
    assert not runs(pc.state)
    assert pc.kills() == []
    assert not pc.told(host.SessionEnding)
    assert pc.told(host.HelperGone)
    pc.give(do.CustomerPowersOn()).settle(until="welcome")
    assert not pc.seen(seen.BootBegan)
    assert pc.seen(seen.WokeUp) == [seen.WokeUp("boot-1", "fast startup")]
    assert len(pc.starts()) == 1
    assert pc.timers == ("call:5",)
    assert runs(pc.state)


def test_fast_startup_is_for_shutdown_only_and_ends_application_agents() -> None:
    pc = Pc(fast_startup=True).started().give(do.CustomerShutsDown()).settle()
    assert pc.kills() == ["windows goes down"]
    assert pc.told(host.SessionEnding)
    pc.give(do.CustomerPowersOn()).settle().at_desktop()
    assert not pc.seen(seen.BootBegan)
    pc.give(do.CustomerRestartsFromStart()).settle(until="welcome")
    assert len(pc.seen(seen.BootBegan)) == 1


def test_power_cut_loses_what_was_not_on_disk_yet() -> None:
    pc = Pc().started().give(parts.HostAsked(1, host.Save(record()))).give(do.PowerCut())
    assert pc.state.disk.record is None
    assert pc.state.calls == ()
    assert pc.timers == ()
    assert pc.kills()
    assert pc.seen(seen.WentDown) == [seen.WentDown("power", False)]
    assert pc.phase == "off"
    with pytest.raises(NotPossible, match="no electricity"):
        pc.give(do.CustomerPowersOn())
    pc.give(do.PowerReturns()).settle(until="welcome")


def test_power_returns_by_itself() -> None:
    pc = Pc().give(do.PowerCut(returns_after_us=Duration(7)))
    assert parts.After("mains", "", 7) in pc.effects
    pc.settle(until="welcome")
    assert pc.seen(seen.BootBegan)[0].cause == "power"


def test_power_cut_while_windows_goes_down_is_the_later_cause() -> None:
    pc = requested(Pc().started()).fire("shutdown").give(do.PowerCut()).give(do.PowerReturns()).settle(until="welcome")
    assert pc.seen(seen.WentDown) == [seen.WentDown("power", False)]


def test_crash_restarts_by_itself() -> None:
    pc = Pc().started().give(do.PcCrashes()).settle(until="welcome")
    assert pc.kills() == ["crash"]
    assert pc.seen(seen.WentDown) == [seen.WentDown("crash", False)]
    assert pc.seen(seen.BootBegan)[0].cause == "crash"
    with pytest.raises(NotPossible, match="no Windows"):
        Pc().give(do.CustomerShutsDown()).settle().give(do.PcCrashes())


def test_sleep_stops_everything_and_is_no_boot() -> None:
    pc = Pc().started().give(parts.HostAsked(1, host.ReadBootFlag())).give(do.PcSleeps(wakes_after_us=Duration(9)))
    assert pc.timers == ("wake",)
    assert not runs(pc.state)
    pc.fire("wake")
    assert pc.phase == "desktop"
    assert pc.timers == ("call:1",)
    assert pc.seen(seen.WokeUp) == [
        seen.WokeUp("boot-1", "sleep")]
    pc.give(do.PcSleeps()).give(do.PcWakes())
    with pytest.raises(NotPossible, match="not asleep"):
        pc.give(do.PcWakes())


def test_mac_restarts_when_told_whatever_would_stop_windows() -> None:
    pc = Pc(platform="mac").started().give(do.PrivilegeTaken()).give(do.OthersSignedIn())
    assert pc.starts()[0].facts.platform == "mac"
    requested(pc).settle(until="welcome")
    assert [r.cause for r in pc.seen(seen.RestartBegan)] == ["agent"]


@pytest.mark.parametrize("mode", ["application", "service"])
def test_restart_asked_during_logon_waits_for_neither(mode: Any) -> None:
    pc = Pc(mode).started().restarted().give(parts.SignIn("right user"))
    pc.give(do.WindowsUpdateRestarts())
    assert pc.phase == "shutdown asked"
    pc.fire("run once")
    assert "run once" not in pc.timers, "the logon stands back while Windows is asked to restart"
    pc.fire("shutdown").settle(until="welcome")
    assert pc.state.session.user == ""


def test_logon_goes_on_when_the_restart_is_taken_back() -> None:
    pc = Pc("service").started().restarted().settle().give(parts.SignIn("right user"))
    requested(pc).fire("run once").call(host.AbortRestart(), op=2)
    assert pc.phase == "shell"
    assert pc.timers == ("run once",)
    pc.settle(until="desktop")
