"""The tables of ``docs/scenarios.md``, rendered from the structs themselves, so that they are always true.

``python -m rrsim.scenario.describe docs/scenarios.md`` writes them anew between their markers.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from rrsim.machine.observations import AnyObservation
from rrsim.protocol.messages import AgentMessage, ConsoleMessage, RepMessage, ServerMessage
from rrsim.protocol.records import AnyRecord
from rrsim.protocol.settings import PROFILES, Account
from rrsim.scenario import model
from rrsim.scenario.actions import Action, AnyAction
from rrsim.scenario.durations import write
from rrsim.scenario.phrases import event_fields, type_words
from rrsim.scenario.words import Duration, yaml_key

Table = Sequence[tuple[str, ...]]


def field_docs(struct: type[Any]) -> Mapping[str, str]:
    """Return the docstring below each field of a struct, as one line."""
    if struct not in _DOCS:
        _DOCS[struct] = _read_docs(struct)
    return _DOCS[struct]


_DOCS: Final[dict[type[Any], dict[str, str]]] = {}


def _read_docs(struct: type[Any]) -> dict[str, str]:
    tree = ast.parse(inspect.getsource(struct))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    docs: dict[str, str] = {}
    for first, second in itertools.pairwise(body):
        if (
            isinstance(first, ast.AnnAssign)
            and isinstance(first.target, ast.Name)
            and isinstance(second, ast.Expr)
            and isinstance(second.value, ast.Constant)
            and isinstance(second.value.value, str)
        ):
            docs[first.target.id] = _line(second.value.value)
    return docs


def struct_doc(struct: type[Any]) -> str:
    """Return the first paragraph of a struct's docstring as one line."""
    return _line((struct.__doc__ or "").strip().split("\n\n")[0])


def _line(text: str) -> str:
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"*\1*", text)
    return " ".join(text.replace("``", "`").split())


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default
    if value is msgspec.NODEFAULT:
        return "none"
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, Duration):
        return f"`{write(value)}`"
    if isinstance(value, msgspec.Struct):
        return "as below"
    return f"`{value}`" if value not in ("", ()) else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Table) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def keys_table(struct: type[Any]) -> str:
    """Return the table of a mapping's keys: key, what it takes, default, meaning."""
    hints = typing.get_type_hints(struct)
    docs = field_docs(struct)
    return _table(
        ("key", "takes", "default", "meaning"),
        [
            (f"`{field.encode_name}`", type_words(hints[field.name]), _default(field), docs.get(field.name, ""))
            for field in msgspec.structs.fields(struct)
        ],
    )


def actions_table() -> str:
    """Return the table of everything a step can do."""
    shared = {field.name for field in msgspec.structs.fields(Action)}
    rows = []
    for struct in get_args(AnyAction):
        hints = typing.get_type_hints(struct)
        docs = field_docs(struct)
        keys = []
        for field in msgspec.structs.fields(struct):
            if field.name in shared:
                continue
            doc = docs.get(field.name, "")
            key = f"`{field.encode_name}`: {type_words(hints[field.name])} ({_default(field)})"
            keys.append(f"{key}: {doc}" if doc else key)
        rows.append((f"`{struct.__struct_config__.tag}`", struct_doc(struct), "<br>".join(keys)))
    return _table(("`do:`", "meaning", "keys (default)"), rows)


def _events_table(union: Any, before: str = "") -> str:
    rows = []
    for struct in get_args(union):
        name = f"{before}{struct.__struct_config__.tag}"
        fields = [
            f"`{key}`: {'duration' if field.endswith('_us') else type_words(hint)}"
            for key, (field, hint) in event_fields(name).items()
        ]
        rows.append((f"`{name}`", struct_doc(struct), "<br>".join(fields)))
    return _table(("event", "meaning", "fields for `where:`"), rows)


def messages_table() -> str:
    """Return the tables of messages, one for each direction."""
    return "\n\n".join(
        f"*{title}*\n\n{_events_table(union, 'message ')}"
        for title, union in (
            ("Agent to server", AgentMessage),
            ("Server to agent", ServerMessage),
            ("Representative to server", RepMessage),
            ("Server to representative", ConsoleMessage),
        )
    )


def profiles_table() -> str:
    """Return the profiles and what each sets differently from the first."""
    first = Account()
    rows = []
    for name, account in PROFILES.items():
        different = []
        for field in Account.__struct_fields__:
            value = getattr(account, field)
            if field != "profile" and value != getattr(first, field):
                text = write(value) if field.endswith("_us") else str(value).lower()
                different.append(f"`{yaml_key(field)}: {text}`")
        rows.append((f"`{name}`", ", ".join(different) or "the default"))
    return _table(("profile", "what it sets"), rows)


def account_table() -> str:
    """Return the table of account settings with the values of the default profile."""
    docs = field_docs(Account)
    hints = typing.get_type_hints(model.AccountSettings)
    usual = Account()
    rows = []
    for field in model.AccountSettings.__struct_fields__:
        value = getattr(usual, field)
        text = write(value) if field.endswith("_us") else str(value).lower()
        rows.append((f"`{yaml_key(field)}`", type_words(hints[field]), f"`{text}`", docs.get(field, "")))
    return _table(("key", "takes", "default profile", "meaning"), rows)


TABLES: Final[dict[str, Any]] = {
    "given": lambda: keys_table(model.Given),
    "account": account_table,
    "profiles": profiles_table,
    "pc": lambda: keys_table(model.PcSetup),
    "customer": lambda: keys_table(model.CustomerHabits),
    "rep": lambda: keys_table(model.RepHabits),
    "moment": lambda: keys_table(model.Moment),
    "actions": actions_table,
    "expect": lambda: keys_table(model.Expect),
    "expected restart": lambda: keys_table(model.ExpectedRestart),
    "expected event": lambda: keys_table(model.ExpectedEvent),
    "observations": lambda: _events_table(AnyObservation),
    "records": lambda: _events_table(AnyRecord),
    "messages": messages_table,
}
"""Every table by the name in its marker."""


class MissingMarker(ValueError):
    """The document has no place for a table, or a place for a table that does not exist."""


def refresh(text: str) -> str:
    """Return the document with every table between ``<!-- table NAME -->`` and ``<!-- end -->`` written anew.

    Raises:
        MissingMarker: a table has no place in the document, or a place has no table.
    """
    seen: set[str] = set()

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name not in TABLES:
            raise MissingMarker(f"expected the name of a table, saw {name!r}; try one of: {', '.join(TABLES)}")
        seen.add(name)
        return f"<!-- table {name} -->\n\n{TABLES[name]()}\n\n<!-- end -->"

    fresh = re.sub(r"<!-- table ([a-z ]+?) -->.*?<!-- end -->", put, text, flags=re.DOTALL)
    missing = [name for name in TABLES if name not in seen]
    if missing:
        raise MissingMarker(
            f"expected a place for every table, saw none for {', '.join(missing)}; "
            f"try '<!-- table {missing[0]} --><!-- end -->'"
        )
    return fresh


def main(paths: list[str]) -> None:
    """Refresh the tables in the named documents."""
    for path in paths:
        document = Path(path)
        document.write_text(refresh(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
