"""JSON Schema of the scenario format, for editors (``rrsim schema``).

It is made from the same structs that loading uses. It is a little more generous than loading: references between parts
of a file (names of steps, parameters of the matrix, fields of events) are for the loader to check.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from rrsim.protocol.settings import PROFILES
from rrsim.scenario.actions import AnyAction
from rrsim.scenario.describe import field_docs, struct_doc
from rrsim.scenario.durations import PATTERN
from rrsim.scenario.ids import EDGE_CASES, INVARIANTS
from rrsim.scenario.matrix import MAX_CASES
from rrsim.scenario.model import (
    FORMAT,
    AccountSettings,
    CustomerHabits,
    Expect,
    ExpectedEvent,
    ExpectedRestart,
    Given,
    Moment,
    PcSetup,
    RepHabits,
)
from rrsim.scenario.phrases import EVENTS
from rrsim.scenario.words import Duration

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

COVERS_PATTERN: Final = r"^(R([1-9]|1[0-4])|C[1-5]|I([1-9]|1[0-3])|rule ([1-9]|1[0-4]))$"
EDGE_CASE_PATTERN: Final = rf"^({'|'.join(sorted({one[:2] for one in EDGE_CASES}))})-[0-9]{{2}}$"

_PARAMETER: Final[dict[str, Any]] = {"$ref": "#/$defs/parameter"}
_DEFS: Final = "#/$defs/"

Schema = dict[str, Any]

_PARTS: Final[tuple[type[msgspec.Struct], ...]] = (
    Given,
    AccountSettings,
    PcSetup,
    CustomerHabits,
    RepHabits,
    Expect,
    ExpectedRestart,
    ExpectedEvent,
)
_DURATION: Final[Schema] = {"$ref": f"{_DEFS}duration"}
_EVENT: Final[Schema] = {"$ref": f"{_DEFS}event"}
_SPECIAL: Final[dict[tuple[type[msgspec.Struct], str], Schema]] = {
    (Moment, "when"): _EVENT,
    (Moment, "nth"): {"type": "integer", "minimum": 1},
    (ExpectedEvent, "event"): _EVENT,
    (ExpectedEvent, "before"): _EVENT,
    (ExpectedEvent, "times"): {"type": "integer", "minimum": 0},
    (Expect, "broken_invariant"): {"enum": list(INVARIANTS)},
    (Given, "profile"): {"enum": list(PROFILES)},
    (Given, "customers"): {"type": "integer", "minimum": 1},
}
"""Where the format knows more than the type of the field says."""


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a scenario file."""
    actions: tuple[type[msgspec.Struct], ...] = get_args(AnyAction)
    defs: Schema = {struct.__name__: _struct(struct) for struct in _PARTS}
    defs["duration"] = {"type": "string", "pattern": PATTERN}
    defs["event"] = {"enum": sorted(EVENTS)}
    moment: Schema = {}
    for key, prop in _struct(Moment)["properties"].items():  # written once, not once for each of the actions
        defs[f"moment-{key}"] = prop
        moment[key] = {"$ref": f"{_DEFS}moment-{key}"}
    defs |= {action.__name__: _action(action, moment) for action in actions}
    defs["parameter"] = {"type": "string", "pattern": r"\$\{[^{}]+\}", "description": "A parameter of the matrix."}
    defs["step"] = _step(actions)
    return {
        "$schema": DIALECT,
        "title": "rrsim scenario",
        "description": "A scenario of Reboot and Reconnect: who, what, when, and what to expect (docs/scenarios.md).",
        "type": "object",
        "properties": _file_properties(),
        "required": ["rrsim", "name", "expect"],
        "not": {"required": ["matrix", "cases"]},
        "additionalProperties": False,
        "$defs": defs,
    }


# msgspec's own schema generator cannot write a default of a custom type (Duration), so the few types that the model
# uses are turned into schemas here.


def _struct(struct: type[msgspec.Struct]) -> Schema:
    hints = typing.get_type_hints(struct)
    docs = field_docs(struct)
    properties: Schema = {}
    for field in msgspec.structs.fields(struct):
        special = _SPECIAL.get((struct, field.name))
        prop = _or_parameter(special if special is not None else _type(hints[field.name]))
        if field.name in docs:
            prop["description"] = docs[field.name]
        properties[field.encode_name] = prop
    return {
        "type": "object",
        "description": struct_doc(struct),
        "properties": properties,
        "required": [f.encode_name for f in msgspec.structs.fields(struct) if f.required],
        "additionalProperties": False,
    }


def _type(hint: Any) -> Schema:
    simple = {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}, Duration: _DURATION}
    if hint in simple:
        return dict(simple[hint])
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        parts = [_type(part) for part in args if part is not type(None)]
        return parts[0] if len(parts) == 1 else {"anyOf": parts}
    if origin is tuple:
        return {"type": "array", "items": _or_parameter(_type(args[0]))}
    if origin is dict:
        keys = {} if args[0] is str else {"propertyNames": _or_parameter(_type(args[0]))}
        return {"type": "object", "additionalProperties": _or_parameter(_type(args[1])), **keys}
    return {"$ref": f"{_DEFS}{hint.__name__}"}


def _action(action: type[msgspec.Struct], moment: Schema) -> Schema:
    """One action and its moment, in one mapping."""
    schema = _struct(action)
    tag = action.__struct_config__.tag
    schema["title"] = str(tag)
    schema["properties"] = {"do": {"const": tag, "description": struct_doc(action)}, **schema["properties"], **moment}
    schema["required"] = ["do", *schema["required"]]
    return schema


def _step(actions: tuple[type[msgspec.Struct], ...]) -> Schema:
    """One action with its moment, or a step whose phrase a parameter fills in."""
    filled = {
        "type": "object",
        "title": "a step from the matrix",
        "properties": {"do": _PARAMETER},
        "required": ["do"],
        "description": "The action, or a mapping with the action and its keys, comes from the matrix.",
    }
    return {"anyOf": [*({"$ref": f"{_DEFS}{action.__name__}"} for action in actions), filled, _PARAMETER]}


def _or_parameter(prop: Schema) -> Schema:
    """Let a value be a parameter of the matrix instead."""
    return {"anyOf": [prop, _PARAMETER]}


def _file_properties() -> Schema:
    ids = {"type": "array", "uniqueItems": True}
    plain = {"type": ["string", "integer", "boolean"]}
    value = {"anyOf": [plain, {"type": "object"}]}
    row = {"type": "object", "minProperties": 1, "additionalProperties": value}
    return {
        "rrsim": {"const": FORMAT, "description": "The version of the format."},
        "name": {
            "type": "string",
            "pattern": r"^[^\[\]]*[^\[\]\s][^\[\]]*$",
            "description": "A name of its own, in plain words.",
        },
        "about": {"type": "string", "description": "What it shows, and why that matters."},
        "covers": {
            **ids,
            "items": {"anyOf": [{"type": "string", "pattern": COVERS_PATTERN}, _PARAMETER]},
            "description": "Requirements (R1-R14, C1-C5), invariants (I1-I13) and rules (rule 1 to rule 14).",
        },
        "edge cases": {
            **ids,
            "items": {"anyOf": [{"type": "string", "pattern": EDGE_CASE_PATTERN}, _PARAMETER]},
            "description": "Ids of field cases, such as LO-01; docs/coverage.md lists them.",
        },
        "given": _or_parameter({"$ref": f"{_DEFS}Given"}),
        "steps": {"type": "array", "items": {"$ref": f"{_DEFS}step"}, "description": "What is done, and when."},
        "expect": _or_parameter({"$ref": f"{_DEFS}Expect"}),
        "runs for": _or_parameter(
            {"type": "string", "pattern": PATTERN, "description": "How long the steps last at most."}
        ),
        "meta": {"type": "object", "additionalProperties": plain, "description": "Free fields for JUnit and JSON."},
        "matrix": {
            "description": "Parameters with their values, or rows of them: one case for each combination.",
            "anyOf": [
                {"type": "array", "items": row, "minItems": 1, "maxItems": MAX_CASES},
                {
                    "type": "object",
                    "minProperties": 1,
                    "properties": {"except": {"type": "array", "items": row, "minItems": 1}},
                    "additionalProperties": {"type": "array", "items": value, "minItems": 1},
                },
            ],
        },
        "cases": {
            "description": "Cases that change single values by their place.",
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_CASES,
            "items": {
                "type": "object",
                "required": ["case"],
                "additionalProperties": False,
                "properties": {"case": {"type": ["string", "integer"]}, "set": {"type": "object"}},
            },
        },
    }
