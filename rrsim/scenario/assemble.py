"""From plain data to :class:`~rrsim.scenario.model.Scenario`: fast when all is well, thorough when it is not."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from rrsim.scenario.actions import AnyAction
from rrsim.scenario.durations import WrongDuration, dec_hook, parse
from rrsim.scenario.errors import Place, Trouble, TroubleFound, shown
from rrsim.scenario.explain import explain, unknown_key
from rrsim.scenario.matrix import flatten_step
from rrsim.scenario.model import FORMAT, Expect, Given, Moment, Scenario, Step
from rrsim.scenario.phrases import check_event, read_where
from rrsim.scenario.possible import check

FILE_KEYS: Final = (
    "rrsim",
    "name",
    "about",
    "covers",
    "edge cases",
    "given",
    "steps",
    "expect",
    "runs for",
    "meta",
    "matrix",
    "cases",
)
"""Keys of a scenario file, in the order people write them."""

MOMENT_KEYS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Moment))
_MOMENT_KEYS: Final = frozenset(MOMENT_KEYS)
_TOGETHER: Final = Moment()
_MAX_NAME: Final = 200
_CONNECTED: Final = frozenset({"given", "steps", "expect"})

T = TypeVar("T")


def convert(type_: Any, data: Any, at: Place, extra_keys: tuple[str, ...] = ()) -> Any:
    """Read ``data`` as ``type_``.

    Raises:
        TroubleFound: it does not fit; every misfit is named.
    """
    try:
        return msgspec.convert(data, type_, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        raise TroubleFound(explain(type_, data, at, extra_keys) or [Trouble(at, str(error))]) from None


class Assembler:
    """Builds the cases of one file; what the cases share is converted only once."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, Place], tuple[Any, Any]] = {}

    def scenario(
        self, data: dict[str, Any], *, case: str = "", area: str = "", path: str = "", line: int = 1
    ) -> Scenario:
        """Build one case and check that it is possible.

        Raises:
            TroubleFound: with everything that is wrong.
        """
        troubles = _top_level(data)
        given = self._part(Given, data.get("given"), ("given",), troubles, Given())
        steps = self._steps(data.get("steps"), troubles)
        expect = self._expect(data.get("expect"), troubles)
        name = _text(data, "name", troubles, required=True)
        scenario = Scenario(
            name=name,
            case=case,
            about=_text(data, "about", troubles),
            area=area,
            path=path,
            line=line,
            covers=_words(data, "covers", troubles),
            edge_cases=_words(data, "edge cases", troubles),
            given=given,
            steps=steps,
            expect=expect,
            runs_for_us=_duration(data, "runs for", troubles),
            meta=_meta(data, troubles),
        )
        # A part that could not be read stands empty here: what follows from that would only confuse.
        broken = {trouble.at[0] for trouble in troubles if trouble.at}
        connected = _CONNECTED if broken & _CONNECTED else frozenset()
        troubles += [t for t in check(scenario) if t.at[0] not in broken | connected]
        if troubles:
            raise TroubleFound(troubles)
        return scenario

    def _part(self, type_: type[T], data: Any, at: Place, troubles: list[Trouble], default: T) -> T:
        if data is None:
            return default
        kept = self._made.get((id(data), at))
        if kept is not None:
            made: T = kept[1]
            return made
        try:
            made = convert(type_, data, at)
        except TroubleFound as error:
            troubles += error.troubles
            return default
        self._made[id(data), at] = (data, made)  # holding the data keeps its id from being used again
        return made

    def _steps(self, data: Any, troubles: list[Trouble]) -> tuple[Step, ...]:
        if data is None:
            return ()
        if not isinstance(data, list):
            troubles.append(Trouble(("steps",), f"expected a list of steps, saw {shown(data)}", "- do: rep restarts"))
            return ()
        steps = []
        for index, item in enumerate(data):
            kept = self._made.get((id(item), ("steps", index)))
            if kept is None:
                try:
                    step = _step(item, ("steps", index))
                except TroubleFound as error:
                    troubles += error.troubles
                    continue
                kept = self._made[id(item), ("steps", index)] = (item, step)
            steps.append(kept[1])
        return tuple(steps)

    def _expect(self, data: Any, troubles: list[Trouble]) -> Expect:
        at: Place = ("expect",)
        kept = self._made.get((id(data), at)) if data is not None else None
        expect = self._part(Expect, data, at, troubles, Expect())
        if kept is not None or not expect.events:
            return expect
        found: list[Trouble] = []
        events = []
        for index, written in enumerate(expect.events):
            event = written
            here: Place = (*at, "events", index)
            wrong = check_event(event.event, (*here, "event"))
            if not wrong and event.where:
                where, wrong = read_where(event.event, event.where, (*here, "where"))
                event = msgspec.structs.replace(event, where=where)
            found += wrong
            events.append(event)
        troubles += found
        expect = msgspec.structs.replace(expect, events=tuple(events))
        if not found:
            self._made[id(data), at] = (data, expect)
        return expect


def _step(data: Any, at: Place) -> Step:
    if not isinstance(data, dict):
        hint = f"'- do: {data}'" if isinstance(data, str) else "- do: rep restarts"
        raise TroubleFound([Trouble(at, f"expected a mapping with 'do:', saw {shown(data)}", hint)])
    data, troubles = flatten_step(data, at)
    moment_data = {key: value for key, value in data.items() if key in _MOMENT_KEYS}
    action = moment = None
    try:
        action = convert(AnyAction, {k: v for k, v in data.items() if k not in _MOMENT_KEYS}, at, MOMENT_KEYS)
    except TroubleFound as error:
        troubles += error.troubles
    try:
        moment = read_moment(moment_data, at) if moment_data else _TOGETHER
    except TroubleFound as error:
        troubles += error.troubles
    if troubles or action is None or moment is None:
        raise TroubleFound(troubles)
    return Step(moment, action)


def read_moment(data: dict[str, Any], at: Place) -> Moment:
    """Read when a step happens; fields in ``where`` become field names of the event.

    Raises:
        TroubleFound: a key, the event or a field is unknown, or a value is of the wrong type.
    """
    moment: Moment = convert(Moment, data, at)
    if moment.when is None:
        return moment
    troubles = check_event(moment.when, (*at, "when"))
    if not troubles and moment.where:
        where, troubles = read_where(moment.when, moment.where, (*at, "where"))
        moment = msgspec.structs.replace(moment, where=where)
    if troubles:
        raise TroubleFound(troubles)
    return moment


# --- the top level ----------------------------------------------------------------------------------------------


def check_version(data: Any) -> list[Trouble]:
    """Say what is wrong with the file as a whole: no mapping, or another format version."""
    if not isinstance(data, dict):
        return [Trouble((), f"expected a scenario, saw {shown(data)}", "start with 'rrsim: 1' and 'name: …'")]
    if "rrsim" not in data:
        return [Trouble((), "expected the format version 'rrsim: 1', saw none", "add 'rrsim: 1' as the first line")]
    version = data["rrsim"]
    if isinstance(version, bool) or not isinstance(version, int):
        return [Trouble(("rrsim",), f"expected the format version {FORMAT}, saw {shown(version)}", "rrsim: 1")]
    if version != FORMAT:
        hint = "install a newer rrsim" if version > FORMAT else f"rrsim: {FORMAT}"
        return [Trouble(("rrsim",), f"expected the format version {FORMAT}, saw {version}", hint)]
    return []


def _top_level(data: dict[str, Any]) -> list[Trouble]:
    return [unknown_key(key, FILE_KEYS, ()) for key in data if key not in FILE_KEYS]


def _text(data: dict[str, Any], key: str, troubles: list[Trouble], required: bool = False) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        troubles.append(Trouble((key,), f"expected text, saw {shown(value)}", f'put it in quotes: "{shown(value)}"'))
        return ""
    if not required:
        return value
    text = " ".join(value.split())
    if key not in data:
        troubles.append(Trouble((), f"expected '{key}:', saw none", f"add '{key}: …' with a few words"))
    elif not text or len(text) > _MAX_NAME or "[" in text or "]" in text:
        troubles.append(
            Trouble(
                (key,),
                f"expected 1 to {_MAX_NAME} characters without [ and ], saw {shown(value)}",
                "a few plain words; [ ] mark the case",
            )
        )
    return text


def _words(data: dict[str, Any], key: str, troubles: list[Trouble]) -> tuple[str, ...]:
    if key not in data:
        return ()
    try:
        words: tuple[str, ...] = convert(tuple[str, ...], data[key], (key,))
    except TroubleFound as error:
        troubles += error.troubles
        return ()
    return words


def _duration(data: dict[str, Any], key: str, troubles: list[Trouble]) -> int | None:
    if key not in data:
        return None
    try:
        return parse(data[key])
    except WrongDuration as error:
        troubles.append(Trouble((key,), str(error), error.hint))
        return None


def _meta(data: dict[str, Any], troubles: list[Trouble]) -> dict[str, str]:
    """Free fields; numbers and truth values are taken as they are written, because tracker keys look like them."""
    meta = data.get("meta", {})
    if not isinstance(meta, dict):
        troubles.append(
            Trouble(("meta",), f"expected a mapping of words to text, saw {shown(meta)}", "meta: {owner: team}")
        )
        return {}
    found = {}
    for key, value in meta.items():
        if isinstance(value, (dict, list)):
            troubles.append(Trouble(("meta", key), f"expected text, saw {shown(value)}", "one plain value"))
        else:
            found[key] = value if isinstance(value, str) else shown(value)
    return found
