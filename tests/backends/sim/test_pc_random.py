"""The modelled PC under anything: no error but NotPossible, state unchanged by it, small, hashable and finite, and
effects that agree with the state."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import DRAWS, NotPossible, PcState, draws, heal, initial, items, step
from rrsim.backends.sim.pc.dispatch import _HANDLERS
from rrsim.machine import observations as seen
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as do
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration
from tests.backends.sim.pc_driver import Pc, record

NOT_THE_PCS = {
    # The representative's console, the server, the network, and what a person does there.
    do.RepTakes, do.RepRestarts, do.RepChats, do.RepEnds, do.RepTransfers, do.RepStartsSharing, do.RepStopsSharing,
    do.RepConsoleLost, do.RepConsoleReturns, do.CustomerStartsSupport, do.CustomerDials, do.CustomerHangsUp,
    do.CustomerLogsInToPortal, do.CustomerStartsVpn, do.CablePulled, do.CablePlugged, do.ConnectionDrops,
    do.ConnectionStalls, do.ConnectionHalfOpen, do.ServerRefuses, do.ServerAccepts, do.DnsFails, do.DnsWorks,
    do.Impostor, do.ImpostorGone, do.LineBusy, do.LineDead, do.LineWorks, do.CarrierLost, do.ServerRestarts,
    do.StrangerPresentsTicket, do.SecondConnection, do.Wait,
}
PC_ACTIONS = [kind for kind in get_args(do.AnyAction) if kind not in NOT_THE_PCS]

DEFAULTS: dict[type, dict[str, Any]] = {
    do.CustomerAnswers: {"prompt": "restart prompt", "answer": "yes"},
    do.ToolBlocks: {"thing": "boot flag"},
    do.ToolDeletes: {"thing": "ticket"},
    do.WallClockJumps: {"by_us": Duration(5)},
}
REQUESTS: list[host.HostRequest] = [
    host.Save(record()), host.Save(record(intent=True)), host.Save(record("")), host.Erase(), host.ArmAutostart(),
    host.DisarmAutostart(), host.RegisterSafeBoot(), host.UnregisterSafeBoot(), host.ReadSafeBootKey(),
    host.SetBootFlag(), host.ReadBootFlag(), host.ClearBootFlag(), host.RequestRestart(False),
    host.RequestRestart(True), host.AbortRestart(),
]
UI: list[Any] = [
    host.OpenChat(), host.CloseChat(), host.ShowPrompt(1, "restart"), host.ShowPrompt(2, "sharing"),
    host.ShowPrompt(3, "leave"), host.HidePrompt(1), host.ShowCancel(), host.HideCancel(), host.ShowChat("rep", "x"),
    host.Tell("expired"), host.Capture(True), host.Capture(False),
]
TIMERS = [
    "phase", "shutdown", "auto logon", "run once", "run commands", "service", "recovery", "helper", "logoff", "mains",
    "wake", "scheduled", *(f"call:{n}" for n in range(1, 17)),
]
HOWS = get_args(do.SignInHow)
EXTRA: list[Any] = [
    do.PowerCut(returns_after_us=Duration(9)), do.PcSleeps(wakes_after_us=Duration(9)), do.AgentDies(restarts=False),
    do.InstallerRuns(deletes_agent=True, survives_boots=2), do.CustomerAtBlockScreen(choice="restart anyway"),
    *(do.ToolBlocks(thing=thing, silently=quiet) for thing in get_args(do.Thing) for quiet in (False, True)),
    *(do.ToolDeletes(thing=thing) for thing in get_args(do.Thing)),
    *(parts.Press(who, window, button) for who in ("customer", "representative")
      for window in get_args(seen.Window) for button in ("yes", "restart", "cancel", "close")),
    parts.TypeSecret(), parts.TypeChat("x"), parts.StartSupport("session-1"), parts.Probe(), parts.AgentEnded("done"),
    *(parts.SignIn(how) for how in HOWS),
]
INPUTS: list[Any] = [
    *(kind(**DEFAULTS.get(kind, {})) for kind in PC_ACTIONS), *EXTRA, *(parts.UiAsked(what) for what in UI),
]


@st.composite
def setups(draw: st.DrawFn) -> PcSetup:
    """Any PC."""
    flags = ("administrator", "fast_startup", "locks_after_automatic_logon", "temporary_profile", "bios_password",
             "safe_boot_set_by_owner", "safe_mode_hangs", "no_bcdedit", "service_misses_start_limit",
             "service_stays_stopped", "loses_elevation", "loses_early_start", "black_screen", "terminal_server",
             "forgets_identity")
    chosen: dict[str, Any] = {flag: draw(st.booleans()) for flag in flags}
    chosen["logon"] = draw(st.sampled_from(
        ["by hand", "automatic", "automatic but ignored", "automatic with wrong password"]))
    chosen["bitlocker"] = draw(st.sampled_from(["none", "pin", "asks after boot change"]))
    chosen["updates"] = draw(st.sampled_from(["none", "short", "long", "second restart"]))
    return PcSetup(**chosen)


inputs = st.one_of(
    st.integers(0, 20),  # fire the n-th running timer: keeps the PC moving
    st.integers(0, 20),
    st.sampled_from(INPUTS),
    st.sampled_from([TimerFired(name) for name in TIMERS]),
    st.builds(parts.HostAsked, st.integers(1, 16), st.sampled_from(REQUESTS)),
)


class Mirror:
    """What somebody who sees only the effects believes: running timers, and whether the agent lives."""

    def __init__(self) -> None:
        self.timers: dict[str, tuple[str, int]] = {}
        self.alive = False

    def follow(self, effects: tuple[parts.PcEffect, ...]) -> None:
        """Take the effects in order; nothing may be told to a dead agent."""
        for effect in effects:
            if isinstance(effect, parts.After):
                assert effect.us >= 0 or effect.draw in DRAWS, f"unknown draw {effect.draw!r}"
                self.timers[effect.name] = (effect.draw, effect.us)
            elif isinstance(effect, parts.Forget):
                assert effect.name in self.timers, f"timer {effect.name!r} forgotten but not running"
                del self.timers[effect.name]
            elif isinstance(effect, parts.StartAgent):
                assert not self.alive, "two agents at once (I3)"
                self.alive = True
            elif isinstance(effect, parts.KillAgent):
                assert self.alive, "killed an agent that does not run"
                self.alive = False
            elif isinstance(effect, parts.TellAgent):
                assert self.alive, f"told a dead agent {effect.what}"


@settings(max_examples=150, deadline=None)
@given(setups(), st.sampled_from(["application", "service"]), st.sampled_from(["windows", "mac"]),
       st.lists(inputs, min_size=20, max_size=60))
def test_anything_goes_wrong_only_by_name(setup: PcSetup, mode: Any, platform: Any, plan: list[Any]) -> None:
    state = initial(setup, mode, platform, "machine-1")
    mirror = Mirror()
    for move in [parts.StartSupport("session-1"), *plan]:
        what = move
        if isinstance(move, int):
            if not state.timers:
                continue
            what = TimerFired(state.timers[move % len(state.timers)].name)
        try:
            after, effects = step(state, what)
        except NotPossible:
            continue
        assert step(state, what) == (after, effects), "a step is a pure function"
        if isinstance(what, TimerFired):
            mirror.timers.pop(what.name, None)
        if isinstance(what, parts.AgentEnded):
            mirror.alive = False
        mirror.follow(effects)
        check(after, mirror)
        state = after
    check_heals(state)


def check(state: PcState, mirror: Mirror) -> None:
    """What holds in every state."""
    hash(state)
    assert {t.name: (t.draw, t.us) for t in state.timers} == mirror.timers
    assert state.process.running == mirror.alive
    assert len(state.calls) <= 16
    assert len(state.timers) <= len(TIMERS)
    assert len(state.screen.windows) <= 13
    assert state.disk.record is None or state.disk.record_owner
    if state.power.phase == "off":
        assert not state.screen.windows
        assert not state.session.user
        assert state.power.hibernated or not state.process.running
    if state.process.helper:
        assert state.mode == "service"
        assert state.process.running
    assert list(items(state)) == sorted(set(items(state)))


def check_heals(state: PcState) -> None:
    """A healed PC reaches the right user's desktop by the harness's restart, from any state."""
    state = heal(state)
    state, _ = step(state, parts.Probe())
    for _ in range(80):
        if not state.probing or not state.timers:
            break
        name = next((t.name for t in state.timers if t.name in ("shutdown", "phase")), state.timers[0].name)
        state, _ = step(state, TimerFired(name))
    assert (state.power.phase, state.session.user, state.session.desktop in ("visible", "black")) == (
        "desktop", "customer", True)


@pytest.mark.parametrize("kind", PC_ACTIONS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("mode", ["application", "service"])
def test_every_action_of_the_pc_is_heard(kind: type, mode: Any) -> None:
    state = Pc(mode).started().state
    message = "done"
    try:
        step(state, kind(**DEFAULTS.get(kind, {})))
    except NotPossible as error:
        message = str(error)
    assert message == "done" or ": " in message, "the message says what was wanted, and how the PC stands"


def test_actions_are_the_pcs_or_somebody_elses() -> None:
    assert {kind for kind in _HANDLERS if issubclass(kind, do.Action)} == set(PC_ACTIONS)
    for kind in NOT_THE_PCS:
        assert kind not in _HANDLERS


def test_every_draw_is_used() -> None:
    package = Path(draws.__file__).parent
    text = "".join(path.read_text("utf-8") for path in package.glob("*.py") if path.name != "draws.py")
    assert [name for name in DRAWS if f'"{name}"' not in text] == []


@pytest.mark.parametrize("mode", ["application", "service"])
def test_states_are_finite(mode: Any) -> None:
    """Breadth-first over a small alphabet: the search ends, because the boot counter saturates."""
    first = initial(PcSetup(fast_startup=True), mode, "windows", "machine-1")
    alphabet: tuple[Any, ...] = (parts.SignIn("right user"), do.PowerCut(), do.PowerReturns(), do.CustomerShutsDown(),
                                 do.CustomerPowersOn(), do.PcSleeps(), do.PcWakes())
    found = {first}
    todo = deque([first])
    while todo:
        state = todo.popleft()
        for what in (*alphabet, *(TimerFired(t.name) for t in state.timers)):
            try:
                after, _ = step(state, what)
            except NotPossible:
                continue
            if after not in found:
                found.add(after)
                todo.append(after)
        assert len(found) < 60_000, "the PC's states grow without end"
    assert max(s.power.boots for s in found) == 99
