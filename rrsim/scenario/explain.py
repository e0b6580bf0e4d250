"""Why data does not fit the model: every misfit with its place, what was expected, what was seen and what to try.

Loading uses ``msgspec.convert``, which is fast and stops at the first misfit. Only when it fails, this module walks the
same types over the same data and finds all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect as mi

from rrsim.scenario import model
from rrsim.scenario.durations import WrongDuration, parse
from rrsim.scenario.errors import Place, Trouble, closest, listed, shown
from rrsim.scenario.words import Duration


def explain(type_: Any, data: Any, at: Place, extra_keys: tuple[str, ...] = ()) -> list[Trouble]:
    """Return everything in ``data`` that does not fit ``type_``.

    ``extra_keys`` are keys that belong to the same mapping but are read elsewhere; they only serve suggestions.
    """
    return list(_walk(mi.type_info(type_), data, at, extra_keys))


def _walk(info: mi.Type, data: Any, at: Place, extra: tuple[str, ...] = ()) -> Iterator[Trouble]:
    if isinstance(info, mi.UnionType):
        yield from _union(info, data, at, extra)
    elif isinstance(info, mi.StructType):
        yield from _struct(info, data, at, extra)
    elif isinstance(info, mi.LiteralType):
        yield from _literal(tuple(info.values), data, at)
    elif isinstance(info, mi.CustomType) and info.cls is Duration:
        try:
            parse(data)
        except WrongDuration as error:
            yield Trouble(at, str(error), error.hint)
    elif isinstance(info, mi.BoolType):
        if not isinstance(data, bool):
            hint = {"yes": "true", "no": "false", "on": "true", "off": "false"}.get(str(data).lower(), "true or false")
            yield Trouble(at, f"expected true or false, saw {shown(data)}", hint)
    elif isinstance(info, mi.IntType):
        if isinstance(data, bool) or not isinstance(data, int):
            yield Trouble(
                at, f"expected a whole number, saw {shown(data)}", "a number without quotes and without a unit"
            )
    elif isinstance(info, mi.StrType):
        if not isinstance(data, str):
            hint = f'put it in quotes: "{shown(data)}"' if isinstance(data, (int, bool)) else "text"
            yield Trouble(at, f"expected text, saw {shown(data)}", hint)
    elif isinstance(info, (mi.VarTupleType, mi.ListType)):
        yield from _list(info, data, at)
    elif isinstance(info, mi.DictType):
        yield from _dict(info, data, at)


def _union(info: mi.UnionType, data: Any, at: Place, extra: tuple[str, ...]) -> Iterator[Trouble]:
    members = [t for t in info.types if not isinstance(t, mi.NoneType)]
    if len(members) == 1:
        yield from _walk(members[0], data, at, extra)
    elif all(isinstance(t, mi.LiteralType) for t in members):
        yield from _literal(tuple(v for t in members if isinstance(t, mi.LiteralType) for v in t.values), data, at)
    elif all(isinstance(t, mi.StructType) for t in members):
        yield from _tagged([t for t in members if isinstance(t, mi.StructType)], data, at, extra)
    elif not isinstance(data, (str, int)):  # where: str | int | bool
        yield Trouble(at, f"expected text, a whole number, or true or false, saw {shown(data)}", "one plain value")


def _tagged(members: list[mi.StructType], data: Any, at: Place, extra: tuple[str, ...]) -> Iterator[Trouble]:
    key = members[0].tag_field or ""
    if not isinstance(data, dict):
        yield Trouble(at, f"expected a mapping with '{key}:', saw {shown(data)}", f"- {key}: …")
        return
    by_tag = {str(t.tag): t for t in members}
    if key not in data:
        near = closest(key, data)
        yield Trouble(
            at,
            f"expected '{key}:', saw none" + (f" (but {near!r})" if near else ""),
            f"'{key}: …' with one of the phrases in docs/scenarios.md",
        )
        return
    phrase = data[key]
    if not isinstance(phrase, str) or phrase not in by_tag:
        near = closest(phrase, by_tag) if isinstance(phrase, str) else ""
        yield Trouble(
            (*at, key),
            f"expected something that can be done, saw {shown(phrase)}",
            repr(near) if near else f"one of: {listed(by_tag, 8)}; docs/scenarios.md lists all",
        )
        return
    yield from _struct(by_tag[phrase], data, at, extra)


def _struct(info: mi.StructType, data: Any, at: Place, extra: tuple[str, ...]) -> Iterator[Trouble]:
    if not isinstance(data, dict):
        name = at[-1] if at else "the file"
        yield Trouble(
            at,
            f"expected a mapping of keys and values, saw {shown(data)}",
            f"keys such as: {listed((f.encode_name for f in info.fields), 5)}"
            + (f", each on a line of its own below '{name}:'" if isinstance(name, str) else ""),
        )
        return
    fields = {f.encode_name: f for f in info.fields}
    for key, value in data.items():
        if key == info.tag_field:
            continue
        if key in fields:
            yield from _walk(fields[key].type, value, (*at, key))
        else:
            yield unknown_key(key, (*fields, *extra), at, context=_context(info))
    for key, field in fields.items():
        if field.required and key not in data:
            yield Trouble(at, f"expected '{key}:', saw none" + _context(info), f"add '{key}: …'")


def _context(info: mi.StructType) -> str:
    return f" for {str(info.tag)!r}" if info.tag is not None else ""


def unknown_key(key: str, known: tuple[str, ...], at: Place, context: str = "") -> Trouble:
    """Say that a key is not known here, and which one was probably meant or where it belongs."""
    near = closest(key, known)
    if near:
        hint = f"'{near}:'"
    else:
        home = homes().get(key)
        hint = f"'{key}' belongs under '{home}:'" if home else f"one of: {listed(known, 20)}"
    return Trouble((*at, key), f"expected a known key{context}, saw {shown(key)}", hint, key=True)


def homes() -> dict[str, str]:
    """Return where each key of ``given`` and ``expect`` belongs, for keys written in the wrong place."""
    found: dict[str, str] = {}
    for home, struct in (
        ("given", model.Given),
        ("given.account", model.AccountSettings),
        ("given.pc", model.PcSetup),
        ("given.customer", model.CustomerHabits),
        ("given.rep", model.RepHabits),
        ("expect", model.Expect),
    ):
        for field in msgspec.structs.fields(struct):
            found.setdefault(field.encode_name, home)
    return found


def _literal(choices: tuple[Any, ...], data: Any, at: Place) -> Iterator[Trouble]:
    if isinstance(data, bool) or data not in choices:
        near = {True: "yes", False: "no"}[data] if isinstance(data, bool) else str(data)
        near = closest(near, (str(c) for c in choices))
        yield Trouble(
            at,
            f"expected one of {listed((str(c) for c in choices), 20)}, saw {shown(data)}",
            repr(near) if near else "one of these words",
        )


def _list(info: mi.VarTupleType | mi.ListType, data: Any, at: Place) -> Iterator[Trouble]:
    if not isinstance(data, list):
        yield Trouble(at, f"expected a list, saw {shown(data)}", "write [a, b], or one '- ' line for each entry")
        return
    for index, item in enumerate(data):
        yield from _walk(info.item_type, item, (*at, index))


def _dict(info: mi.DictType, data: Any, at: Place) -> Iterator[Trouble]:
    if not isinstance(data, dict):
        yield Trouble(at, f"expected a mapping of keys and values, saw {shown(data)}", "write {key: value}")
        return
    for key, value in data.items():
        for trouble in _walk(info.key_type, key, (*at, key)):
            yield Trouble(trouble.at, trouble.message, trouble.hint, key=True)
        yield from _walk(info.value_type, value, (*at, key))
