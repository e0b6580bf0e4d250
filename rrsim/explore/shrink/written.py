"""A scenario as its YAML file: the form that people read, edit and run on every backend."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import yaml

from rrsim.scenario.durations import write
from rrsim.scenario.model import FORMAT, Expect, ExpectedEvent, Moment, Scenario, Step
from rrsim.scenario.phrases import event_fields
from rrsim.scenario.words import Duration, yaml_key

_WIDTH: Final = 118


def scenario_yaml(case: Scenario, remarks: tuple[str, ...] = ()) -> str:
    """Return a scenario as YAML that :mod:`rrsim.scenario.loader` reads back as the same case, path and area apart.

    Args:
        case: one case; a matrix has become many of them and is not written again.
        remarks: lines that stand before it, as comments.
    """
    data: dict[str, Any] = {"rrsim": FORMAT, "name": case.name}
    if case.about:
        data["about"] = case.about
    for key, ids in (("covers", case.covers), ("edge cases", case.edge_cases)):
        if ids:
            data[key] = list(ids)
    given = {key: value for key, value in _plain(case.given).items() if value != {}}
    if given:
        data["given"] = given
    if case.steps:
        data["steps"] = [_step(step) for step in case.steps]
    if case.runs_for_us is not None:
        data["runs for"] = write(case.runs_for_us)
    data["expect"] = _expect(case.expect)
    if case.meta:
        data["meta"] = dict(case.meta)
    head = "".join(f"# {line}\n" for line in remarks)
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return head + text


def _hook(value: Any) -> str:
    if isinstance(value, Duration):
        return write(value)
    raise NotImplementedError(f"cannot write {type(value).__name__}")


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    """Return a struct's own words: keys as in files, defaults left out, durations with their units."""
    made = msgspec.to_builtins(value, enc_hook=_hook)
    assert isinstance(made, dict), "a struct with named fields"
    return made


def _step(step: Step) -> dict[str, Any]:
    action = _unusual(step.action)
    return {"do": action.pop("do"), **action, **_moment(step.moment)}


def _unusual(value: msgspec.Struct) -> dict[str, Any]:
    """Like :func:`_plain`, without what is as usual."""
    usual = {field.encode_name: field.default for field in msgspec.structs.fields(type(value))}
    return {key: made for key, made in _plain(value).items() if key not in usual or _differs(made, usual[key])}


def _differs(value: Any, default: Any) -> bool:
    if isinstance(default, Duration):
        return bool(value != write(default))
    return bool(value != default)


def _moment(moment: Moment) -> dict[str, Any]:
    made = _unusual(moment)
    if moment.where and moment.when is not None:
        made["where"] = _where(moment.when, moment.where)
    return made


def _where(event: str, where: dict[str, str | int | bool]) -> dict[str, Any]:
    """Write the fields of an event as files do: spaces, and durations with their units."""
    fields = {field: key for key, (field, _) in event_fields(event).items()}
    return {
        fields.get(name, yaml_key(name)): write(int(value)) if name.endswith("_us") else value
        for name, value in where.items()
    }


def _expect(expect: Expect) -> dict[str, Any]:
    made = _plain(expect)
    if expect.events:
        made["events"] = [_event(event) for event in expect.events]
    return made


def _event(event: ExpectedEvent) -> dict[str, Any]:
    made = _plain(event)
    if event.where:
        made["where"] = _where(event.event, event.where)
    return made
