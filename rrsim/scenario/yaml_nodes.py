"""From a YAML file to plain data, safely, with every place kept findable.

* Scalars follow YAML 1.2: only ``true`` and ``false`` are truth values, so ``yes``, ``no``, ``on`` and ``off`` stay
  words. Whole numbers become ints; everything else stays a string (durations are read later, and exactly).
* Refused: tags, duplicate keys, merge keys, keys without a value, several documents in a file, files that are too
  large, too deep, or that expand to too much through aliases.
* Positions are looked up in the node tree only when a problem must be shown, so that good files do not pay for them.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from rrsim.scenario.errors import Place, ScenarioError, ScenarioProblem, Trouble, TroubleFound, place, shown

MAX_FILE_BYTES: Final = 256 * 1024
MAX_NODES: Final = 20_000
"""Values in one file after aliases are expanded: far above any real scenario, far below an alias bomb."""
MAX_DEPTH: Final = 50

# libyaml's composer recurses on the C stack and takes the whole process down on input that is nested some ten
# thousand levels deep. Below this upper bound of the depth it is safe; above it the events are counted first.
_SAFE_DEPTH: Final = 1_000

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SLOW_PARSER: Final = (
    ""
    if hasattr(yaml, "CSafeLoader")
    else (
        "PyYAML was built without libyaml, so scenario files load about nine times slower; "
        "try: reinstall PyYAML from a wheel (pip install --force-reinstall PyYAML)"
    )
)
"""Why loading is slow; empty if it is not."""


class _Loader(_BASE):  # type: ignore[misc]  # chosen at run time
    """The safe loader without YAML 1.1's guessing of types: every plain scalar arrives as a string."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


_PLAIN_TAGS: Final = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Document:
    """One YAML file as plain data (``dict``, ``list``, ``str``, ``int``, ``bool``) with the positions of its parts."""

    __slots__ = ("_root", "data", "path")

    def __init__(self, path: str, root: yaml.Node, data: Any) -> None:
        self.path = path
        self.data = data
        self._root = root

    def position(self, at: Place, key: bool = False) -> tuple[int, int]:
        """Return line and column, from 1, of the value at ``at`` (or of its key), or of its nearest known ancestor."""
        node = self._root
        mark = node.start_mark
        for part in at:
            found = _child(node, part)
            if found is None:
                break
            key_node, node = found
            mark = key_node.start_mark if key or key_node is node else node.start_mark
            # A mapping or list below its key is best shown at the key: that is the line people look for.
            if not isinstance(node, yaml.ScalarNode):
                mark = key_node.start_mark
        return mark.line + 1, mark.column + 1

    def problem(self, trouble: Trouble, case: str = "") -> ScenarioProblem:
        """Tie a trouble to this file, line and column."""
        line, column = self.position(trouble.at, trouble.key)
        where = place(trouble.at)
        if case:
            where = f"{where} [{case}]" if where else f"[{case}]"
        return ScenarioProblem(self.path, line, where, trouble.message, trouble.hint, column)


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(part, int):
        if isinstance(node, yaml.SequenceNode) and part < len(node.value):
            return node.value[part], node.value[part]
        return None
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if key_node.value == part:
                return key_node, value_node
    return None


def read_document(path: str) -> Document:
    """Read one YAML file.

    Raises:
        ScenarioError: the file is missing, unreadable, no regular file, too large, empty, not UTF-8, not YAML, or holds
            something the format refuses; the problem names the line.
    """
    return parse_document(path, _read_text(path))


def _read_text(path: str) -> str:
    try:
        info = Path(path).stat()
        if not stat.S_ISREG(info.st_mode):
            what = "a directory" if stat.S_ISDIR(info.st_mode) else "a device, pipe or socket"
            raise _file_error(path, f"expected a regular file, saw {what}", "name a .yaml file")
        with Path(path).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _file_error(
            path, f"expected a readable file, saw: {reason}", "check the name and its permissions"
        ) from None
    except ScenarioError:
        raise
    except ValueError as error:  # a NUL byte in the name
        raise _file_error(path, f"expected the name of a file, saw: {error}", "check the name") from None
    if len(raw) > MAX_FILE_BYTES:
        raise _file_error(
            path,
            f"expected at most {MAX_FILE_BYTES // 1024} KiB, saw {max(info.st_size, len(raw)) // 1024} KiB",
            "split the scenario, or use a matrix in place of copies",
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ScenarioError(
            [
                ScenarioProblem(
                    path,
                    line,
                    "",
                    f"expected UTF-8 text, saw the byte 0x{raw[error.start]:02x}",
                    "save the file as UTF-8",
                )
            ]
        ) from None


def _file_error(path: str, message: str, hint: str) -> ScenarioError:
    return ScenarioError([ScenarioProblem(path, 0, "", message, hint)])


def parse_document(path: str, text: str) -> Document:
    """Parse YAML text; ``path`` is only used in messages.

    Raises:
        ScenarioError: as for :func:`read_document`.
    """
    try:
        if _depth_bound(text) > _SAFE_DEPTH:
            _count_depth(text)
        root = yaml.compose(text, Loader=_Loader)
    except TroubleFound as error:
        raise ScenarioError([ScenarioProblem(path, 1, "", t.message, t.hint) for t in error.troubles]) from None
    except yaml.YAMLError as error:
        raise ScenarioError([_yaml_problem(path, text, error)]) from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value.strip()):
        raise ScenarioError(
            [
                ScenarioProblem(
                    path, 1, "", "expected a document, saw an empty file", "start with 'rrsim: 1', or use 'rrsim new'"
                )
            ]
        )
    plain = _Plain()
    data = plain.convert(root, ())
    document = Document(path, root, data)
    if plain.troubles:
        raise ScenarioError([document.problem(t) for t in plain.troubles])
    return document


def _depth_bound(text: str) -> int:
    """Return a number that the nesting cannot exceed: a level costs a bracket, or at least half a column."""
    longest = max((len(line) for line in text.split("\n")), default=0)
    return text.count("[") + text.count("{") + 2 * longest


def _count_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise TroubleFound([_too_deep(())])
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1


def _too_deep(at: Place) -> Trouble:
    return Trouble(at, f"expected at most {MAX_DEPTH} levels of nesting, saw more", "an alias must not contain itself")


class _TooMuch(Exception):
    """The document is larger than allowed: stop looking at the rest."""


class _Plain:
    """Turns nodes into plain data and collects what the format refuses."""

    def __init__(self) -> None:
        self.count = 0
        self.troubles: list[Trouble] = []

    def convert(self, root: yaml.Node, at: Place) -> Any:
        """Return the data of a node, or whatever could be read when troubles were found."""
        try:
            return self._value(root, at)
        except _TooMuch:
            return None

    def _value(self, node: yaml.Node, at: Place) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            self._stop(
                Trouble(
                    at[:1],
                    f"expected at most {MAX_NODES} values after expanding aliases, saw more",
                    "write the values out, or use a matrix",
                )
            )
        if len(at) > MAX_DEPTH:
            self._stop(_too_deep(at[:1]))
        if node.tag not in _PLAIN_TAGS:
            self.troubles.append(
                Trouble(
                    at,
                    f"expected plain YAML, saw the tag {_short_tag(node.tag)!r}",
                    "remove the tag; tags are never executed",
                )
            )
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*at, index)) for index, child in enumerate(node.value)]
        return self._mapping(node, at) if isinstance(node, yaml.MappingNode) else None

    def _stop(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)
        raise _TooMuch

    def _scalar(self, node: yaml.ScalarNode, at: Place) -> str | int | bool | None:
        text: str = node.value
        if node.style:  # quoted or a block: a string, whatever it looks like
            return text
        if text == "true":
            return True
        if text == "false":
            return False
        if text in _NOTHING:
            hint = "write a value, or remove the key" if at and isinstance(at[-1], str) else "write a value"
            self.troubles.append(Trouble(at, "expected a value, saw nothing", f'{hint}; for empty text write ""'))
            return None
        return int(text) if _INT.fullmatch(text) else text

    def _mapping(self, node: yaml.MappingNode, at: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _PLAIN_TAGS:
                self.troubles.append(Trouble(at, "expected a word as key, saw a list, mapping or tag", "a plain word"))
                continue
            if key == "<<":
                self.troubles.append(
                    Trouble(
                        (*at, key),
                        "expected a key of the format, saw the merge key '<<'",
                        "write the keys out, or use a matrix with ${name}",
                        key=True,
                    )
                )
                continue
            if key in result:
                self.troubles.append(
                    Trouble(
                        (*at, key),
                        f"expected every key once, saw {shown(key)} a second time on line "
                        f"{key_node.start_mark.line + 1}",
                        "remove one of the two",
                        key=True,
                    )
                )
                continue
            result[key] = self._value(value_node, (*at, key))
        return result


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


_YAML_HINTS: Final = (
    ("mapping values are not allowed", "text that contains ': ' needs quotes; or the indentation is off by a space"),
    ("tab character", "indent with spaces, not tabs"),
    ("cannot start any token", "indent with spaces, not tabs; quote text that starts with @, ` or %"),
    ("did not find expected key", "check indentation and quotes on this line and the one above"),
    ("did not find expected ',' or", "close the bracket, or quote text that contains [ ] { } or ,"),
    ("did not find expected node content", "close the bracket, or write the missing value"),
    ("did not find expected '-' indicator", "all entries of a list start with '- ' in the same column"),
    ("could not find expected ':'", "a key needs ': ' after it; check for a missing colon or quote"),
    ("found unexpected end of stream", "close the quote that is open"),
    ("undefined alias", "an alias (*name) needs its anchor (&name) above it; quote text that starts with *"),
    ("duplicate anchor", "give every anchor its own name"),
    ("expected a single document", "one scenario a file: remove the second '---'"),
    ("but found another document", "one scenario a file: remove the second '---'"),
    ("control characters", "remove the control character"),
    ("special characters", "remove the control character"),
)


def _yaml_problem(path: str, text: str, error: yaml.YAMLError) -> ScenarioProblem:
    """Turn the parser's error into ours, with a hint for the usual slips."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    else:
        offset = getattr(error, "position", 0) or 0
        line, column = text.count("\n", 0, offset) + 1, 1
    line = max(1, min(line, len(text.splitlines())))  # the parser counts a line beyond the end
    parts = [getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None)]
    said = ", ".join(str(p) for p in parts if p) or str(error).split("\n")[0]
    if "flow" in said and "${" in "".join(text.splitlines()[line - 1 : line]):
        hint = 'inside { } and [ ] a parameter needs quotes: "${name}"'
    else:
        usual = "check indentation, quotes and brackets near this line"
        hint = next((h for words, h in _YAML_HINTS if words in said), usual)
    return ScenarioProblem(path, line, "", f"expected YAML, saw a mistake in it: {said}", hint, column)
