"""How an event reads to a person: one phrase, a weight and a tone for every kind of event.

Weights: ``KEY`` events are drawn as labelled marks in the picture; ``PLAIN`` ones appear in the text timeline;
``DETAIL`` ones only when everything is asked for. Secrets are masked (rule 5): fields named in
:data:`rrsim.protocol.messages.SECRET_FIELDS` never reach a phrase.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from rrsim.machine import observations as seen
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.scenario.actions import Action
from rrsim.scenario.history_io import Other
from rrsim.scenario.words import Duration, yaml_key

Tone = Literal["good", "bad", "warn", "info", "mute"]

KEY: Final = 3
PLAIN: Final = 2
DETAIL: Final = 1
MASK: Final = "(secret)"


class Phrase(msgspec.Struct, frozen=True, gc=False):
    """What an event says, how much it matters, and whether it is good news."""

    text: str
    weight: int = PLAIN
    tone: Tone = "info"


_TABLE: Final[dict[type, tuple[str, int, Tone]]] = {
    # the server's records
    r.SessionRequested: ("support requested: {e.session}", PLAIN, "info"),
    r.SessionTaken: ("session taken by {e.rep}", PLAIN, "info"),
    r.EndpointJoined: ("agent joined ({e.mode} mode, {e.boot})", PLAIN, "good"),
    r.EndpointLost: ("agent's connection lost: {e.reason}", PLAIN, "warn"),
    r.EndpointReconnected: ("same agent reconnected", PLAIN, "info"),
    r.RestartAsked: ("restart {e.restart} asked: {e.boot_mode}, from the {e.place}", PLAIN, "info"),
    r.RestartConfirmed: ("{e.rep} answered {e.answer} to restart {e.restart}", PLAIN, "info"),
    r.CustomerAsked: ("customer asked about {e.kind}", PLAIN, "info"),
    r.CustomerAnswered: ("customer's answer about {e.kind}: {e.answer}", PLAIN, "info"),
    r.RestartRefused: ("restart refused: {e.reason}", KEY, "bad"),
    r.RestartCancelled: ("restart cancelled by {e.by}: {e.reason}", KEY, "bad"),
    r.OrderGiven: ("restart {e.restart} ordered", KEY, "info"),
    r.OrderArmed: ("restart limit runs (agent armed)", PLAIN, "info"),
    r.WindowOpened: ("resume window opens ({e.reason})", KEY, "warn"),
    r.WindowOffline: ("window passed, shown offline", KEY, "bad"),
    r.EndpointResumed: ("RESUMED in the same session ({e.boot})", KEY, "good"),
    r.RestartUndone: ("restart did not happen: {e.reason}", KEY, "warn"),
    r.ClaimRejected: ("{e.what} rejected: {e.reason}", KEY, "bad"),
    r.SharingChanged: ("screen sharing changed: {e.reason}", PLAIN, "info"),
    r.ChatLine: ("chat {e.seq}, {e.author}: {e.text}", PLAIN, "mute"),
    r.HelperSeen: ("helper on desktop {e.desktop}", DETAIL, "mute"),
    r.RepLost: ("{e.rep}'s console lost", PLAIN, "warn"),
    r.RepBack: ("{e.rep}'s console back", PLAIN, "info"),
    r.SessionTransferred: ("session transferred to {e.rep}", KEY, "info"),
    r.SessionRequeued: ("session back in the queue: {e.reason}", KEY, "warn"),
    r.SessionExpired: ("EXPIRED: session closed", KEY, "bad"),
    r.SessionLost: ("LOST: {e.reason}", KEY, "bad"),
    r.SessionEnded: ("session ended by {e.by}: {e.reason}", KEY, "info"),
    # the machine, its network and its people
    seen.PhaseBegan: ("PC phase: {e.phase}", PLAIN, "mute"),
    seen.BootBegan: ("new boot {e.boot}, cause: {e.cause}", KEY, "info"),
    seen.WokeUp: ("PC woke from {e.how}, no new boot", KEY, "info"),
    seen.WentDown: ("PC down: {e.cause}", KEY, "warn"),
    seen.LoggedOn: ("{e.user} signed in, desktop {e.desktop}", KEY, "info"),
    seen.LogonFailed: ("wrong password for {e.user}", KEY, "warn"),
    seen.HostCall: ("{e.verb} {e.detail}", DETAIL, "mute"),
    seen.RestartBegan: ("Windows accepts a restart ({e.cause}, by {e.by})", KEY, "warn"),
    seen.RestartBlocked: ("{e.app} blocks the restart", KEY, "bad"),
    seen.RestartStopped: ("restart taken back by {e.by}", KEY, "warn"),
    seen.SessionEnds: ("Windows is going down ({e.cause})", PLAIN, "warn"),
    seen.AgentStarted: ("agent starts ({e.why})", KEY, "info"),
    seen.AgentStopped: ("agent stops: {e.why}", PLAIN, "mute"),
    seen.WindowShown: ("{e.window} shown", PLAIN, "info"),
    seen.WindowGone: ("{e.window} gone, by {e.by}", PLAIN, "mute"),
    seen.Clicked: ("{e.who} clicks {e.button} ({e.window})", KEY, "info"),
    seen.ScreenSeen: ("screen capture changed", DETAIL, "mute"),
    seen.PendingWork: ("pending installer work changed", KEY, "warn"),
    seen.LinkChanged: ("{e.kind} link changed: {e.reason}", PLAIN, "info"),
    seen.DialProgress: ("dial-up: {e.phase}", KEY, "info"),
    seen.ConnectTried: ("connection attempt: {e.outcome}", PLAIN, "mute"),
    seen.SecretSeen: ("a secret is readable: {e.where}", KEY, "bad"),
    seen.MachineTampered: ("machine changed by others: {e.what}", KEY, "bad"),
    seen.InventoryTaken: ("inventory {e.label} taken", PLAIN, "mute"),
    seen.ServerDown: ("server is down", KEY, "bad"),
    seen.ServerUp: ("server is back from its journal", KEY, "good"),
    seen.RepAway: ("{e.rep}'s console is gone", KEY, "warn"),
    seen.RepReturned: ("{e.rep}'s console is connected", PLAIN, "info"),
    seen.StepDone: ("step done: {e.step}", PLAIN, "mute"),
    seen.StepImpossible: ("step not possible: {e.step}: {e.reason}", KEY, "bad"),
    seen.Healed: ("all faults taken back; now everything must settle", PLAIN, "mute"),
    seen.RunEnded: ("end of the run", PLAIN, "mute"),
    # messages: agent and server
    m.Hello: ("→ hello, {e.platform}, {e.mode} mode", DETAIL, "mute"),
    m.Join: ("→ join", PLAIN, "info"),
    m.Resume: ("→ resume, {e.boot}", KEY, "info"),
    m.Reconnect: ("→ reconnect, same boot", PLAIN, "info"),
    m.AgentChat: ("→ chat: {e.text}", DETAIL, "mute"),
    m.ConsentAnswer: ("→ customer's answer: {e.answer}", PLAIN, "info"),
    m.Armed: ("→ armed", KEY, "good"),
    m.ArmFailed: ("→ could not arm: {e.step}: {e.reason}", KEY, "bad"),
    m.Restarting: ("→ restarting now", PLAIN, "warn"),
    m.NotRestarting: ("→ not restarting: {e.reason}", KEY, "warn"),
    m.Leave: ("→ customer leaves: {e.reason}", KEY, "bad"),
    m.CancelResume: ("→ customer cancelled the reconnect", KEY, "bad"),
    m.HelperState: ("→ helper: desktop {e.desktop}", DETAIL, "mute"),
    m.Heartbeat: ("→ heartbeat", DETAIL, "mute"),
    m.Welcome: ("← welcome", DETAIL, "mute"),
    m.TurnedAway: ("← turned away: {e.reason}", KEY, "bad"),
    m.Joined: ("← joined", DETAIL, "good"),
    m.Resumed: ("← resumed", DETAIL, "good"),
    m.Ask: ("← ask the customer: {e.kind}", PLAIN, "info"),
    m.Order: ("← order: restart, {e.boot_mode}", PLAIN, "info"),
    m.Withdraw: ("← order withdrawn: {e.reason}", KEY, "warn"),
    m.ServerChat: ("← chat, {e.author}: {e.text}", DETAIL, "mute"),
    m.StandBy: ("← stand by for a restart nobody ordered", DETAIL, "mute"),
    m.Sharing: ("← screen sharing", PLAIN, "info"),
    m.SessionOver: ("← session over: {e.reason}", PLAIN, "warn"),
    m.HeartbeatReply: ("← heartbeat", DETAIL, "mute"),
    # messages: representative and server
    m.Take: ("takes the session", PLAIN, "info"),
    m.AskRestart: ("asks for a restart ({e.place})", KEY, "info"),
    m.Confirm: ("confirms: {e.answer}", KEY, "info"),
    m.RepChat: ("types: {e.text}", PLAIN, "mute"),
    m.EndSession: ("ends the session", KEY, "bad"),
    m.Transfer: ("transfers to {e.to}", KEY, "info"),
    m.RequestSharing: ("asks about screen sharing", PLAIN, "info"),
    m.ConfirmRestart: ("is asked: really restart?", PLAIN, "info"),
    m.RestartView: ("sees: {e.phase} {e.reason}", PLAIN, "mute"),
    m.SessionView: ("sees the session: {e.state}", DETAIL, "mute"),
    m.RepSeesChat: ("sees chat {e.seq}, {e.author}: {e.text}", DETAIL, "mute"),
}


def tag_of(event: Any) -> str:
    """Return the phrase under which the event travels and under which scenarios name it."""
    if isinstance(event, Other):
        return event.name
    tag = event.__struct_config__.tag
    return str(tag) if tag is not None else type(event).__name__


def masked(value: Any) -> Any:
    """Return plain data for display with every secret replaced by :data:`MASK`; seals stay, they are no secrets."""
    if isinstance(value, msgspec.Struct):
        pairs = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {n: MASK if n in m.SECRET_FIELDS and v else masked(v) for n, v in pairs}
    if isinstance(value, (tuple, list)):
        return [masked(v) for v in value]
    return value


def _plain(event: Any) -> str:
    """Describe an event without a phrase of its own: its tag and its fields that are set."""
    told = event.fields if isinstance(event, Other) else masked(event)
    fields = {k: v for k, v in told.items() if v not in ("", None, (), [])}
    if isinstance(event, Action):
        fields = {k: v for k, v in fields.items() if k != "customer" or v != 1}
    shown = ", ".join(f"{yaml_key(k)}: {_value(v)}" for k, v in fields.items())
    return f"{tag_of(event)} ({shown})" if shown else tag_of(event)


def _value(value: Any) -> str:
    """Write a field's value as scenario files do."""
    if isinstance(value, Duration):
        return span(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def phrase(event: Any) -> Phrase:
    """Say what an event is to a person. Never fails: unknown events read as their tag and masked fields."""
    special = _SPECIAL.get(type(event))
    if special is not None:
        said: Phrase = special(event)
        return said
    row = _TABLE.get(type(event))
    if row is not None:
        text = row[0].format(e=event).rstrip().removesuffix(":").rstrip()
        return Phrase(text, row[1], row[2])
    return Phrase(_plain(event), PLAIN if isinstance(event, Action) else DETAIL, "mute")


def _on_off(text: str, weight: int) -> Any:
    return lambda e: Phrase(text.format("on" if e.on else "off", e=e), weight, "info")


def _link(e: seen.LinkChanged) -> Phrase:
    text = f"{e.kind} {'up' if e.up else 'down'}" + (f": {e.reason}" if e.reason else "")
    return Phrase(text, KEY, "good" if e.up else "warn")


def _host_call(e: seen.HostCall) -> Phrase:
    detail = f" ({e.detail})" if e.detail else ""
    if e.ok:
        return Phrase(f"{e.verb}{detail}", DETAIL, "mute")
    return Phrase(f"FAILED: {e.verb}{detail}", KEY, "bad")


def _boot(e: seen.BootBegan) -> Phrase:
    mode = ", safe mode" if e.safe_mode else ""
    return Phrase(f"new boot {e.boot} ({e.cause}{mode})", KEY, "info")


def _pending(e: seen.PendingWork) -> Phrase:
    if e.pending:
        return Phrase("work waits for a restart", KEY, "warn")
    return Phrase("pending work done", KEY, "good")


def _answered(e: r.CustomerAnswered) -> Phrase:
    tone: Tone = "good" if e.answer == "yes" else "bad"
    return Phrase(f"customer's answer about {e.kind}: {e.answer}" + ("" if e.human else " (nobody)"), KEY, tone)


def _shown(e: seen.WindowShown) -> Phrase:
    return Phrase(f"{e.window} shown" + (f": {e.text}" if e.text else ""), PLAIN, "info")


def _tried(e: seen.ConnectTried) -> Phrase:
    if e.outcome == "connected":
        return Phrase("connected to the server", KEY, "info")
    return Phrase(f"no connection: {e.outcome}", PLAIN, "warn")


_SPECIAL: Final[dict[type, Any]] = {
    r.SharingChanged: lambda e: Phrase(f"screen sharing {'on' if e.on else 'off'}: {e.reason}", KEY, "info"),
    seen.ScreenSeen: _on_off("screen capture {0}", PLAIN),
    m.Sharing: _on_off("← screen sharing {0}", PLAIN),
    m.RequestSharing: _on_off("asks for screen sharing {0}", PLAIN),
    seen.LinkChanged: _link,
    seen.HostCall: _host_call,
    seen.BootBegan: _boot,
    seen.PendingWork: _pending,
    seen.WindowShown: _shown,
    seen.ConnectTried: _tried,
    r.CustomerAnswered: _answered,
}


def span(us: int) -> str:
    """Write a span of time as a person would: ``850ms``, ``42.5s``, ``9m 59.999s``, ``1h 02m``."""
    sign, us = ("-", -us) if us < 0 else ("", us)
    if us < 1_000_000:
        return f"{sign}{us / 1000:.3f}".rstrip("0").rstrip(".") + "ms"
    seconds = us / 1_000_000
    if seconds < 60:
        return f"{sign}{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(us, 60_000_000)
    if minutes < 60:
        tail = f" {rest / 1_000_000:.3f}".rstrip("0").rstrip(".") + "s" if rest else ""
        return f"{sign}{minutes}m{tail}"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h {minutes:02d}m"


def plural(number: int, what: str) -> str:
    """Write a number with its noun: ``1 run``, ``2 runs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def brief_span(us: int) -> str:
    """Write a span for a narrow place: tenths of a second below ten seconds, whole seconds above."""
    if abs(us) < 10_000_000:
        return span(round(us, -5))
    return span(round(us, -6))


def stamp(us: int) -> str:
    """Write a point in time for a column: ``m:ss.mmm``, minutes may exceed 60."""
    sign, us = ("-", -us) if us < 0 else ("", us)
    ms = round(us / 1000)
    return f"{sign}{ms // 60_000}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
