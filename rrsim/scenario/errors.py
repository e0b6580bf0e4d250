"""Problems found in scenario files: one shape for all of them, and the error that carries them.

Every problem says where it is (file, line, place in the YAML), what was expected, what was seen and what to try.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

Place = tuple[str | int, ...]
"""A place inside a YAML document: keys, and positions in lists counted from 0."""


class ScenarioProblem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong in one place of one file."""

    path: str
    """The file, as it was named by the caller; empty for a scenario built in Python."""
    line: int
    """Counted from 1; 0 where a line makes no sense (a file that cannot be read)."""
    where: str
    """The place in the YAML such as ``steps.2.returns after``; positions in lists count from 1."""
    message: str
    """What was expected and what was seen."""
    hint: str = ""
    """What to try."""
    column: int = 1

    def __str__(self) -> str:
        """Return ``file:line: where: message; try: hint``."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        head = ": ".join(part for part in (place, self.where) if part)
        text = f"{head}: {self.message}" if head else self.message
        return f"{text}; try: {self.hint}" if self.hint else text


class ScenarioError(ValueError):
    """A scenario (or a list of known issues) cannot be used; ``problems`` holds every reason found."""

    def __init__(self, problems: Iterable[ScenarioProblem]) -> None:
        self.problems: tuple[ScenarioProblem, ...] = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class Trouble(msgspec.Struct, frozen=True):
    """A problem before it is tied to a file: the place is still a path into the data."""

    at: Place
    message: str
    hint: str = ""
    key: bool = False
    """The key at this place is wrong, not its value."""


class TroubleFound(ValueError):
    """Raised inside the loader to hand over troubles that stop the work on a document."""

    def __init__(self, troubles: Iterable[Trouble]) -> None:
        self.troubles: tuple[Trouble, ...] = tuple(troubles)
        super().__init__("; ".join(t.message for t in self.troubles))


def place(at: Place) -> str:
    """Write a path the way people count: ``steps.2.returns after`` is the second step."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in at)


def closest(word: str, choices: Iterable[str]) -> str:
    """Return the choice that looks most like ``word``, or an empty string if none is near.

    Case, underscores and hyphens count as small differences, because they are the common slips.
    """
    import difflib  # only needed once something is wrong; loading good files must not pay for it

    by_plain: dict[str, str] = {}
    for choice in choices:
        by_plain.setdefault(_plain(choice), choice)
    wanted = _plain(word)
    if wanted in by_plain:
        return by_plain[wanted]
    near = difflib.get_close_matches(wanted, list(by_plain), n=1, cutoff=0.6)
    if near:
        return by_plain[near[0]]
    containing = [c for p, c in by_plain.items() if len(wanted) >= 4 and (wanted in p or p in wanted)]
    return containing[0] if len(containing) == 1 else ""


def _plain(word: str) -> str:
    return " ".join(word.lower().replace("_", " ").replace("-", " ").split())


def shown(value: object) -> str:
    """Show a value from a YAML file in a message: short, and in YAML's words."""
    if value is None:
        return "nothing"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict):
        keys = ", ".join(str(k) for k in list(value)[:4])
        return f"a mapping ({keys}{', …' if len(value) > 4 else ''})" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…'"


def listed(words: Iterable[str], most: int = 12) -> str:
    """Join words for a message, cutting long lists."""
    all_words = list(words)
    text = ", ".join(all_words[:most])
    return f"{text}, … ({len(all_words)} in all)" if len(all_words) > most else text
