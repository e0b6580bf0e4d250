"""What a user's profile holds, and the rules by which Windows runs ``Run`` and ``RunOnce`` (Windows facts 1.1).

* A RunOnce value is deleted *before* its command is run; with ``!`` in front of its name, after it was started.
* In safe mode both keys are ignored, but for RunOnce values with ``*`` in front of their name.
* HKLM RunOnce runs only when a member of Administrators signs in. HKCU belongs to one user; a temporary profile has a
  hive of its own.

Which of ``*!`` and ``!*`` is valid together is unverified; both are accepted here.
"""

from __future__ import annotations

from typing import NamedTuple

from rrsim.backends.sim.pc.state import TEMPORARY, Autostart
from rrsim.backends.sim.pc.turn import Turn


class Plan(NamedTuple):
    """What Windows does with the autostart values at one logon."""

    run: tuple[Autostart, ...]
    """To be started, in registry order (Windows promises none)."""
    delete_now: tuple[Autostart, ...]
    """Deleted before their command is run: lost if it then does not start (LO-14)."""


def prefixes(name: str) -> str:
    """Return the leading ``!`` and ``*`` of a value name."""
    return name[: len(name) - len(name.lstrip("!*"))]


def deferred(entry: Autostart) -> bool:
    """Whether the value is deleted only after its command was started."""
    return entry.key == "RunOnce" and "!" in prefixes(entry.name)


def plan(entries: tuple[Autostart, ...], *, profile: str, administrator: bool, safe_mode: bool) -> Plan:
    """Return what Windows runs when ``profile`` signs in."""
    run = tuple(e for e in entries if _runs(e, profile, administrator=administrator, safe_mode=safe_mode))
    return Plan(run, tuple(e for e in run if e.key == "RunOnce" and not deferred(e)))


def _runs(entry: Autostart, profile: str, *, administrator: bool, safe_mode: bool) -> bool:
    if safe_mode and not (entry.key == "RunOnce" and "*" in prefixes(entry.name)):
        return False
    if entry.hive == "HKCU":
        return entry.user == profile
    return entry.key == "Run" or administrator


def drop_temporary(t: Turn) -> None:
    """A temporary profile is deleted with everything that was written in it (LO-12)."""
    if t.state.disk.record_owner == TEMPORARY:
        t.disk(record=None, record_owner="", damaged=False, readable=False)
    if any(e.user == TEMPORARY for e in t.state.disk.entries):
        t.disk(entries=tuple(e for e in t.state.disk.entries if e.user != TEMPORARY))
