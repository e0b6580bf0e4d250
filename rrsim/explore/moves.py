"""What may happen next in a composed state: due events, and what people and faults may add while the budget lasts.

*Due* events must happen sooner or later: a message arrives, a timer fires, an attempt to connect ends, a person answers
or signs in. A timer that runs may fire next, whatever its duration: all orders are tried, the real ones among them.
*Optional* moves cost budget and may never happen.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec

from rrsim.backends.sim import parts
from rrsim.backends.sim.pc.state import PcState
from rrsim.explore import ending
from rrsim.explore import network as net
from rrsim.protocol import messages as msg
from rrsim.protocol.messages import SECRET_FIELDS
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as do
from rrsim.scenario.words import Duration

AGENT_TIMERS: Final = frozenset(
    {"retry", "restart limit", "idle", "tidy", "ask restart", "ask sharing", "ask leave"}
)  # fmt: skip
"""The agent's timers that may fire. Signs of life never fail here: a dead connection says so through its queue. An
answer of Windows never stays away, and the agent never gives up: the bounds always let it reach the server."""

SERVER_TIMERS: Final = frozenset({"window", "limit", "confirm", "ask restart", "ask sharing"})
"""The server's timers that may fire, for the same reasons."""

GUARDED: Final = frozenset({"ask restart", "ask sharing"})
"""Server timers that are longer than the agent's own of the same name: they fire only if that one does not run."""


To = Literal["pc", "net", "agent", "server", "rep", "thief", "stage"]
"""Who is moved. ``rep``: the representative says something. ``thief``: a second machine does. ``stage``: the harness
goes on to the next stage."""


class Move(NamedTuple):
    """One thing that happens next."""

    to: To
    what: Any
    cost: str = ""
    """The budget it is paid from; empty for due events."""
    side: int = 0
    """Which customer's part of the world: 0 for the first one."""


class RepSays(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """The representative says something at the console."""

    message: msg.RepMessage


class Copies(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag="copies the saved ticket"):
    """The second machine gets a copy of what the agent has saved (SE-01)."""


class Presents(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag="presents the copied ticket"):
    """The second machine claims the session with its copy: as itself, or under the name of the customer's PC.

    A machine that pretends to be the customer's, in a boot of its own, has all that the customer's PC has; nothing
    could tell them apart, and no move does that. So the pretender states the boot in which the ticket was copied.
    """

    pretends: bool


class JoinsToo(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag="joins with the session's code"):
    """A second endpoint (RE-05)."""


_ANSWERS: Final = tuple(
    parts.Press("customer", window, button)
    for window in ("restart prompt", "sharing prompt", "leave prompt")
    for button in ("yes", "no")
)
_FAULTS: Final = (
    Move("pc", do.PowerCut(returns_after_us=Duration(1)), "sudden"),
    Move("pc", do.PcCrashes(), "sudden"),
    Move("pc", do.AgentDies(), "sudden"),
    Move("pc", do.HelperDies(), "sudden"),
    Move("pc", do.PrivilegeTaken(), "troubles"),
    Move("pc", parts.Press("customer", "chat", "close"), "troubles"),
    Move("pc", parts.Press("customer", "cancel option", "cancel"), "cancels"),
    Move("pc", do.CustomerRestartsFromStart(), "foreign"),
    Move("pc", parts.TypeChat("hello"), "chats"),
    Move("pc", do.DiskFills(), "refusals"),
)

_ONCE_ONLY: Final = (msg.Hello, msg.Join, msg.Resume, msg.Reconnect, msg.CancelResume, net.Gone)
"""What comes at most once on a connection: a greeting, a claim, the end. A connection keeps order and loses nothing in
its midst, so a copy of these could only come from an endpoint that makes one."""


def due_at_pc(state: PcState) -> tuple[Move, ...]:
    """Return the PC's running timers, and what the customer is bound to do there."""
    timers = tuple(Move("pc", TimerFired(timer.name)) for timer in state.timers)
    shown = {window.window for window in state.screen.windows}
    answers = tuple(Move("pc", press) for press in _ANSWERS if press.window in shown)
    sign_in = (Move("pc", parts.SignIn("right user")),) if state.power.phase == "welcome" else ()
    return timers + answers + sign_in


def dial_at_pc(state: PcState) -> tuple[Move, ...]:
    """Return what a customer without an internet connection is bound to do: dial, once somebody is at the desktop."""
    session = state.session
    there = state.power.phase == "desktop" and session.ready and session.desktop == "visible"
    return (Move("net", net.Dial()),) if there else ()


def faults_at_pc(state: PcState, denied: tuple[do.Thing, ...]) -> tuple[Move, ...]:
    """Return what people and misfortune could do to the PC now; ``denied``: what a security tool may deny."""
    shown = {window.window for window in state.screen.windows}
    denies = [Move("pc", do.ToolBlocks(thing=thing), "refusals") for thing in denied]
    return tuple(
        move
        for move in (*_FAULTS, *denies)
        if not (isinstance(move.what, do.PrivilegeTaken) and state.faults.no_privilege)
        and not (isinstance(move.what, parts.Press) and move.what.window not in shown)
    )


def due_on_net(state: net.Net) -> tuple[Move, ...]:
    """Return what arrives next on each queue, and the end of an attempt to connect."""
    found = [Move("net", net.Tried(state.line))] if state.trying else []
    for link in state.links:
        if link.up:
            found.append(Move("net", net.Up(link.conn)))
        if link.down:
            found.append(Move("net", net.Down(link.conn)))
    return tuple(found)


def faults_on_net(state: net.Net) -> tuple[Move, ...]:
    """Return which attempts may fail, which connections may be lost and which messages may be doubled now."""
    found = [Move("net", net.Tried(False), "failures")] if state.trying and state.line else []
    for link in state.links:
        whole = link.at_agent and link.at_server and net.GONE not in link.up and net.GONE not in link.down
        if whole or (link.at_server and len(link.up) > 1):
            found.append(Move("net", net.Lose(link.conn), "losses"))
        if link.desk.stage == "routed" and link.at_server:
            heads = ((True, link.up[:1]), (False, link.down[:1]))
            found += [Move("net", net.Again(link.conn, up), "duplicates")
                      for up, head in heads if head and not isinstance(head[0], _ONCE_ONLY)]
    return tuple(found)


def faults_of_line(state: net.Net) -> tuple[Move, ...]:
    """Return the loss of the carrier, where the internet is a telephone call."""
    return (Move("net", net.LineDown(), "losses"),) if state.line else ()


def due_timers_of_agent(running: tuple[str, ...], state: PcState) -> tuple[Move, ...]:
    """Return the agent's timers that may fire now.

    What a security tool or a full disk keeps it from taking away it tries in vain once a minute, and is where it was:
    only the tries count that come after the tool has let go.
    """
    held = ending.held(state)
    return tuple(Move("agent", TimerFired(name)) for name in running if name != "tidy" or not held)


def due_timers_of_server(running: tuple[str, ...], agents: tuple[str, ...]) -> tuple[Move, ...]:
    """Return the session's timers that may fire now, beside those of the agent that run."""
    return tuple(Move("server", TimerFired(name)) for name in running if name not in GUARDED or name not in agents)


def say(move: Move, customers: int = 1) -> str:
    """Write a move for people; among several customers, with the customer it concerns."""
    return f"{_said(move)}{f' [customer {move.side + 1}]' if customers > 1 else ''}"


def _said(move: Move) -> str:
    what = move.what
    if isinstance(what, TimerFired):
        return f"{move.to}: timer {what.name!r} fires"
    if isinstance(what, net.Up | net.Down):
        return f"net: the next message on connection {what.conn} arrives {'up' if isinstance(what, net.Up) else 'down'}"
    if isinstance(what, net.Tried):
        return f"net: the attempt to connect {'succeeds' if what.well else 'fails'}"
    if isinstance(what, net.Lose):
        return f"net: connection {what.conn} is lost"
    if isinstance(what, net.Again):
        return f"net: the next message on connection {what.conn} will arrive {'up' if what.up else 'down'} twice"
    if isinstance(what, net.LineDown | net.Dial):
        return "net: the carrier is lost" if isinstance(what, net.LineDown) else "net: the customer dials"
    if move.to == "stage":
        return f"harness: {ending.STAGES[what]}"
    return f"{move.to}: {plain(what)}"


def plain(what: Any) -> str:
    """Write any struct of the vocabulary in one short line, without its secrets and the fields that nobody set."""
    if not hasattr(what, "__struct_fields__"):
        return str(what)
    config = what.__struct_config__
    name = config.tag if isinstance(config.tag, str) else type(what).__name__
    fields = [(key, getattr(what, key)) for key in what.__struct_fields__]
    told = [f"{key}={_short(key, value)}" for key, value in fields if value not in ("", 0)]
    return f"{name}({', '.join(told)})" if told else str(name)


def _short(key: str, value: Any) -> str:
    if key in SECRET_FIELDS:
        return "***"
    text = plain(value) if hasattr(value, "__struct_fields__") else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST - 1]}…"


_LONGEST: Final = 60
