"""Names of events: the word a scenario uses after ``when:`` or ``event:`` for each type of event."""

from __future__ import annotations

from typing import Any, Final, get_args

from rrsim.machine.observations import AnyObservation
from rrsim.protocol.messages import AgentMessage, ConsoleMessage, RepMessage, ServerMessage
from rrsim.protocol.records import AnyRecord


def tag(kind: Any) -> str:
    """Return the name that a struct of the vocabulary, or its type, has in files."""
    return str(kind.__struct_config__.tag)


EVENT_TYPES: Final[dict[str, type]] = {
    **{tag(t): t for t in get_args(AnyObservation)},
    **{tag(t): t for t in get_args(AnyRecord)},
    **{
        f"message {tag(t)}": t
        for union in (AgentMessage, ServerMessage, RepMessage, ConsoleMessage)
        for t in get_args(union)
    },
}
"""Every event a step can wait for, by name: observations and records by their tag, messages as ``message TAG``."""

EVENT_NAMES: Final[dict[type, str]] = {t: name for name, t in EVENT_TYPES.items()}
"""The name of each event type."""


def matches(event: Any, where: dict[str, str | int | bool]) -> bool:
    """Say whether every field named in ``where`` has exactly that value in ``event``."""
    return all(getattr(event, field, None) == value for field, value in where.items())
