"""Calls to the operating system, windows, tampering, inventory, healing and the harness's own restart."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import DRAWS, NotPossible, heal, items, step
from rrsim.backends.sim.pc.hostcalls import verb_of
from rrsim.machine import observations as seen
from rrsim.machine.inventory import difference
from rrsim.scenario import actions as do
from rrsim.scenario.words import Duration
from tests.backends.sim.pc_driver import Pc, record

CALLS: tuple[tuple[host.HostRequest, str], ...] = (
    (host.Save(record()), "ticket saved"),
    (host.Save(record("")), "record saved"),
    (host.Save(record(intent=True)), "intent saved"),
    (host.Erase(), "record erased"),
    (host.ArmAutostart(), "autostart armed"),
    (host.DisarmAutostart(), "autostart disarmed"),
    (host.RegisterSafeBoot(), "safe boot key registered"),
    (host.UnregisterSafeBoot(), "safe boot key removed"),
    (host.ReadSafeBootKey(), "safe boot key read"),
    (host.SetBootFlag(), "boot flag set"),
    (host.ReadBootFlag(), "boot flag read"),
    (host.ClearBootFlag(), "boot flag cleared"),
    (host.RequestRestart(False), "restart requested"),
)


@pytest.mark.parametrize(("what", "verb"), CALLS)
def test_every_call_is_recorded_and_answered_once(what: host.HostRequest, verb: str) -> None:
    pc = Pc("service").started().call(what, op=7)
    assert verb_of(what) == verb
    assert [(c.verb, c.ok) for c in pc.seen(seen.HostCall)] == [(verb, True)]
    assert [c.op for c in pc.told(host.Completed)] == [7]
    assert not pc.told(host.Failed)
    assert pc.state.calls == ()


def test_call_changes_nothing_before_it_returns() -> None:
    pc = Pc().started().give(parts.HostAsked(1, host.Save(record())))
    assert pc.effects == (parts.After("call:1", "os call"),)
    assert pc.state.disk.record is None
    disk = pc.fire("call:1").state.disk
    assert disk.record == record()
    assert disk.record_owner == "customer"


def test_reads_say_what_is_there() -> None:
    pc = Pc("service").started()
    pc.call(host.ReadBootFlag()).call(host.ReadSafeBootKey()).call(host.SetBootFlag()).call(host.RegisterSafeBoot())
    pc.call(host.ReadBootFlag()).call(host.ReadSafeBootKey())
    read = [c.detail for c in pc.seen(seen.HostCall) if c.verb.endswith("read")]
    assert read == ["absent", "absent", "network", "present"]


@pytest.mark.parametrize(
    ("mode", "fault", "setup", "what", "reason"),
    [
        ("application", do.DiskFills(), {}, host.Save(record()), "disk full"),
        ("application", do.ToolBlocks(thing="ticket"), {}, host.Save(record()), "access denied"),
        ("application", do.ToolBlocks(thing="ticket"), {}, host.Erase(), "access denied"),
        ("application", do.ToolBlocks(thing="autostart"), {}, host.ArmAutostart(), "access denied"),
        ("service", do.ToolBlocks(thing="service"), {}, host.ArmAutostart(), "access denied"),
        ("service", do.CustomerQuitsAgent(), {}, host.ArmAutostart(), "not installed"),
        ("service", do.ToolBlocks(thing="boot flag"), {}, host.SetBootFlag(), "access denied"),
        ("service", do.ToolBlocks(thing="safe boot key"), {}, host.RegisterSafeBoot(), "access denied"),
        ("service", None, {"no_bcdedit": True}, host.SetBootFlag(), "bcdedit not found"),
        ("application", None, {}, host.SetBootFlag(), "access denied"),
        ("application", None, {}, host.RegisterSafeBoot(), "access denied"),
    ],
)
def test_calls_that_fail_say_why_and_change_nothing(mode: Any, fault: Any, setup: dict[str, Any],
                                                    what: host.HostRequest, reason: str) -> None:
    pc = Pc(mode, **setup).started()
    if fault is not None:
        pc.give(fault)
    disk = pc.state.disk
    pc.call(what)
    assert reason in pc.told(host.Failed)[-1].reason
    assert pc.state.disk == disk


@pytest.mark.parametrize("what", [host.SetBootFlag(), host.RegisterSafeBoot(), host.Save(record())])
def test_a_silent_tool_reports_success_and_does_nothing(what: host.HostRequest) -> None:
    pc = Pc("service").started()
    for thing in ("boot flag", "safe boot key", "ticket"):
        pc.give(do.ToolBlocks(thing=thing, silently=True))
    before = items(pc.state)
    pc.call(what)
    assert pc.told(host.Completed)
    assert items(pc.state) == before
    pc.give(do.ToolAllows()).call(what)
    assert items(pc.state) != before


def test_disk_with_room_again_takes_the_record() -> None:
    pc = Pc().started().give(do.DiskFills()).give(do.DiskHasRoom()).call(host.Save(record()))
    assert pc.told(host.Completed)


def test_at_most_sixteen_calls_are_under_way_and_a_number_is_used_once() -> None:
    pc = Pc().started()
    for op in (*range(1, 17), 3):
        pc.give(parts.HostAsked(op, host.ReadBootFlag()))
    assert [c.op for c in pc.state.calls] == list(range(1, 17))


def test_windows_of_the_agent_are_seen_and_pressed() -> None:
    pc = Pc().started().give(parts.UiAsked(host.OpenChat())).give(parts.UiAsked(host.OpenChat()))
    pc.give(parts.UiAsked(host.ShowPrompt(2, "restart"))).give(parts.UiAsked(host.ShowCancel()))
    pc.give(parts.UiAsked(host.Tell("expired"))).give(parts.UiAsked(host.ShowChat("rep", "hello")))
    assert [w.window for w in pc.seen(seen.WindowShown)] == ["chat", "restart prompt", "cancel option", "notice"]
    pc.give(parts.TypeChat("hi")).give(do.CustomerChats(text="ho")).give(do.CustomerClosesChat())
    assert pc.told(ever=False) == [host.CloseClicked()]
    pc.give(do.CustomerAnswers(prompt="restart prompt", answer="no")).give(do.CustomerCancelsReconnect())
    pc.give(parts.Press("customer", "notice", "ok"))
    assert [c.text for c in pc.told(host.ChatTyped)] == ["hi", "ho"]
    assert pc.told(host.Answered) == [host.Answered(2, "no")]
    assert pc.told(host.CancelClicked)
    assert [(c.window, c.button) for c in pc.seen(seen.Clicked)] == [
        ("chat", "close"), ("restart prompt", "no"), ("cancel option", "cancel"), ("notice", "ok")]
    pc.give(parts.UiAsked(host.HideCancel())).give(parts.UiAsked(host.CloseChat()))
    assert seen.WindowGone("chat", "agent") in pc.seen()
    assert [w.by for w in pc.seen(seen.WindowGone) if w.window == "cancel option"] == ["customer"]
    assert pc.state.screen.windows == ()


def test_hidden_and_replaced_prompts() -> None:
    pc = Pc().started().give(parts.UiAsked(host.ShowPrompt(2, "restart")))
    pc.give(parts.UiAsked(host.HidePrompt(5)))
    assert pc.effects == ()
    pc.give(parts.UiAsked(host.ShowPrompt(3, "restart")))
    assert pc.told(host.PromptGone) == [host.PromptGone(2)]
    pc.give(parts.UiAsked(host.HidePrompt(3)))
    assert pc.state.screen.windows == ()


@pytest.mark.parametrize(
    ("press", "reason"),
    [
        (parts.Press("customer", "leave prompt", "yes"), "not shown"),
        (parts.Press("customer", "chat", "yes"), "its buttons are: close"),
        (parts.Press("representative", "chat", "close"), "not being shared"),
    ],
)
def test_presses_that_are_not_possible_change_nothing(press: parts.Press, reason: str) -> None:
    pc = Pc().started().give(parts.UiAsked(host.OpenChat()))
    before = pc.state
    with pytest.raises(NotPossible, match=reason):
        pc.give(press)
    assert pc.state == before


def test_capture_is_seen_once_and_ends_with_the_agent() -> None:
    pc = Pc().started().give(parts.UiAsked(host.Capture(True))).give(parts.UiAsked(host.Capture(True)))
    assert pc.seen(seen.ScreenSeen) == [seen.ScreenSeen(True)]
    pc.give(parts.UiAsked(host.Tell("ended"))).give(parts.AgentEnded("session over"))
    assert pc.seen(seen.ScreenSeen)[-1] == seen.ScreenSeen(False)
    assert pc.seen(seen.AgentStopped) == [seen.AgentStopped("session over")]
    assert not pc.kills()
    assert [w.window for w in pc.state.screen.windows] == ["notice"], "the notice stays for the customer to read"


def test_a_dead_agent_is_not_heard() -> None:
    pc = Pc().started().give(parts.AgentEnded("done"))
    for what in (parts.HostAsked(1, host.Erase()), parts.UiAsked(host.OpenChat()), parts.AgentEnded("again")):
        assert pc.give(what).effects == ()


@pytest.mark.parametrize("by", ["windows", "restart manager", "crash"])
def test_chat_is_destroyed_by_something_else(by: Any) -> None:
    pc = Pc().started().give(parts.UiAsked(host.OpenChat())).give(do.ChatDestroyedAction(by=by))
    assert pc.told(host.ChatDestroyed) == [host.ChatDestroyed(by)]
    assert seen.WindowGone("chat", by) in pc.seen()
    with pytest.raises(NotPossible, match="not open"):
        pc.give(do.ChatDestroyedAction(by=by))


@pytest.mark.parametrize(("mode", "restarts", "starts"), [("application", True, 1), ("service", True, 2),
                                                         ("service", False, 1)])
def test_agent_dies(mode: Any, restarts: bool, starts: int) -> None:
    pc = Pc(mode).started().give(parts.HostAsked(1, host.Save(record()))).give(do.AgentDies(restarts=restarts))
    assert pc.state.calls == ()
    assert pc.kills() == ["crashed"]
    pc.settle()
    assert len(pc.starts()) == starts
    assert pc.state.disk.record is None
    if starts == 2:
        assert pc.seen(seen.AgentStarted)[-1].why == "recovery"
        assert len(pc.told(host.HelperReady)) == 2
    assert pc.started().state.process.running


def test_helper_dies_and_comes_back() -> None:
    pc = Pc("service").started().give(parts.UiAsked(host.OpenChat())).give(parts.UiAsked(host.ShowPrompt(1, "sharing")))
    pc.give(do.HelperDies())
    assert pc.told(ever=False) == [host.PromptGone(1), host.HelperGone()]
    assert seen.WindowGone("chat", "crash") in pc.seen()
    pc.settle()
    assert pc.told(ever=False) == [host.HelperReady("visible", "customer")]


@pytest.mark.parametrize("asked", [(), (True,), (False,), (False, True)])
def test_the_screen_is_captured_by_the_helper_and_goes_on_with_the_next(asked: tuple[bool, ...]) -> None:
    """What was asked for while there was none decides; the last word counts."""
    pc = Pc("service").started().give(parts.UiAsked(host.Capture(True)))
    assert pc.seen(seen.ScreenSeen) == [seen.ScreenSeen(True)]
    pc.give(do.HelperDies())
    for on in asked:
        pc.give(parts.UiAsked(host.Capture(on)))
    assert not pc.state.screen.captured
    pc.settle()
    assert pc.state.screen.captured == (asked[-1:] != (False,))
    assert pc.seen(seen.ScreenSeen)[:2] == [seen.ScreenSeen(True), seen.ScreenSeen(False)]


@pytest.mark.parametrize("thing", ["agent", "ticket", "autostart", "safe boot key", "boot flag", "service"])
def test_tool_deletes(thing: Any) -> None:
    pc = Pc("service" if thing != "autostart" else "application").started().call(host.Save(record()))
    pc.call(host.ArmAutostart()).call(host.SetBootFlag()).call(host.RegisterSafeBoot())
    before = items(pc.state)
    pc.give(do.ToolDeletes(thing=thing))
    assert pc.seen(seen.MachineTampered) == [seen.MachineTampered(thing)]
    assert (items(pc.state) != before) is (thing != "agent")
    assert bool(pc.kills()) is (thing == "agent")


def test_readable_record_is_a_secret_seen_until_it_is_written_anew() -> None:
    with pytest.raises(NotPossible, match="none is saved"):
        Pc().give(do.TicketReadable())
    pc = Pc().started().call(host.Save(record())).give(do.TicketReadable())
    assert pc.seen(seen.SecretSeen) == [seen.SecretSeen("file:ticket")]
    assert pc.state.disk.readable
    assert not pc.call(host.Save(record())).state.disk.readable


def test_wall_clock_changes_nothing_but_is_recorded() -> None:
    pc = Pc().started()
    before = pc.state
    pc.give(do.WallClockJumps(by_us=Duration(5)))
    assert pc.state == before
    assert pc.seen(seen.MachineTampered) == [seen.MachineTampered("wall clock")]


def test_privilege_comes_back() -> None:
    pc = Pc().started().give(do.PrivilegeTaken()).give(do.PrivilegeGiven()).call(host.RequestRestart(False))
    assert pc.told(host.Completed)


def test_inventory_names_everything_and_disarming_leaves_nothing() -> None:
    pc = Pc("service", logon="automatic").started()
    before = items(pc.state)
    assert before == ("registry:HKLM/Winlogon/AutoAdminLogon", "registry:HKLM/Winlogon/DefaultPassword",
                      "service:rragent")
    pc.call(host.Save(record())).call(host.SetBootFlag()).call(host.RegisterSafeBoot())
    assert difference(before, items(pc.state)) == (
        "boot:safeboot=network", "file:ticket", "registry:HKLM/RunOnce/*rragent-undo",
        "registry:HKLM/SafeBoot/Network/rragent")
    pc.call(host.ClearBootFlag()).call(host.UnregisterSafeBoot()).call(host.Erase())
    assert difference(before, items(pc.state)) == ()


def test_inventory_of_an_armed_application_agent() -> None:
    pc = Pc().started().call(host.ArmAutostart()).call(host.Save(record(""))).call(host.RequestRestart(False))
    assert items(pc.state) == ("file:record", "registry:HKCU/RunOnce/!*rragent", "schedule:restart by the agent")
    pc.call(host.AbortRestart()).call(host.DisarmAutostart()).call(host.Erase()).give(do.OtherSchedules())
    assert items(pc.state) == ("schedule:restart by another program",)


def test_owners_flag_that_was_cleared_is_missed() -> None:
    pc = Pc("service", safe_boot_set_by_owner=True).started()
    before = items(pc.state)
    pc.call(host.ClearBootFlag())
    assert difference(before, items(pc.state)) == ("missing:boot:safeboot=network",)


def test_heal_takes_faults_back_and_leaves_the_residue() -> None:
    pc = Pc("service", updates="long", service_stays_stopped=True, safe_mode_hangs=True).started()
    pc.call(host.Save(record())).call(host.SetBootFlag())
    for what in (do.DiskFills(), do.PrivilegeTaken(), do.OthersSignedIn(), do.AppBlocks(), do.ToolBlocks(thing="agent"),
                 do.RecordDamaged(), do.InstallerRuns(shows_dialog=False), do.OtherSchedules(),
                 do.ToolDeletes(thing="agent"), do.ToolDeletes(thing="service"), do.PowerCut()):
        pc.give(what)
    residue = {"file:ticket", "boot:safeboot=network"}
    healed = heal(pc.state)
    assert healed.faults == Pc().state.faults
    assert healed.power.mains
    assert healed.power.phase == "off"
    assert residue <= set(items(healed))
    assert healed.disk.program
    assert healed.disk.service
    assert not healed.disk.pending
    assert (healed.setup.updates, healed.setup.safe_mode_hangs) == ("none", False)
    assert heal(healed) == healed


def _to(pc: Pc, state: str) -> Pc:
    """Bring a PC into one of the states a probe must cope with."""
    moves: dict[str, Any] = {
        "desktop": lambda: pc,
        "off": lambda: pc.give(do.CustomerShutsDown()).settle(),
        "no power": lambda: pc.give(do.PowerCut()),
        "asleep": lambda: pc.give(do.PcSleeps()),
        "blocked": lambda: pc.give(do.AppBlocks()).give(do.CustomerRestartsFromStart()).fire("shutdown"),
        "going down": lambda: pc.give(do.CustomerShutsDown()).fire("shutdown"),
        "loading": lambda: pc.give(do.PcCrashes()).settle(until="loading"),
        "services": lambda: pc.give(do.PcCrashes()).settle(until="services"),
        "welcome": lambda: pc.give(do.PcCrashes()).settle(until="welcome"),
        "shell": lambda: pc.give(do.PcCrashes()).settle(until="welcome").give(parts.SignIn("other user")),
        "locked out": lambda: pc.give(do.PcCrashes()).settle(),
    }
    pc = moves[state]()
    return pc


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("mode", ["application", "service"])
@pytest.mark.parametrize("state", ["desktop", "off", "no power", "asleep", "blocked", "going down", "loading",
                                   "services", "welcome", "shell", "locked out"])
def test_probe_ends_at_the_right_users_desktop_from_every_state(state: str, mode: Any, fast: bool) -> None:
    pc = _to(Pc(mode, fast_startup=fast, bitlocker="pin" if state == "locked out" else "none").started(), state)
    pc.state = heal(pc.state)
    seen_before = len(pc.all)
    pc.give(parts.Probe()).settle()
    boots = [e.what for e in pc.all[seen_before:] if isinstance(e, parts.Saw) and isinstance(e.what, seen.BootBegan)]
    assert pc.phase == "desktop"
    assert pc.state.session.user == "customer"
    assert not pc.state.probing
    assert [b.cause for b in boots] == ["probe"]


def test_probe_shows_a_flag_left_behind() -> None:
    pc = Pc("service").started().call(host.SetBootFlag()).give(parts.Probe()).settle()
    assert pc.seen(seen.BootBegan)[-1].safe_mode


def test_support_can_be_asked_anew_and_fetches_the_program() -> None:
    pc = Pc().started().give(do.ToolDeletes(thing="agent")).started()
    assert len(pc.starts()) == 2
    pc.started()
    assert len(pc.starts()) == 2
    assert len(pc.told(host.CustomerStarts)) == 3
    with pytest.raises(NotPossible, match="nobody is at the desktop"):
        pc.restarted().started()
    blocked = Pc().give(do.ToolBlocks(thing="agent"))
    with pytest.raises(NotPossible, match="security tool"):
        blocked.started()


def test_what_the_pc_does_not_hear_is_named() -> None:
    with pytest.raises(TypeError, match="does not hear RepTakes"):
        step(Pc().state, do.RepTakes())


def test_draws_are_ranges_and_cover_every_timer() -> None:
    assert all(0 < low < high for low, high in DRAWS.values())
    assert DRAWS["pc updates long"][0] >= 20 * 60 * 1_000_000
