"""What a run is worth as evidence for an id: *modelled*, *stand-in* or *real*. Pure; ``docs/wine.md`` says why.

Everything on the simulator is *modelled*. On a live backend an id counts as *real* only if what the id is about was
decided by the real thing: the agent, the session server, Windows' own dialog, a real click. A stand-in may carry a run
(take the power away, sign somebody in, hand on a restart request) without spoiling it; it must not decide.
:data:`DECIDES` says which ids each stand-in decides. A stand-in that is not known here decides everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

Grade = Literal["modelled", "stand-in", "real"]

PREFIX: Final = "stand-in: "
"""How names of stand-ins begin; the harness's eyes and watchers have other names and decide nothing."""

_BOOT: Final = frozenset({"R2", "I6", "I7", "I10", "rule 7"})

DECIDES: Final[dict[str, frozenset[str]]] = {
    # Whether and how the PC boots into safe mode, and whether the flag is still there afterwards.
    "boot options": _BOOT,
    "safe boot with networking": _BOOT,
    # Whether a program can hold a restart up, and what the customer is shown then.
    "block screen": frozenset({"rule 11"}),
    # Who may sign in, and which autostart entries run then. A service is started by Wine's own service manager, so this
    # one decides in application mode only: see `grade`.
    "power, sign-in and per-user autostart": frozenset({"R8", "rule 4"}),
    # A Mac that is only a process cannot be restarted whatever anybody asks of it. That the feature is absent, and
    # refused if forced (R10), is decided by the real server over the real protocol.
    "Mac": frozenset({"I8"}),
    # When the line is up, and whether Windows offers to dial.
    "dial-up": frozenset({"R12"}),
    # These carry only: they hand on what a program asked of Windows, or bring the link up.
    "shutdown API": frozenset(),
    "RegFlushKey": frozenset(),
    "ExitWindowsEx": frozenset(),
    "shutdown and session notices to services": frozenset(),
    "shutdown.exe": frozenset(),
    "vpn": frozenset(),
    "wifi": frozenset(),
    "captive portal": frozenset(),
}
"""Short name of a stand-in to the ids that it decides."""

_SIGN_IN: Final = "power, sign-in and per-user autostart"


def short_name(stand_in: str) -> str:
    """Return the name of a stand-in without prefix and explanation: ``stand-in: boot options (bcdedit.exe)``."""
    return stand_in.removeprefix(PREFIX).partition(" (")[0]


def decided_by(id_: str, stand_ins: Sequence[str], *, service: bool) -> tuple[str, ...]:
    """Return which of a run's stand-ins decided what an id is about.

    Args:
        id_: a requirement, rule or invariant.
        stand_ins: what took part, as reports name it.
        service: whether the agent ran as a service.
    """
    found = []
    for name in stand_ins:
        if not name.startswith(PREFIX):
            continue
        short = short_name(name)
        if service and short == _SIGN_IN and id_ == "R8":
            continue
        if id_ in DECIDES.get(short, {id_}):
            found.append(short)
    return tuple(found)


def grade(id_: str, backend: str, stand_ins: Sequence[str], *, service: bool) -> Grade:
    """Return what a run is worth for one id; see :func:`decided_by` for the arguments."""
    if backend == "sim":
        return "modelled"
    return "stand-in" if decided_by(id_, stand_ins, service=service) else "real"
