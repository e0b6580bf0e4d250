"""From what the watcher (``rrwatch.exe``) says of a file, a registry value or a key to the call it bears witness of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rrsim.machine import observations as seen
from rrsim.machine.adapters import Watch


class Watched:
    """What is known of everything watched, over all boots of a machine."""

    def __init__(self, watches: tuple[Watch, ...]) -> None:
        """Know nothing yet."""
        self._watches: Final = watches
        self._states: dict[int, tuple[bool, bool]] = {}

    def lines(self) -> list[tuple[str, ...]]:
        """Return the words that tell the watcher what to watch, in order."""
        return [("watch", str(number), *_words(watch)) for number, watch in enumerate(self._watches)]

    def told(self, fields: Mapping[str, Any]) -> seen.HostCall | None:
        """Take what the watcher said, and return the call that it bears witness of, if any."""
        if fields.get("event") != "watch":
            return None
        state = {name: bool(fields[name]) for name in ("there", "marked", "first")}
        return self.heard(int(fields["n"]), **state)

    def heard(self, number: int, *, there: bool, marked: bool, first: bool) -> seen.HostCall | None:
        """Take a state that the watcher tells of.

        Args:
            number: which of the watches.
            there: whether it is there.
            marked: whether it is a file with the marker in it.
            first: whether it is the state when watching began, in this boot; otherwise it was written or went.

        Returns:
            The call that it bears witness of, if any.
        """
        known = number in self._states
        was_there, was_marked = self._states.get(number, (False, False))
        self._states[number] = (there, marked)
        if not known and first and not there:
            return None
        watch = self._watches[number]
        verb = None
        if there and marked and not (first and was_there and was_marked):
            verb = watch.marked  # saved again with its marker it says again what it said
        elif there and not was_there:
            verb = watch.appears
        elif there and (not first or marked != was_marked):
            verb = watch.changes
        elif not there and was_there:
            verb = watch.goes
        if verb is None:
            return None
        return seen.HostCall(verb, ok=True, detail=watch.path.rpartition("\\\\")[2] if watch.kind == "value" else "")


def _words(watch: Watch) -> tuple[str, ...]:
    if watch.kind == "file":
        return "file", watch.path, watch.marker
    hive, _, rest = watch.path.partition("\\")
    key, _, value = rest.partition("\\\\")
    return (watch.kind, hive, key, value) if watch.kind == "value" else (watch.kind, hive, key)
