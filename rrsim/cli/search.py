"""``rrsim search``: exhaustive searches of small models, their reports, limits, checkpoints and exit codes."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rrsim import __version__
from rrsim.cli.clock import elapsed_s
from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import HARNESS, OK, PRODUCT, UNKNOWN
from rrsim.cli.status import StatusLine
from rrsim.explore import text
from rrsim.explore.checkpoint import CheckpointError, load, save
from rrsim.explore.component import TooManyStates
from rrsim.explore.model import Model
from rrsim.explore.models import MODELS, UnknownModel, named, of_set
from rrsim.explore.network import QueueFull
from rrsim.explore.report import Limits, Progress, Report
from rrsim.explore.search import Search
from rrsim.explore.turn import Endless
from rrsim.report import json_out

_UNITS: Final = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_NO_LIMIT: Final = 2**62
PATIENCE_S: Final = 1.0
"""A search that is over sooner shows no progress."""
EVERY_S: Final = 10.0
"""Between two lines of progress where no terminal is."""
SAVED_EVERY_S: Final = 300.0
"""Between two writings of a checkpoint while a search goes on."""
STOPPED: Final = "stopped by the user"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The options."""

    models: tuple[str, ...] = ()
    every: bool = False
    set: str = "standard"
    only_list: bool = False
    fingerprints: bool = False
    max_states: int = 0
    memory: str = "4GB"
    checkpoint: str = ""
    json: str = ""
    found: str = ""
    """Folder for the scenarios of what is broken; empty: none are made."""


def search(wanted: Wanted) -> int:
    """Search the models, print a report for each, and return the exit code.

    Raises:
        CommandError: a model, set or size that does not exist, or a checkpoint that is of no use here.
    """
    models = _models(wanted)
    if wanted.only_list:
        _list(models if wanted.models or wanted.set != "standard" else tuple(MODELS.values()))
        return OK
    if wanted.checkpoint and len(models) != 1:
        raise CommandError("one model with --checkpoint", f"{len(models)} models", "one model's name")
    limits = Limits(states=wanted.max_states or _NO_LIMIT, memory_bytes=size_bytes(wanted.memory))
    done: list[tuple[Model, Report]] = []
    with _ctrl_c() as stopped:
        for model in models:
            if stopped:
                break
            report = _searched(model, wanted, limits, stopped)
            done.append((model, report))
            print("\n".join(text.lines(model, report)), flush=True)
    if stopped:
        say(f"{STOPPED}: {len(done)} of {len(models)} models were begun")
    if len(done) > 1:
        _total(done)
    if wanted.found:
        _keep(Path(wanted.found), done)
    if wanted.json:
        _write(wanted.json, done, len(models))
    return exit_code([report for _, report in done], begun_all=len(done) == len(models))


def exit_code(reports: Sequence[Report], *, begun_all: bool = True) -> int:
    """Return 1 if any search failed, else 2 if any is incomplete or was not begun, else 0."""
    outcomes = {report.outcome for report in reports}
    if "failed" in outcomes:
        return PRODUCT
    return UNKNOWN if "incomplete" in outcomes or not begun_all else OK


def size_bytes(text_: str) -> int:
    """Return a size in bytes: a number with ``kB``, ``MB``, ``GB`` (thousands) or ``KiB``, ``MiB``, ``GiB``.

    Raises:
        CommandError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text_.strip().casefold())
    if match is None or match[2] not in _UNITS or not float(match[1]):
        raise CommandError("a size in memory", repr(text_), "--memory 4GB")
    return int(float(match[1]) * _UNITS[match[2]])


def _models(wanted: Wanted) -> tuple[Model, ...]:
    if wanted.set not in ("standard", "nightly"):
        raise CommandError("--set standard or --set nightly", repr(wanted.set), "--set nightly")
    if wanted.models and wanted.every:
        raise CommandError("names of models, or --all", "both", "one of the two")
    try:
        return tuple(named(name) for name in wanted.models) or of_set(wanted.set)  # type: ignore[arg-type]  # checked above
    except UnknownModel as error:
        raise CommandError("the name of a model", str(error.args[0]), "rrsim search --list") from None


def _list(models: Sequence[Model]) -> None:
    wide = max(len(model.name) for model in models)
    for model in models:
        print(f"{model.name:<{wide}}  {'nightly ' if model.nightly else 'standard'}  {model.about}")


# --- one search -------------------------------------------------------------------------------------------------


def _searched(model: Model, wanted: Wanted, limits: Limits, stopped: list[str]) -> Report:
    """Search one model, from a checkpoint if there is one, and keep the search if it stops before its end."""
    path = Path(wanted.checkpoint) if wanted.checkpoint else None
    going = _begun(model, path, fingerprints=wanted.fingerprints)
    watched = _Watched(model.name, going, path, stopped)
    try:
        report = going.go(limits, watched.look)
    except (Endless, QueueFull, TooManyStates) as error:
        raise CommandError("a model that stays within its own bounds", f"{model.name}: {error}",
                           "narrower bounds, or a look at what sends or answers without end", HARNESS) from error
    watched.end(report)
    if path is not None and not report.complete:
        save(going, path)
        say(f"{model.name}: the search is kept in {path}; the same command goes on from there")
    elif path is not None:
        path.unlink(missing_ok=True)
    return report


def _begun(model: Model, path: Path | None, *, fingerprints: bool) -> Search:
    if path is None or not path.exists():
        return Search(model, fingerprints=fingerprints)
    try:
        going = load(model, path, fingerprints=fingerprints)
    except CheckpointError as error:
        raise CommandError("a checkpoint to go on from", f"{type(error).__name__}: {error}", f"rm {path}") from error
    say(f"{model.name}: going on from {path}, with {len(going.store)} states")
    return going


class _Watched:
    """Shows how far a search is, writes its checkpoint now and then, and passes on the user's wish to stop."""

    def __init__(self, name: str, going: Search, path: Path | None, stopped: list[str]) -> None:
        self._name, self._going, self._path, self._stopped = name, going, path, stopped
        self._began = self._saved = elapsed_s()
        self._before = len(going.store)
        self._next = self._began + PATIENCE_S
        self._line = StatusLine()

    def look(self, progress: Progress) -> str:
        """Take a look; return why to stop, or nothing."""
        now = elapsed_s()
        if now >= self._next:
            self._next = now + (PATIENCE_S / 4 if self._line.terminal else EVERY_S)
            self._show(progress, now)
        if self._path is not None and now - self._saved >= SAVED_EVERY_S:
            save(self._going, self._path)
            self._saved = elapsed_s()
        return self._stopped[0] if self._stopped else ""

    def _show(self, progress: Progress, now: float) -> None:
        rate = (progress.states - self._before) / (now - self._began)
        self._line.show(
            f"{self._name}: {progress.states:,} states, {rate:,.0f} states/s, depth {progress.depth}, frontier "
            f"{progress.frontier:,}, {progress.memory_bytes / 1e6:,.0f} MB"
        )

    def end(self, report: Report) -> None:
        """Say what the search has cost."""
        took_s = max(elapsed_s() - self._began, 1e-6)
        self._line.erase()
        say(
            f"{self._name}: {report.outcome} after {took_s:.1f} s, {(report.states - self._before) / took_s:,.0f} "
            f"states/s; the process grew by {report.grown_bytes / 1e6:,.0f} MB"
        )


@contextmanager
def _ctrl_c() -> Iterator[list[str]]:
    """Collect the user's wish to stop; the second Ctrl-C ends the program as usual."""
    stopped: list[str] = []

    def take(_number: int, _frame: FrameType | None) -> None:
        stopped.append(STOPPED)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, take)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


# --- what is left behind ----------------------------------------------------------------------------------------


def _total(done: Sequence[tuple[Model, Report]]) -> None:
    """Print what all searches came to."""
    count = {outcome: sum(r.outcome == outcome for _, r in done) for outcome in ("passed", "failed", "incomplete")}
    states, transitions = sum(r.states for _, r in done), sum(r.transitions for _, r in done)
    told = ", ".join(f"{number} {outcome}" for outcome, number in count.items() if number)
    print(f"{len(done)} models: {told}; {states} states, {transitions} transitions")
    for model, report in done:
        if report.outcome != "passed":
            broken = [f"{v.invariant}: {v.message}" for v in report.violations]
            never = [f"never occurred: {', '.join(report.never)}"] if report.complete and report.never else []
            print(f"  {report.outcome} {model.name}: {'; '.join(broken or never) or report.why_not}")


def _keep(folder: Path, done: Sequence[tuple[Model, Report]]) -> None:
    """Make a scenario of each violation that the simulator shows too, and say which one it does not show."""
    from rrsim.explore.shrink import traced
    from rrsim.explore.shrink.written import scenario_yaml

    for model, report in done:
        for number, one in enumerate(report.violations, 1):
            name = f"{model.name}-{one.invariant.replace(' ', '-').lower()}-{number}"
            try:
                made = traced.found(model, one.way, one.invariant)
            except traced.NotExpressible as why:
                say(f"no scenario of {name}: {why}")
                continue
            folder.mkdir(parents=True, exist_ok=True)
            remarks = (f"{one.invariant}: {one.message}", f"found by rrsim search {model.name}",
                       "passes as long as the bug is there: it expects the invariant to be broken")
            text_ = scenario_yaml(replace(made.scenario, name=name), remarks)
            (folder / f"{name}.yaml").write_text(text_, encoding="utf-8")
            print(f"scenario: rrsim run {folder / name}.yaml")


def _write(path: str, done: Sequence[tuple[Model, Report]], wanted: int) -> None:
    data: dict[str, Any] = {
        "format": 1, "rrsim": __version__, "wanted": wanted,
        "models": [text.as_data(model, report) for model, report in done],
    }
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json_out.dumps(data) + "\n", encoding="utf-8")
