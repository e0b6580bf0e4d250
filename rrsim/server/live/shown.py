"""What a representative's console shows: the queue, the representative's own sessions, and what became of restarts.

Consoles are told of changes as they happen (:func:`rrsim.server.live.api.console`); what is here lets a console that
was away see where things stand, so that it never has to remember anything.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, get
from litestar.params import PathParameter

from rrsim.live_clock import monotonic_us
from rrsim.protocol import records as rec
from rrsim.protocol.messages import BootMode
from rrsim.server.live import api, wishes
from rrsim.server.live.ends import LiveSession
from rrsim.server.live.registry import Registry
from rrsim.server.live.screens import Screens

MAX_OPEN: Final = 200
"""How many open sessions a console is shown: the oldest, they have waited longest."""
MAX_CLOSED: Final = 20
"""How many closed sessions of its representative: the latest."""
LOOK_BACK: Final = 1000
"""How many records of a session are looked through for what became of its last restart."""

RepName = Annotated[str, PathParameter(pattern=wishes.NAME_PATTERN, description="A representative's name.")]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a session's last restart."""

    number: int
    phase: str
    """``resumed``, ``expired``, ``refused``, ``cancelled`` or ``lost``."""
    reason: str
    by: str
    """Who cancelled it: ``representative`` or ``customer``; empty for every other phase."""
    boot_mode: BootMode
    """How the PC came back; for a restart that did not happen, how it was to."""


class Snapshot(msgspec.Struct, frozen=True):
    """A picture of the customer's screen that can be fetched."""

    number: int
    age_us: int


class ShownSession(msgspec.Struct, frozen=True):
    """A session as a console shows it."""

    info: wishes.SessionInfo
    outcome: Outcome | None
    end_reason: str
    """Why the session is over; empty while it is open."""
    sharing_asked: bool
    """The customer is being asked whether the screen may be shared."""
    sharing_reason: str
    """Why sharing was last switched on or off."""
    screenshot: Snapshot | None


class Shown(msgspec.Struct, frozen=True):
    """Everything one console shows."""

    queued: int
    """How many sessions wait for a representative, those not shown included."""
    sessions: list[ShownSession]


def shown(registry: Registry, screens: Screens, rep: str) -> Shown:
    """Return what the console of ``rep`` shows now: the queue and the sessions of ``rep``, oldest first."""
    opened: list[LiveSession] = []
    closed: list[LiveSession] = []
    queued = 0
    for session in registry.sessions.values():
        owner = session.state.durable.rep
        if session.state.over:
            if owner == rep:
                closed.append(session)
            continue
        queued += not owner
        if owner == rep or (not owner and len(opened) < MAX_OPEN):
            opened.append(session)
    chosen = (*closed[-MAX_CLOSED:], *opened)
    return Shown(queued, [shown_session(registry, screens, session) for session in chosen])


def shown_session(registry: Registry, screens: Screens, session: LiveSession) -> ShownSession:
    """Return one session as a console shows it now."""
    picture = screens.latest(session.id)
    latest = session.records[-LOOK_BACK:]
    sharing = next((r for r in reversed(latest) if isinstance(r, rec.SharingChanged)), None)
    return ShownSession(
        info=wishes.info(registry, session),
        outcome=outcome(latest) if session.state.durable.restarts else None,
        end_reason=_end_reason(latest) if session.state.over else "",
        sharing_asked=bool(session.state.durable.sharing_ask),
        sharing_reason=sharing.reason if sharing else "",
        screenshot=Snapshot(picture.number, monotonic_us() - picture.taken_us) if picture else None,
    )


def outcome(records: list[rec.AnyRecord]) -> Outcome | None:
    """Return what became of the last restart in these records; None while it is under way, or if there is none."""
    over: rec.SessionEnded | rec.SessionLost | None = None
    end: tuple[int, str, str, str, bool | None] | None = None
    for r in reversed(records):
        if isinstance(r, rec.SessionEnded | rec.SessionLost):
            over = r
        elif isinstance(r, rec.RestartAsked):
            if end is None:
                end = (r.restart, "lost", over.reason, "", None) if over else None
            if end is None:
                return None
            number, phase, reason, by, safe_mode = end
            mode: BootMode = r.boot_mode if safe_mode is None else "safe" if safe_mode else "normal"
            return Outcome(number, phase, reason, by, mode)
        elif end is None:
            end = _end_of_restart(r)
    return None


def _end_of_restart(r: rec.AnyRecord) -> tuple[int, str, str, str, bool | None] | None:
    """Return number, phase, reason, who, and whether the PC came back in safe mode."""
    if isinstance(r, rec.RestartRefused | rec.RestartUndone):
        return r.restart, "refused", r.reason, "", None
    if isinstance(r, rec.RestartCancelled):
        return r.restart, "cancelled", r.reason, r.by, None
    if isinstance(r, rec.EndpointResumed) and r.restart:
        return r.restart, "resumed", "late" if r.late else "", "", r.safe_mode
    if isinstance(r, rec.SessionExpired):
        return r.restart, "expired", "", "", None
    return None


def _end_reason(records: list[rec.AnyRecord]) -> str:
    for r in reversed(records):
        if isinstance(r, rec.SessionEnded):
            return f"{r.by}: {r.reason}"
        if isinstance(r, rec.SessionLost):
            return r.reason
        if isinstance(r, rec.SessionExpired):
            return "the resume window ran out"
    return ""


def handlers(screens: Screens) -> Router:
    """Return the handler that tells a console where things stand."""

    @get("/reps/{rep:str}/sessions", summary="What a representative's console shows")
    async def show_sessions(rep: RepName, request: Request[Any, Any, Any]) -> Shown:
        """Show the queue, and the sessions that the representative has or had."""
        return shown(api.running(request).registry, screens, rep)

    return Router("/api", guards=[api.has_token], security=[{"bearer": []}], route_handlers=[show_sessions])
