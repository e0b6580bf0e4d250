"""The events a scenario can name after ``when:`` and in its expectations, and the fields it can ask of them.

An event is named by the tag of an observation or a record, or by ``message TYPE`` for a message between agent, server
and console. Fields are written like all keys of the format (``safe mode``, not ``safe_mode``; no unit) and are turned
into the field names of the event's struct here.
"""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, Final, Literal, get_args, get_origin

from rrsim.protocol.messages import SECRET_FIELDS
from rrsim.scenario.durations import WrongDuration, parse
from rrsim.scenario.errors import Place, Trouble, closest, listed, shown
from rrsim.scenario.vocabulary import EVENT_TYPES
from rrsim.scenario.words import Duration, yaml_key

MESSAGE: Final = "message "
"""What stands before the type of a message."""


EVENTS: Final = EVENT_TYPES
"""Every event a scenario can name, by that name."""


@functools.cache
def event_fields(name: str) -> dict[str, tuple[str, Any]]:
    """Return the fields of an event that ``where:`` can ask for: YAML key -> (field of the struct, its type).

    Secrets and fields that hold more than one value are left out.
    """
    return {
        yaml_key(field): (field, hint)
        for field, hint in typing.get_type_hints(EVENTS[name]).items()
        if field not in SECRET_FIELDS and _is_scalar(hint)
    }


def _is_scalar(hint: Any) -> bool:
    if get_origin(hint) in (typing.Union, types.UnionType):
        return all(_is_scalar(part) for part in get_args(hint))
    return hint in (str, int, bool, type(None)) or get_origin(hint) is Literal


def check_event(name: str, at: Place) -> list[Trouble]:
    """Say what is wrong with the name of an event; an empty list if nothing is."""
    if name in EVENTS:
        return []
    near = closest(name, EVENTS)
    if not near and MESSAGE + name in EVENTS:
        near = MESSAGE + name
    hint = f"{near!r}" if near else "one of the events in docs/scenarios.md"
    return [Trouble(at, f"expected the name of an event, saw {shown(name)}", hint)]


def read_where(name: str, where: dict[str, Any], at: Place) -> tuple[dict[str, str | int | bool], list[Trouble]]:
    """Turn ``where:`` as written into struct fields and values, and say what is wrong with it.

    ``name`` must be a known event.
    """
    fields = event_fields(name)
    found: dict[str, str | int | bool] = {}
    troubles: list[Trouble] = []
    for key, value in where.items():
        if key not in fields:
            near = closest(key, fields)
            known = f"its fields are: {', '.join(fields)}" if fields else "this event has no fields: remove 'where'"
            troubles.append(
                Trouble(
                    (*at, key),
                    f"expected a field of {name!r}, saw {shown(key)}",
                    f"{near!r}" if near else known,
                    key=True,
                )
            )
            continue
        field, hint = fields[key]
        try:
            found[field] = _read_value(field, hint, value)
        except WrongDuration as error:
            troubles.append(Trouble((*at, key), str(error), error.hint))
        except _WrongValue as error:
            troubles.append(Trouble((*at, key), str(error), error.hint))
    return found, troubles


class _WrongValue(ValueError):
    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


def _read_value(field: str, hint: Any, value: Any) -> str | int | bool:
    if field.endswith("_us"):
        return parse(value)
    if get_origin(hint) is Literal:
        choices = [str(c) for c in get_args(hint)]
        if value not in choices:
            near = closest(value, choices) if isinstance(value, str) else ""
            raise _WrongValue(
                f"expected one of {listed(choices, 20)}, saw {shown(value)}", repr(near) if near else choices[0]
            )
        return str(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise _WrongValue(f"expected true or false, saw {shown(value)}", "true or false, without quotes")
        return value
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _WrongValue(
                f"expected a whole number, saw {shown(value)}", "a number without quotes and without a unit"
            )
        return value
    if not isinstance(value, str):
        raise _WrongValue(f"expected text, saw {shown(value)}", f'put it in quotes: "{shown(value)}"')
    return value


def type_words(hint: Any) -> str:
    """Describe a field's type in the words of the format, for messages and tables."""
    if hint is Duration:
        return "duration"
    if hint is bool:
        return "true or false"
    if hint is int:
        return "number"
    if hint is str:
        return "text"
    origin = get_origin(hint)
    if origin is Literal:
        return " / ".join(f"`{c}`" for c in get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return " / ".join(type_words(part) for part in get_args(hint) if part is not type(None))
    if origin is tuple:
        return f"list of {type_words(get_args(hint)[0])}"
    if origin is dict:
        key, value = get_args(hint)
        return f"mapping of {type_words(key)} to {type_words(value)}"
    name = getattr(hint, "__name__", str(hint))
    return f"see *{_PARTS.get(name, name)}*"


_PARTS: Final = {
    "AccountSettings": "account",
    "PcSetup": "pc",
    "CustomerHabits": "customer",
    "RepHabits": "rep",
    "ExpectedRestart": "expected restart",
    "ExpectedEvent": "expected event",
}
