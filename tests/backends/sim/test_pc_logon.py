"""Logon, Run and RunOnce, profiles, locking, the helper."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from msgspec.structs import replace

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import NotPossible, hostcalls
from rrsim.backends.sim.pc.profile import plan
from rrsim.backends.sim.pc.state import Autostart
from rrsim.machine import observations as seen
from rrsim.scenario import actions as do
from tests.backends.sim.pc_driver import Pc, record

OURS = Autostart("HKCU", "RunOnce", "!*rragent", "rragent", "customer")


def armed(**setup: Any) -> Pc:
    """A PC in application mode with everything armed, restarted to the welcome screen."""
    pc = Pc(**setup).started().call(host.Save(record(intent=True))).call(host.ArmAutostart())
    assert pc.state.disk.entries == (OURS,)
    return pc.restarted()


@pytest.mark.parametrize(
    ("hive", "key", "name", "profile", "admin", "safe", "runs", "deleted_before"),
    [
        ("HKCU", "RunOnce", "x", "customer", False, False, True, True),
        ("HKCU", "RunOnce", "!x", "customer", False, False, True, False),
        ("HKCU", "RunOnce", "x", "other user", False, False, False, False),
        ("HKCU", "RunOnce", "x", "temporary", True, False, False, False),
        ("HKCU", "RunOnce", "x", "customer", True, True, False, False),
        ("HKCU", "RunOnce", "*x", "customer", False, True, True, True),
        ("HKCU", "RunOnce", "!*x", "customer", False, True, True, False),
        ("HKCU", "RunOnce", "*!x", "customer", False, True, True, False),
        ("HKCU", "RunOnce", "x!*", "customer", False, True, False, False),
        ("HKLM", "RunOnce", "x", "customer", False, False, False, False),
        ("HKLM", "RunOnce", "x", "customer", True, False, True, True),
        ("HKLM", "RunOnce", "!x", "customer", True, False, True, False),
        ("HKLM", "RunOnce", "*x", "customer", False, True, False, False),
        ("HKLM", "Run", "x", "other user", False, False, True, False),
        ("HKCU", "Run", "x", "customer", False, False, True, False),
        ("HKCU", "Run", "*x", "customer", True, True, False, False),
        ("HKLM", "Run", "*x", "customer", True, True, False, False),
    ],
)
def test_run_once_rules(hive: Literal["HKCU", "HKLM"], key: Literal["Run", "RunOnce"], name: str, profile: str,
                        admin: bool, safe: bool, runs: bool, deleted_before: bool) -> None:
    entry = Autostart(hive, key, name, "thing", "customer" if hive == "HKCU" else "")
    todo = plan((entry,), profile=profile, administrator=admin, safe_mode=safe)
    assert (todo.run == (entry,), todo.delete_now == (entry,)) == (runs, deleted_before)


def test_right_user_starts_the_agent_and_the_launcher_leaves_a_value() -> None:
    pc = armed().at_desktop()
    assert pc.starts()[-1].saved == record(intent=True)
    assert pc.starts()[-1].facts.user == "customer"
    assert [e.name for e in pc.state.disk.entries] == ["!*rragent"], "the launcher leaves one for the next logon"
    assert [a.why for a in pc.seen(seen.AgentStarted)] == ["customer", "autostart"]


def test_other_user_starts_nothing_and_the_value_stays() -> None:
    pc = armed().at_desktop("other user")
    assert len(pc.starts()) == 1
    assert pc.state.disk.entries == (OURS,)
    assert pc.seen(seen.LoggedOn) == [seen.LoggedOn("other user", "visible", False)]
    pc.give(do.CustomerLogsOff()).settle(until="welcome")
    pc.at_desktop()
    assert len(pc.starts()) == 2, "when the right user signs in, the agent starts"


def test_record_cannot_be_read_by_another_account() -> None:
    pc = armed().at_desktop("other user").started()
    assert pc.starts()[-1].saved is None
    assert not pc.starts()[-1].corrupt


def test_damaged_record_is_reported_to_its_owner() -> None:
    pc = armed().give(do.RecordDamaged()).at_desktop()
    assert (pc.starts()[-1].saved, pc.starts()[-1].corrupt) == (None, True)


@pytest.mark.parametrize("how", ["setup", "sign-in"])
def test_temporary_profile_has_no_autostart(how: str) -> None:
    pc = armed(temporary_profile=how == "setup").at_desktop("right user" if how == "setup" else "temporary profile")
    assert len(pc.starts()) == 1
    assert pc.state.session.temporary
    pc.started()
    assert pc.starts()[-1].saved is None
    pc.call(host.ArmAutostart())
    assert len(pc.state.disk.entries) == 2
    pc.give(do.CustomerLogsOff()).settle(until="welcome")
    assert pc.state.disk.entries == (OURS,), "what a temporary profile wrote goes with it"


def test_power_cut_between_delete_and_start_loses_a_plain_value_only() -> None:
    plain = replace(OURS, name="rragent")
    for entry, left in ((OURS, (OURS,)), (plain, ())):
        pc = armed()
        pc.state = replace(pc.state, disk=replace(pc.state.disk, entries=(entry,)))
        pc.give(parts.SignIn("right user")).fire("run once").give(do.PowerCut())
        assert pc.state.disk.entries == left


def test_value_stays_when_its_program_cannot_start() -> None:
    pc = armed().give(do.ToolDeletes(thing="agent")).at_desktop()
    assert len(pc.starts()) == 1
    assert pc.state.disk.entries == (OURS,)


def test_run_once_is_ignored_in_safe_mode_but_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows facts 1.1, SM-06: without the asterisk."""
    plain = replace(OURS, name="!rragent")
    monkeypatch.setattr(hostcalls, "AGENT_VALUE", plain.name)
    pc = Pc(safe_boot_set_by_owner=True).started().call(host.ArmAutostart()).restarted()
    assert pc.state.power.safe_mode
    pc.at_desktop()
    assert len(pc.starts()) == 1
    assert pc.state.disk.entries == (plain,)


def test_run_once_with_the_asterisk_is_run_in_safe_mode_too() -> None:
    """SM-06, rule 7: an owner's own flag may lead an application-mode agent there."""
    pc = armed(safe_boot_set_by_owner=True)
    assert pc.state.power.safe_mode
    pc.at_desktop()
    assert len(pc.starts()) == 2


def test_wrong_password_leaves_the_welcome_screen() -> None:
    pc = armed().give(parts.SignIn("wrong password"))
    assert pc.phase == "welcome"
    assert pc.seen(seen.LogonFailed) == [seen.LogonFailed("customer")]


@pytest.mark.parametrize(
    ("logon", "user", "failed"),
    [("automatic", "customer", 0), ("automatic but ignored", "", 0), ("automatic with wrong password", "", 1),
     ("by hand", "", 0)],
)
def test_automatic_logon(logon: str, user: str, failed: int) -> None:
    pc = armed(logon=logon).settle()
    assert pc.state.session.user == user
    assert len(pc.seen(seen.LogonFailed)) == failed
    assert len(pc.starts()) == (2 if user else 1)


def test_windows_signs_in_and_locks_and_prompts_are_seen_at_unlock() -> None:
    pc = armed(locks_after_automatic_logon=True).settle()
    assert pc.starts()[-1].facts.desktop == "locked"
    pc.give(parts.UiAsked(host.ShowPrompt(3, "sharing")))
    assert not pc.seen(seen.WindowShown)
    with pytest.raises(NotPossible, match="unlock"):
        pc.give(parts.Press("customer", "sharing prompt", "yes"))
    pc.give(do.CustomerUnlocks())
    assert pc.seen(seen.WindowShown) == [seen.WindowShown("sharing prompt")]
    pc.give(parts.Press("customer", "sharing prompt", "yes"))
    assert pc.told(host.Answered) == [host.Answered(3, "yes")]


def test_only_the_locked_user_can_unlock() -> None:
    pc = armed(locks_after_automatic_logon=True).settle()
    with pytest.raises(NotPossible, match="only that user"):
        pc.give(parts.SignIn("other user"))
    pc.give(parts.SignIn("wrong password"))
    assert pc.state.session.desktop == "locked"


def test_remote_desktop_is_the_right_user() -> None:
    pc = armed().at_desktop("remote desktop")
    assert pc.state.session.remote
    assert len(pc.starts()) == 2


def test_elevation_and_black_screen_are_lost_after_the_restart_only() -> None:
    pc = armed(loses_elevation=True, black_screen=True).at_desktop()
    first, second = pc.starts()
    assert (first.facts.elevated, second.facts.elevated) == (True, False)
    assert (first.facts.desktop, second.facts.desktop) == ("visible", "black")


def test_helper_comes_and_goes_with_the_user() -> None:
    pc = Pc("service").started()
    assert pc.told(host.HelperReady) == [host.HelperReady("visible", "customer")]
    pc.give(parts.UiAsked(host.ShowPrompt(1, "restart"))).give(do.CustomerLogsOff()).settle(until="welcome")
    assert pc.told(host.HelperGone)
    assert pc.told(host.PromptGone) == [host.PromptGone(1)]
    assert pc.state.process.running, "the service outlives the logoff"
    pc.at_desktop("other user").settle()
    assert pc.told(host.HelperReady)[-1] == host.HelperReady("visible", "other user")


def test_prompt_without_helper_is_gone_at_once() -> None:
    pc = Pc("service").started().restarted().settle()
    pc.give(parts.UiAsked(host.ShowPrompt(4, "sharing")))
    assert pc.told(ever=False) == [host.PromptGone(4)]


def test_logoff_ends_an_application_mode_agent_without_a_restart() -> None:
    pc = Pc().started().give(do.CustomerLogsOff())
    assert pc.told(host.QueryEndSession) == [host.QueryEndSession("logoff")]
    pc.settle(until="welcome")
    assert pc.kills() == ["logoff"]
    assert not pc.told(host.SessionEnding)
    assert not pc.seen(seen.BootBegan)


def test_rep_types_the_password_in_service_mode_only() -> None:
    pc = Pc("service").started().restarted().settle()
    pc.give(do.RepTypesPassword(right=False)).give(do.RepTypesPassword()).settle(until="desktop")
    assert pc.state.session.user == "customer"
    with pytest.raises(NotPossible, match="service mode"):
        armed().give(do.RepTypesPassword())


def test_the_dial_prompt_is_gone_once_it_was_used() -> None:
    """R12: after a logon Windows asks for the connection; dialling answers it."""
    pc = armed(network="dial-up").at_desktop()
    assert seen.WindowShown("dial prompt") in pc.seen(seen.WindowShown)
    pc.give(parts.Press("customer", "dial prompt", "dial"))
    assert pc.seen(seen.WindowGone)[-1] == seen.WindowGone("dial prompt", "customer")


def test_not_every_system_asks_for_the_connection() -> None:
    """R12: depending on the system."""
    pc = armed(network="dial-up", prompts_to_dial=False).at_desktop()
    assert seen.WindowShown("dial prompt") not in pc.seen(seen.WindowShown)
