"""Which steps of a build are done, kept in a file beside the image, so that a build that broke off is taken up again.

A step counts as done for what it was done with: its key is a checksum over recipe, input files and the steps before it.
Whoever holds the lock is the only one who builds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "build.json"
LOCK: Final = "build.lock"


class BuildBusy(RuntimeError):
    """Somebody else builds this image right now."""


class Step(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One step of a build."""

    name: str
    key: str
    """What it was done with."""
    started: str
    """ISO 8601, UTC."""
    finished: str = ""
    """Empty: it was broken off."""
    failure: str = ""


class State(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A build as it stands."""

    recipe: str
    """Digest of the recipe."""
    inputs: dict[str, str] = {}
    """Input files by their checksums."""
    steps: list[Step] = []
    facts: dict[str, str] = {}
    """What Windows said about itself."""
    notes: list[str] = []


class Book:
    """The state of one build, written down at every change."""

    def __init__(self, folder: Path, recipe: str, now: Callable[[], str]) -> None:
        """Take up the build in ``folder``; one of another recipe, or a file that cannot be read, begins anew."""
        self._path, self._now = folder / FILE, now
        self.state = State(recipe=recipe)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            kept = msgspec.json.decode(self._path.read_bytes(), type=State)
            if kept.recipe == recipe:
                self.state = kept

    def done(self, name: str, key: str) -> bool:
        """Whether a step is done with just this."""
        return any(step.name == name and step.key == key and step.finished for step in self.state.steps)

    def broken_off(self, name: str, key: str) -> bool:
        """Whether a step was begun with just this, and neither finished nor failed: its builder was killed."""
        return any(
            step.name == name and step.key == key and not step.finished and not step.failure
            for step in self.state.steps
        )

    def begin(self, name: str, key: str) -> None:
        """Note that a step begins. What was noted of it before is forgotten."""
        self.forget(name)
        self.state.steps.append(Step(name=name, key=key, started=self._now()))
        self.write()

    def finish(self, name: str) -> None:
        """Note that a step is done."""
        self._step(name).finished = self._now()
        self.write()

    def fail(self, name: str, message: str) -> None:
        """Note that a step failed, and how, if it was begun."""
        for step in self.state.steps:
            if step.name == name:
                step.failure = message
        self.write()

    def forget(self, *names: str) -> None:
        """Forget steps: they are to be done again."""
        self.state.steps = [step for step in self.state.steps if step.name not in names]

    def write(self) -> None:
        """Write the state down; it is there as a whole or not at all."""
        beside = self._path.with_name(f".{self._path.name}.new")
        with beside.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self.state)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def _step(self, name: str) -> Step:
        return next(step for step in self.state.steps if step.name == name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one who builds in ``folder``; the lock ends with the process, however that ends.

    Raises:
        BuildBusy: somebody else does.
    """
    with (folder / LOCK).open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildBusy(
                f"expected to be the only one building in {folder}, saw another builder at work; wait for it, or end it"
            ) from error
        yield
