"""Histories as JSON lines: the first line is the header, every further line one entry.

The form is byte-stable: the same history gives the same bytes, in every process. Secrets are masked on the way out
(rule 5), so what is read back shows ``***`` where a ticket was. Each line carries its place among the lines of the same
source (``seq``), which shows on reading whether lines are missing.

An event is written as ``{"kind": …, "event": {…}}``, where the kind says which vocabulary the event's own tag is of.
Events of a vocabulary that this room does not know (the agent's log) keep their name and fields as plain data.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, get_args

import msgspec

from rrsim.machine.observations import AnyObservation
from rrsim.protocol.messages import SECRET_FIELDS, AgentMessage, ConsoleMessage, RepMessage, ServerMessage
from rrsim.protocol.records import AnyRecord
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from rrsim.scenario.actions import AnyAction
from rrsim.scenario.history import Entry, Header, History
from rrsim.scenario.words import Duration

FORMAT: Final = 1
MASK: Final = "***"
MAX_BYTES: Final = 256 * 1024 * 1024
MAX_LINE_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 2_000_000

AnyMessage = AgentMessage | ServerMessage | RepMessage | ConsoleMessage
AnyTimer = SetTimer | CancelTimer | TimerFired


class HistoryError(ValueError):
    """A history cannot be read or written; the message says file, line, what was expected and what was seen."""


class Other(msgspec.Struct, frozen=True, gc=False):
    """An event that no vocabulary of this room knows, as it was read back."""

    name: str
    fields: dict[str, Any] = {}


class _Line(msgspec.Struct, frozen=True, gc=False, tag_field="kind", forbid_unknown_fields=True):
    """Base of the lines after the header."""

    t_us: int
    source: str
    seq: int
    cause: int


class RecordLine(_Line, frozen=True, tag="record"):
    """A journal record of the session server."""

    event: AnyRecord


class ObservationLine(_Line, frozen=True, tag="observation"):
    """What a witness outside the cores saw."""

    event: AnyObservation


class MessageLine(_Line, frozen=True, tag="message"):
    """Something that travelled."""

    event: AnyMessage


class ActionLine(_Line, frozen=True, tag="action"):
    """Something the director did."""

    event: AnyAction


class TimerLine(_Line, frozen=True, tag="timer"):
    """A timer of a core."""

    event: AnyTimer


class OtherLine(_Line, frozen=True, tag="other"):
    """Anything else."""

    event: Other


class _Top(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line."""

    rrsim_history: int
    header: Header


_AnyLine = RecordLine | ObservationLine | MessageLine | ActionLine | TimerLine | OtherLine

LINES: Final[dict[type[Any], type[Any]]] = {
    **dict.fromkeys(get_args(AnyRecord), RecordLine),
    **dict.fromkeys(get_args(AnyObservation), ObservationLine),
    **dict.fromkeys(get_args(AnyMessage), MessageLine),
    **dict.fromkeys(get_args(AnyAction), ActionLine),
    **dict.fromkeys(get_args(AnyTimer), TimerLine),
    Other: OtherLine,
}
"""Event type -> the line it is written as."""

_SECRETS: Final[dict[type[Any], tuple[str, ...]]] = {
    kind: tuple(field for field in kind.__struct_fields__ if field in SECRET_FIELDS) for kind in LINES
}


def _out(value: Any) -> int:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(f"cannot write {type(value).__name__}")


def _in(kind: type[Any], value: Any) -> Any:
    if kind is Duration and type(value) is int:
        return Duration(value)
    raise TypeError(f"expected microseconds, seen {value!r}")


_ENCODER: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_out)
_TOP: Final = msgspec.json.Decoder(_Top)
_LINE: Final = msgspec.json.Decoder(_AnyLine, dec_hook=_in)


def masked(event: Any) -> Any:
    """Return the event with its secrets replaced; the same object if it has none."""
    secrets = _SECRETS.get(type(event))
    if secrets is None:
        return _other(event)
    if not secrets:
        return event
    return msgspec.structs.replace(event, **{field: MASK for field in secrets if getattr(event, field)})


def _other(event: Any) -> Other:
    fields = msgspec.to_builtins(event, enc_hook=_out)
    if not isinstance(fields, dict):
        raise HistoryError(f"expected an event that is a struct, seen {type(event).__name__}; record structs only")
    return Other(type(event).__name__, _mask_in(fields))


def _mask_in(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: MASK if k in SECRET_FIELDS and v else _mask_in(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_mask_in(item) for item in value]
    return value


def dump(history: History) -> bytes:
    """Return the history as JSON lines.

    Raises:
        HistoryError: an entry holds something that is no struct.
    """
    out = [_ENCODER.encode(_Top(FORMAT, history.header))]
    counts: dict[str, int] = {}
    for t_us, source, event, cause in history.entries:
        seq = counts[source] = counts.get(source, 0) + 1
        shown = masked(event)
        out.append(_ENCODER.encode(LINES[type(shown)](t_us, source, seq, cause, shown)))
    out.append(b"")
    return b"\n".join(out)


def digest(history: History) -> str:
    """Return the BLAKE2b fingerprint of the exported history: equal exactly if the histories are."""
    return hashlib.blake2b(dump(history), digest_size=32).hexdigest()


def load(data: bytes, name: str = "history") -> History:
    """Read a history from JSON lines; ``name`` is the file's name, for errors.

    Raises:
        HistoryError: too large, not a history, of another format version, or damaged; with file and line.
    """
    if len(data) > MAX_BYTES:
        raise HistoryError(f"{name}: expected at most {MAX_BYTES} bytes, seen {len(data)}; is this a history of rrsim?")
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise HistoryError(f"{name}: expected a history, seen an empty file; was the run interrupted?")
    if len(lines) - 1 > MAX_ENTRIES:
        raise HistoryError(f"{name}: expected at most {MAX_ENTRIES} entries, seen {len(lines) - 1}")
    header = _header(lines[0], name)
    entries: list[Entry] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        entries.append(_entry(line, f"{name}:{number}", counts, len(entries)))
    return History(header, entries)


def _header(line: bytes, name: str) -> Header:
    where = f"{name}:1"
    if len(line) > MAX_LINE_BYTES:
        raise HistoryError(f"{where}: expected at most {MAX_LINE_BYTES} bytes in a line, seen {len(line)}")
    try:
        top = _TOP.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise HistoryError(f"{where}: expected the header of a history, seen: {problem}; is this a history?") from None
    if top.rrsim_history != FORMAT:
        raise HistoryError(
            f"{where}: expected history format {FORMAT}, seen {top.rrsim_history}; use the rrsim version that wrote it"
        )
    return top.header


def _entry(line: bytes, where: str, counts: dict[str, int], index: int) -> Entry:
    if len(line) > MAX_LINE_BYTES:
        raise HistoryError(f"{where}: expected at most {MAX_LINE_BYTES} bytes in a line, seen {len(line)}")
    try:
        one = _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise HistoryError(f"{where}: expected an entry, seen: {problem}; the file is damaged or cut off") from None
    due = counts.get(one.source, 0) + 1
    if one.seq != due:
        raise HistoryError(f"{where}: expected entry {due} of {one.source}, seen {one.seq}; lines are missing or moved")
    if not -1 <= one.cause < index:
        raise HistoryError(f"{where}: expected an earlier entry as cause, seen {one.cause}; lines are missing or moved")
    counts[one.source] = due
    return (one.t_us, one.source, one.event, one.cause)
