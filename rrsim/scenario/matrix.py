"""From one file to its cases: ``matrix:`` fills in parameters, ``cases:`` changes single values.

* ``matrix: {fault: [power is cut, pc crashes], phase: [loading, services]}`` gives the product, less what ``except:``
  names; ``matrix: [{back: 9m59.999s, verdict: resumed}, …]`` lists the combinations one by one. ``${back}`` stands for
  the value anywhere in the file: inside a text it is written out, alone it keeps its type and may be a whole mapping.
* ``cases: [{case: on wi-fi, set: {given.pc.network: wifi}}, …]`` overrides values by their place.

All functions are pure: plain data in, plain data out. Parts of the data that a case does not change are shared between
the cases, so that they are converted only once.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

import msgspec

from rrsim.scenario.errors import Place, Trouble, TroubleFound, closest, place, shown

MAX_CASES: Final = 2_000
PRODUCT_WORDS: Final = ("except", "case")
"""Words of the matrix itself; no parameter can have such a name."""

_PARAMETER: Final = re.compile(r"\$\{([^{}]*)\}")


class Case(msgspec.Struct, frozen=True):
    """One case of a file."""

    name: str
    """Such as ``back=9m59.999s, fault=power is cut``; empty if the file has no matrix."""
    data: dict[str, Any]
    at: Place
    """Where in the file the case is written down."""


class _Row(msgspec.Struct, frozen=True):
    name: str
    values: dict[str, Any]
    at: Place


def expand(data: dict[str, Any]) -> list[Case]:
    """Return the cases of a file: at least one, all with different names.

    Raises:
        TroubleFound: the matrix is empty or too large, a parameter is unknown or unused, or two cases have one name.
    """
    body = {key: value for key, value in data.items() if key not in ("matrix", "cases")}
    if "matrix" in data and "cases" in data:
        raise TroubleFound(
            [Trouble(("cases",), "expected 'matrix:' or 'cases:', saw both", "use one of the two", key=True)]
        )
    if "cases" in data:
        cases = _override_cases(body, data["cases"])
    elif "matrix" in data:
        cases = _fill(body, _rows(data["matrix"]))
    else:
        troubles: list[Trouble] = []
        body = _substitute(body, {}, set(), troubles, ())
        if troubles:
            raise TroubleFound(troubles)
        return [Case("", body, ())]
    _refuse_same_names(cases)
    return cases


def _refuse_same_names(cases: list[Case]) -> None:
    seen: dict[str, Case] = {}
    for case in cases:
        if case.name in seen:
            raise TroubleFound(
                [
                    Trouble(
                        case.at,
                        f"expected every case to have its own name, saw {case.name!r} twice",
                        "remove the repeated value, or give the cases names with 'case: …'",
                    )
                ]
            )
        seen[case.name] = case


# --- rows of a matrix -------------------------------------------------------------------------------------------


def _rows(matrix: Any) -> list[_Row]:
    at: Place = ("matrix",)
    if isinstance(matrix, list):
        return _listed_rows(matrix, at)
    if isinstance(matrix, dict):
        return _product_rows(matrix, at)
    raise TroubleFound(
        [
            Trouble(
                at,
                f"expected parameters with lists of values, or a list of rows, saw {shown(matrix)}",
                "matrix: {fault: [power is cut, pc crashes]}",
            )
        ]
    )


def _listed_rows(matrix: list[Any], at: Place) -> list[_Row]:
    troubles: list[Trouble] = []
    if not matrix:
        troubles.append(Trouble(at, "expected at least one row, saw an empty list", "add a row or remove 'matrix'"))
    if len(matrix) > MAX_CASES:
        raise TroubleFound([_too_many(len(matrix), at)])
    names = sorted({key for row in matrix if isinstance(row, dict) for key in row if key != "case"})
    rows = []
    for index, row in enumerate(matrix):
        here = (*at, index)
        if not isinstance(row, dict):
            troubles.append(Trouble(here, f"expected a row of parameters and values, saw {shown(row)}", "- {back: 9m}"))
            continue
        values = {key: value for key, value in row.items() if key != "case"}
        troubles += [
            Trouble(here, f"expected every row to set the same parameters, saw no {name!r}", f"add '{name}: …'")
            for name in names
            if name not in values
        ]
        for name, value in values.items():
            troubles += _check_value(name, value, (*here, name))
        label = row.get("case") if "case" in row else _combination(values)
        if not isinstance(label, str):
            label = shown(label)
        rows.append(_Row(label, {n: _without_label(v) for n, v in values.items()}, here))
    if not names and not troubles:
        troubles.append(Trouble(at, "expected rows with parameters, saw none", "- {back: 9m}"))
    if troubles:
        raise TroubleFound(troubles)
    return rows


def _product_rows(matrix: dict[str, Any], at: Place) -> list[_Row]:
    troubles: list[Trouble] = []
    parameters = {name: values for name, values in matrix.items() if name != "except"}
    if not parameters:
        troubles.append(Trouble(at, "expected at least one parameter, saw none", "add one or remove 'matrix'"))
    count = 1
    for name, values in parameters.items():
        here = (*at, name)
        if not isinstance(values, list) or not values:
            troubles.append(
                Trouble(here, f"expected a list of values, saw {shown(values)}", f"{name}: [first, second]")
            )
            continue
        if name in PRODUCT_WORDS:
            troubles.append(Trouble(here, f"expected the name of a parameter, saw {name!r}", "another name", key=True))
        count *= len(values)
        for index, value in enumerate(values):
            troubles += _check_value(name, value, (*here, index))
    if count > MAX_CASES and not troubles:
        troubles.append(_too_many(count, at))
    if troubles:
        raise TroubleFound(troubles)
    exceptions = _Exceptions(matrix.get("except"), parameters, (*at, "except"))
    rows = []
    for chosen in itertools.product(*parameters.values()):
        values = dict(zip(parameters, chosen, strict=True))
        if not exceptions.excludes(values):
            rows.append(_Row(_combination(values), {n: _without_label(v) for n, v in values.items()}, at))
    exceptions.refuse_unused()
    if not rows:
        raise TroubleFound([Trouble((*at, "except"), "expected at least one case to remain, saw none", "except less")])
    return rows


def _too_many(count: int, at: Place) -> Trouble:
    return Trouble(
        at, f"expected at most {MAX_CASES} cases, saw {count}", "split the file, or list the rows that matter"
    )


def _check_value(name: str, value: Any, at: Place) -> list[Trouble]:
    if isinstance(value, list):
        return [Trouble(at, f"expected a plain value or a mapping for {name!r}, saw a list", "one value, or a mapping")]
    if parameters_in(value):
        return [Trouble(at, f"expected a value, saw another parameter in {shown(value)}", "write the value out")]
    return []


def _without_label(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != "case"} if isinstance(value, dict) and "case" in value else value


def _combination(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={label(value)}" for name, value in values.items())


def label(value: Any) -> str:
    """Return how a value of a parameter reads in the name of its case."""
    if isinstance(value, dict):
        if "case" in value:
            return label(value["case"])
        return " ".join(label(v) if k in ("do", "when") else f"{k} {label(v)}" for k, v in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Exceptions:
    """The combinations that a product leaves out."""

    def __init__(self, entries: Any, parameters: dict[str, list[Any]], at: Place) -> None:
        self.at = at
        troubles: list[Trouble] = []
        if entries is None:  # left out: nothing is excepted
            entries = []
        elif not isinstance(entries, list) or not entries:
            message = f"expected a list of combinations, saw {shown(entries)}"
            raise TroubleFound([Trouble(at, message, "except: [{fault: pc crashes, phase: loading}]")])
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict) or not entry:
                troubles.append(
                    Trouble((*at, index), f"expected a combination, saw {shown(entry)}", "{fault: pc crashes}")
                )
                continue
            for name in entry:
                if name not in parameters:
                    near = closest(name, parameters)
                    troubles.append(
                        Trouble(
                            (*at, index, name),
                            f"expected a parameter of this matrix, saw {shown(name)}",
                            repr(near) if near else f"one of: {', '.join(parameters)}",
                            key=True,
                        )
                    )
        if troubles:
            raise TroubleFound(troubles)
        self.entries: list[dict[str, Any]] = entries
        self.used = [False] * len(entries)

    def excludes(self, values: dict[str, Any]) -> bool:
        """Whether an entry names this combination; a value may be named by its label."""
        excluded = False
        for index, entry in enumerate(self.entries):
            if all(label(values[name]) == label(wanted) for name, wanted in entry.items()):
                self.used[index] = excluded = True
        return excluded

    def refuse_unused(self) -> None:
        """Raise if an entry left nothing out: it is a typing error."""
        troubles = [
            Trouble(
                (*self.at, i),
                f"expected a combination that occurs, saw {_combination(self.entries[i])}",
                "correct the value or remove the entry",
            )
            for i, used in enumerate(self.used)
            if not used
        ]
        if troubles:
            raise TroubleFound(troubles)


# --- filling in parameters --------------------------------------------------------------------------------------


def _fill(body: dict[str, Any], rows: list[_Row]) -> list[Case]:
    used: set[str] = set()
    troubles: list[Trouble] = []
    cases = []
    for row in rows:
        cases.append(Case(row.name, _substitute(body, row.values, used, troubles, ()), row.at))
        if troubles:
            raise TroubleFound(troubles)
    unused = [name for name in rows[0].values if name not in used]
    if unused:
        first = rows[0].at
        raise TroubleFound(
            [
                Trouble(
                    (*first, name),
                    f"expected every parameter to be used, saw no ${{{name}}} in the file",
                    f"write ${{{name}}} where the value belongs, or remove {name!r}",
                    key=True,
                )
                for name in unused
            ]
        )
    return cases


def parameters_in(value: Any) -> bool:
    """Whether ``${…}`` occurs anywhere in the data."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(parameters_in(k) or parameters_in(v) for k, v in value.items())
    return any(map(parameters_in, value)) if isinstance(value, list) else False


def _substitute(value: Any, row: dict[str, Any], used: set[str], troubles: list[Trouble], at: Place) -> Any:
    """Return the value with parameters filled in; the same object if there are none in it."""
    if isinstance(value, str):
        return _fill_text(value, row, used, troubles, at) if "${" in value else value
    if isinstance(value, dict):
        changed = False
        filled = {}
        for key, item in value.items():
            new_key = key
            if "${" in key:
                new_key = str(_fill_text(key, row, used, troubles, (*at, key)))
            new_item = _substitute(item, row, used, troubles, (*at, key))
            changed = changed or new_item is not item or new_key is not key
            filled[new_key] = new_item
        return filled if changed else value
    if isinstance(value, list):
        items = [_substitute(item, row, used, troubles, (*at, index)) for index, item in enumerate(value)]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _fill_text(text: str, row: dict[str, Any], used: set[str], troubles: list[Trouble], at: Place) -> Any:
    whole = _PARAMETER.fullmatch(text)

    def value_of(found: re.Match[str]) -> Any:
        name = found[1].strip()
        if name not in row:
            near = closest(name, row)
            known = f"one of: {', '.join(row)}" if row else "add a 'matrix:' that sets it"
            troubles.append(
                Trouble(at, f"expected a parameter of the matrix, saw ${{{name}}}", f"${{{near}}}" if near else known)
            )
            return ""
        used.add(name)
        return row[name]

    if whole:
        return value_of(whole)

    def text_of(found: re.Match[str]) -> str:
        value = value_of(found)
        if isinstance(value, dict):
            troubles.append(
                Trouble(
                    at,
                    f"expected a plain value for {found[0]} inside a text, saw {shown(value)}",
                    f"let {found[0]} stand alone",
                )
            )
            return ""
        return label(value)

    filled = _PARAMETER.sub(text_of, text)
    if "${" in _PARAMETER.sub("", text):
        troubles.append(Trouble(at, f"expected '${{name}}', saw {shown(text)}", "close the brace"))
    return filled


def flatten_step(step: dict[str, Any], at: Place) -> tuple[dict[str, Any], list[Trouble]]:
    """Merge a mapping that a parameter put in place of a phrase: ``do: {do: power is cut, returns after: 30s}``."""
    for key in ("do", "when"):
        inner = step.get(key)
        if isinstance(inner, dict) and key in inner:
            double = [k for k in inner if k in step and k != key]
            if double:
                return step, [
                    Trouble(
                        (*at, k),
                        f"expected {k!r} once, saw it in the step and in the parameter",
                        "remove one of the two",
                        key=True,
                    )
                    for k in double
                ]
            step = {**{k: v for k, v in step.items() if k != key}, **inner}
    return step, []


# --- cases by override ------------------------------------------------------------------------------------------


def _override_cases(body: dict[str, Any], cases: Any) -> list[Case]:
    at: Place = ("cases",)
    if not isinstance(cases, list) or not cases:
        raise TroubleFound(
            [Trouble(at, f"expected a list of cases, saw {shown(cases)}", "- {case: on wi-fi, set: {…}}")]
        )
    if len(cases) > MAX_CASES:
        raise TroubleFound([_too_many(len(cases), at)])
    troubles: list[Trouble] = []
    body = _substitute(body, {}, set(), troubles, ())
    made = []
    for index, case in enumerate(cases):
        here = (*at, index)
        if not isinstance(case, dict) or not isinstance(case.get("case"), (str, int)) or case["case"] == "":
            troubles.append(
                Trouble(here, f"expected 'case: name' and 'set:', saw {shown(case)}", "- {case: on wi-fi, set: {…}}")
            )
            continue
        troubles += [
            Trouble((*here, key), f"expected 'case' or 'set', saw {shown(key)}", "move it below 'set:'", key=True)
            for key in case
            if key not in ("case", "set")
        ]
        changes = case.get("set", {})
        if not isinstance(changes, dict):
            troubles.append(
                Trouble(
                    (*here, "set"), f"expected places and values, saw {shown(changes)}", "set: {given.pc.network: wifi}"
                )
            )
            continue
        data: Any = body
        for key, value in changes.items():
            try:
                data = _override(data, tuple(key.split(".")), value, (*here, "set", key))
            except TroubleFound as error:
                troubles += error.troubles
        made.append(Case(str(case["case"]), data, here))
    if troubles:
        raise TroubleFound(troubles)
    return made


def _override(data: Any, parts: tuple[str, ...], value: Any, at: Place, done: Place = ()) -> Any:
    """Return a copy of ``data`` with the value at ``parts`` replaced; mappings are merged.

    Raises:
        TroubleFound: there is no such place; ``at`` is where it was named.
    """
    if not parts:
        if isinstance(data, dict) and isinstance(value, dict):
            for key, item in value.items():
                data = _override(data, (key,), item, (*at, key), done)
            return data
        return value
    if isinstance(data, list):
        index = _index(data, parts[0])
        if index is None:
            names = ", ".join(s["called"] for s in data if isinstance(s, dict) and isinstance(s.get("called"), str))
            hint = f"a number from 1 to {len(data)}" + (f", or one of: {names}" if names else "")
            raise TroubleFound([Trouble(at, f"expected an entry of '{place(done)}', saw {shown(parts[0])}", hint)])
        new = _override(data[index], parts[1:], value, at, (*done, index))
        return [*data[:index], new, *data[index + 1 :]]
    if data is None:
        data = {}
    if not isinstance(data, dict):
        message = f"expected a mapping at '{place(done)}', saw {shown(data)}"
        raise TroubleFound([Trouble(at, message, "a shorter place")])
    return {**data, parts[0]: _override(data.get(parts[0]), parts[1:], value, at, (*done, parts[0]))}


def changed_by_case(original: Any, made: Any, at: Place) -> bool:
    """Whether the value at ``at`` was put there by a case of ``cases:``, so that its line is the one to show."""
    for part in at:
        made = _step_into(made, part)
        original = _step_into(original, part)
        if original is None:
            return made is not None
    return bool(original != made)


def _step_into(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    return data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None


def _index(items: list[Any], part: str) -> int | None:
    """Find an entry by its number from 1, or a step by the name it is called."""
    if re.fullmatch(r"[1-9][0-9]{0,5}", part):
        return int(part) - 1 if int(part) <= len(items) else None
    return next((i for i, item in enumerate(items) if isinstance(item, dict) and item.get("called") == part), None)
