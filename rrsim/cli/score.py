"""``rrsim broken --by``: who finds which deliberate bug (scenarios, search, swarm), and after how much."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from rrsim.broken.bug import Bug
from rrsim.broken.catalogue import BUGS
from rrsim.broken.hunt import hunt, sound
from rrsim.cli import choose
from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.cli.execute import Progress
from rrsim.cli.exit_codes import exit_code
from rrsim.explore import score
from rrsim.explore.checkpoint import ROOMS, code_version
from rrsim.explore.cluster.opened import open_cluster
from rrsim.explore.models import of_set
from rrsim.explore.score import Score
from rrsim.report import json_out
from rrsim.scenario.model import Scenario

HUNTERS: Final = ("scenarios", "search", "swarm")
FORMATS: Final = ("text", "json", "markdown")
_HUNTING: Final = (*ROOMS, "broken")
"""Whose code decides who finds a bug, and after how much."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    by: str
    """Hunters, separated by commas."""
    format: str = "text"
    keyword: str = ""
    starts: int = score.STARTS
    seeds: int = score.MOST_SEEDS
    jobs: int = 0
    """Processes; 0: one for each processor."""
    keep: str = ""
    """A file that keeps each row as soon as it is there; what an earlier hunt left in it is not hunted again."""


class _Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a file that keeps rows: of which code and hunt they are."""

    code: str
    scenarios: str
    by: str
    starts: int
    seeds: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One bug, and what each hunter made of it."""

    bug: str
    about: str
    scenario: str = ""
    """The first scenario that caught it; empty: none did, or none was asked."""
    cases: int = 0
    """Scenarios that were played up to the one that settled it."""
    scores: tuple[Score, ...] = ()

    @property
    def found(self) -> bool:
        """Whether anybody found it."""
        return bool(self.scenario) or any(one.found for one in self.scores)


def run(wanted: Wanted) -> int:
    """Hunt, print the table, and return 1 if a bug was found by nobody.

    Raises:
        CommandError: no such hunter, format or bug.
    """
    hunters = tuple(one.strip() for one in wanted.by.split(",") if one.strip())
    if not hunters or set(hunters) - set(HUNTERS):
        raise CommandError(f"--by with some of {', '.join(HUNTERS)}", repr(wanted.by), "--by search,swarm")
    if wanted.format not in FORMATS:
        raise CommandError(f"--format with one of {', '.join(FORMATS)}", repr(wanted.format), "--format markdown")
    bugs = [bug for bug in BUGS if wanted.keyword.casefold() in bug.name.casefold()]
    if not bugs:
        raise CommandError("the name of a deliberate bug, or part of it", repr(wanted.keyword), "rrsim broken")
    rows = _kept(wanted, hunters, {bug.name for bug in bugs})
    if rows:
        say(f"{len(rows)} of {len(bugs)} bugs were hunted before, as {wanted.keep} says")
    progress = Progress(len(bugs), "bugs")
    interrupted = False
    try:
        for row in _hunted([bug for bug in bugs if bug.name not in rows], hunters, wanted):
            rows[row.bug] = row
            if wanted.keep:
                _keep(Path(wanted.keep), row)
            if wanted.format == "text":
                print("\n".join(_text(row)), flush=True)
            progress.done(len(rows))
    except KeyboardInterrupt:
        interrupted = True
        say(f"stopped by the user after {len(rows)} of {len(bugs)} bugs")
    finally:
        progress.close()
    ordered = [rows[bug.name] for bug in bugs if bug.name in rows]
    _print(ordered, hunters, wanted.format)
    missed = [row.bug for row in ordered if not row.found]
    if missed:
        say(f"expected: every bug found by somebody\n     saw: {', '.join(missed)} found by nobody\n"
            "     try: more seeds, a larger model, or a scenario that reaches it")
    return exit_code(["failed"] if missed else [], interrupted=interrupted)


def _mark(wanted: Wanted, hunters: tuple[str, ...]) -> _Mark:
    digest = blake2b(digest_size=8)
    for path in sorted(Path("scenarios").rglob("*.yaml")) if "scenarios" in hunters else ():
        digest.update(path.read_bytes())
    by = ",".join(sorted(set(hunters)))
    return _Mark(code_version(_HUNTING, ()), digest.hexdigest(), by, wanted.starts, wanted.seeds)


def _kept(wanted: Wanted, hunters: tuple[str, ...], names: set[str]) -> dict[str, Row]:
    """Return what an earlier hunt of the same kind left in the file; make the file if there is none.

    Raises:
        CommandError: the file is something else, or of another hunt.
    """
    if not wanted.keep:
        return {}
    mark, path = _mark(wanted, hunters), Path(wanted.keep)
    try:
        if not path.exists():
            path.write_bytes(msgspec.json.encode(mark) + b"\n")
        whole, _, _ = path.read_bytes().rpartition(b"\n")  # a hunt that was killed leaves half a line: hunted again
        first, *lines = whole.splitlines() or [b""]
        seen = msgspec.json.decode(first, type=_Mark)
        rows = [msgspec.json.decode(line, type=Row) for line in lines]
        if seen == mark:
            path.write_bytes(whole + b"\n")
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} to be a file that --keep made, or none", str(error), "another file") from None
    if seen != mark:
        raise CommandError(f"{path} to be of this code and this hunt", f"{seen} instead of {mark}", "another file")
    return {row.bug: row for row in rows if row.bug in names}


def _keep(path: Path, row: Row) -> None:
    with path.open("ab") as file:
        file.write(msgspec.json.encode(row) + b"\n")


def _hunted(bugs: list[Bug], hunters: tuple[str, ...], wanted: Wanted) -> Iterator[Row]:
    cluster = open_cluster(jobs=wanted.jobs, tasks=len(bugs))
    try:
        names = {
            cluster.submit(hunt_one, msgspec.msgpack.encode((bug.name, hunters, wanted.starts, wanted.seeds))): bug.name
            for bug in bugs
        }
        while names:
            for done in cluster.gather():
                name = names.pop(done.number)
                if done.error:
                    raise environment_error(f"the hunt for {name!r} to end", done.error, "the same command again")
                yield msgspec.msgpack.decode(done.data, type=Row)
    finally:
        cluster.close()


@cache
def _sound() -> tuple[Scenario, ...]:
    """Return the scenarios that pass without a bug: the same for every bug that a worker hunts."""
    loaded, _ = choose.load(())
    return sound(loaded)


def hunt_one(payload: bytes) -> bytes:
    """Hunt one bug, in a worker of its own."""
    name, hunters, starts, seeds = msgspec.msgpack.decode(payload, type=tuple[str, tuple[str, ...], int, int])
    (bug,) = (one for one in BUGS if one.name == name)
    scenario, cases, scores = "", 0, list[Score]()
    if "scenarios" in hunters:
        found = hunt(bug, _sound())
        scenario, cases = (found.catches[0].scenario if found.catches else ""), found.cases
    if "search" in hunters:
        scores.append(score.by_search(bug, of_set("standard")))
    if "swarm" in hunters:
        scores.append(score.by_swarm(bug, starts=starts, most_seeds=seeds))
    return msgspec.msgpack.encode(
        Row(bug=name, about=bug.about, scenario=scenario, cases=cases, scores=tuple(scores))
    )


def _text(row: Row) -> Iterator[str]:
    yield f"{'found  ' if row.found else 'MISSED '} {row.bug}"
    if row.cases:
        yield f"    scenarios: {row.scenario or 'not caught'} ({row.cases} cases)"
    yield from (f"    {one.line()}" for one in row.scores)


def _print(rows: list[Row], hunters: tuple[str, ...], format_: str) -> None:
    if format_ == "json":
        print(json_out.dumps({"bugs": [{**msgspec.to_builtins(row), "found": row.found} for row in rows]}))
        return
    if format_ == "markdown":
        print("\n".join(_markdown(rows, hunters)))
        return
    counts = {
        name: sum(bool(row.scenario) if name == "scenarios" else any(s.found for s in row.scores if s.by == name)
                  for row in rows) for name in hunters
    }
    print(f"{len(rows)} bugs; found by {', '.join(f'{name}: {count}' for name, count in counts.items())}; "
          f"by nobody: {sum(not row.found for row in rows)}")


def _markdown(rows: list[Row], hunters: tuple[str, ...]) -> Iterator[str]:
    titles = {"scenarios": "scenario", "search": "search: states", "swarm": "swarm: seeds, steps"}
    yield "| bug | " + " | ".join(titles[name] for name in HUNTERS if name in hunters) + " |"
    yield "| --- " * (1 + len(hunters)) + "|"
    for row in rows:
        cells = [row.bug]
        if "scenarios" in hunters:
            cells.append(row.scenario or "-")
        by = {one.by: one for one in row.scores}
        cells += [_cell(by[name]) for name in ("search", "swarm") if name in by]
        yield "| " + " | ".join(cells) + " |"


def _cell(one: Score) -> str:
    if not one.found:
        return "-"
    if one.by == "search":
        return f"{one.effort:,} ({one.what})"
    seldom = f", {one.missed} of {one.starts} missed" if one.missed else ""
    return f"{one.effort:,}{seldom} ({one.what}, {one.steps})"
