"""Boot, boot identity, safe mode, updates, services, start-up secrets."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import NotPossible
from rrsim.machine import observations as seen
from rrsim.scenario import actions as do
from tests.backends.sim.pc_driver import Pc, record


def test_initial_pc_runs_and_waits_for_the_customer() -> None:
    pc = Pc()
    assert (pc.phase, pc.state.boot, pc.state.session.user, pc.state.process.running) == (
        "desktop", "boot-1", "customer", False)
    hash(pc.state)


def test_restart_changes_the_boot_mark_once_and_says_who_began_it() -> None:
    pc = Pc().started().restarted()
    assert [(b.boot, b.cause, b.safe_mode) for b in pc.seen(seen.BootBegan)] == [("boot-2", "agent", False)]
    assert pc.seen(seen.WentDown) == [seen.WentDown("agent", True)]
    phases = [p.phase for p in pc.seen(seen.PhaseBegan)]
    assert phases == ["shutdown asked", "shutting down", "firmware", "loading", "services", "welcome"]


def test_safe_boot_flag_stays_until_it_is_cleared() -> None:
    pc = Pc("service").started()
    pc.call(host.RegisterSafeBoot()).call(host.SetBootFlag())
    pc.restarted().settle()
    assert pc.state.power.safe_mode
    assert pc.starts()[-1].facts.safe_mode
    pc.restarted().settle()
    assert pc.state.power.safe_mode, "the flag is sticky: the second boot is safe too"
    pc.call(host.ClearBootFlag()).restarted().settle()
    assert not pc.state.power.safe_mode
    assert [b.safe_mode for b in pc.seen(seen.BootBegan)] == [True, True, False]


def test_service_not_listed_does_not_start_in_safe_mode() -> None:
    pc = Pc("service").started().call(host.SetBootFlag()).restarted().settle()
    assert len(pc.starts()) == 1
    assert not pc.state.process.running


def test_nobody_can_start_a_service_in_safe_mode_without_its_key() -> None:
    """Windows says ERROR_NOT_SAFEBOOT_SERVICE, whoever asks; a program of the customer's it starts."""
    pc = Pc("service").started().call(host.SetBootFlag()).restarted().at_desktop()
    with pytest.raises(NotPossible, match="in safe mode without its key"):
        pc.started()
    own = Pc("application").started().call(host.SetBootFlag()).restarted().at_desktop().started()
    assert own.state.process.running


def test_safe_mode_that_hangs_never_reaches_the_welcome_screen() -> None:
    pc = Pc("service", safe_mode_hangs=True).started().call(host.SetBootFlag())
    pc.call(host.RequestRestart(False)).settle()
    assert pc.phase == "loading"
    assert pc.timers == ()


@pytest.mark.parametrize(("updates", "boots", "long"), [("short", 1, False), ("long", 1, True),
                                                       ("second restart", 2, False)])
def test_updates(updates: str, boots: int, long: bool) -> None:
    pc = Pc(updates=updates).started().restarted()
    assert len(pc.seen(seen.BootBegan)) == boots
    draws = {e.draw for e in pc.all if isinstance(e, parts.After)}
    assert ("pc updates long" in draws) is long
    assert [b.cause for b in pc.seen(seen.BootBegan)][1:] == ["servicing"] * (boots - 1)
    pc.give(do.CustomerRestartsFromStart()).settle(until="welcome")
    assert [p.phase for p in pc.seen(seen.PhaseBegan)].count("updating") == 1, "updates are configured once"


def test_service_starts_at_boot_without_anyone() -> None:
    pc = Pc("service").started().restarted(until="welcome")
    pc.settle()
    facts = pc.starts()[-1].facts
    assert (facts.user, facts.desktop, facts.boot) == ("", "none", "boot-2")


@pytest.mark.parametrize(("setup", "draw"), [({}, "pc service start"),
                                             ({"service_misses_start_limit": True}, "pc service late start")])
def test_service_start_and_missed_limit(setup: dict[str, Any], draw: str) -> None:
    pc = Pc("service", **setup).started().restarted().settle()
    assert any(isinstance(e, parts.After) and e.name == "service" and e.draw == draw for e in pc.all)
    why = [a.why for a in pc.seen(seen.AgentStarted)]
    assert why == ["customer", "recovery" if setup else "service"]


def test_service_stays_stopped_for_one_boot() -> None:
    pc = Pc("service", service_stays_stopped=True).started().restarted().settle()
    assert len(pc.starts()) == 1
    pc.give(do.CustomerRestartsFromStart()).settle()
    assert len(pc.starts()) == 2


def test_lost_early_start_comes_up_after_logon_only() -> None:
    pc = Pc("service", loses_early_start=True).started().restarted().settle()
    assert len(pc.starts()) == 1
    pc.at_desktop()
    assert len(pc.starts()) == 2


@pytest.mark.parametrize(("setup", "window"), [({"bitlocker": "pin"}, "bitlocker"),
                                               ({"bios_password": True}, "bios password")])
def test_start_up_secrets_wait_for_a_person(setup: dict[str, Any], window: seen.Window) -> None:
    pc = Pc(**setup).started().call(host.RequestRestart(False)).settle()
    assert pc.phase == window
    assert seen.WindowShown(window) in [
        seen.WindowShown(w.window) for w in pc.seen(seen.WindowShown)]
    pc.give(parts.TypeSecret())
    assert seen.WindowGone(window, "customer") in pc.seen(seen.WindowGone)
    pc.settle(until="welcome")


def test_bitlocker_asks_only_after_a_boot_change() -> None:
    pc = Pc("service", bitlocker="asks after boot change").started().restarted()
    pc.settle().call(host.SetBootFlag()).call(host.RequestRestart(False)).settle()
    assert pc.phase == "bitlocker"
    pc.give(do.CustomerTypesSecret()).settle()
    assert pc.phase == "welcome"
    assert pc.state.power.safe_mode


def test_no_secret_is_asked_when_none_is_due() -> None:
    with pytest.raises(NotPossible, match="does not ask for one"):
        Pc().give(parts.TypeSecret())


def test_identity_is_forgotten_once() -> None:
    pc = Pc("service", forgets_identity=True).started().restarted().settle()
    assert pc.starts()[-1].facts.machine == "machine-1-new"
    pc.restarted().settle()
    assert pc.starts()[-1].facts.machine == "machine-1-new"


def test_pending_work_is_done_by_a_normal_boot_only() -> None:
    pc = Pc("service").started().give(do.InstallerRuns(shows_dialog=False))
    assert pc.seen(seen.PendingWork) == [seen.PendingWork(True)]
    pc.call(host.RegisterSafeBoot()).call(host.SetBootFlag()).restarted().settle()
    assert pc.state.disk.pending, "the installer service does not run in safe mode"
    pc.call(host.ClearBootFlag()).restarted().settle()
    assert not pc.state.disk.pending
    assert pc.seen(seen.PendingWork)[-1] == seen.PendingWork(False)


def test_pending_marker_can_outlive_boots() -> None:
    pc = Pc("service").started().give(do.InstallerRuns(shows_dialog=False, survives_boots=1)).restarted().settle()
    assert pc.state.disk.pending
    pc.restarted().settle()
    assert not pc.state.disk.pending


def test_pending_file_operations_delete_the_agent() -> None:
    pc = Pc("service").started().give(do.InstallerRuns(shows_dialog=False, deletes_agent=True)).restarted().settle()
    assert len(pc.starts()) == 1
    assert seen.MachineTampered("agent") in pc.seen()


def test_two_failed_boots_start_the_recovery() -> None:
    pc = Pc().give(do.PcCrashes())
    for _ in range(2):
        pc.settle(until="loading").give(do.PcCrashes())
    pc.settle(until="recovery").settle(until="welcome")
    assert pc.state.power.failed_boots == 0


def test_record_is_given_back_to_the_service_after_the_boot() -> None:
    pc = Pc("service").started().call(host.Save(record(intent=True))).restarted().settle()
    assert pc.starts()[-1].saved == record(intent=True)
