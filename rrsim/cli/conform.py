"""``rrsim conform``: are the histories of runs ones that the model allows?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import OK, PRODUCT, UNKNOWN
from rrsim.explore.conform import follow, witnessed
from rrsim.explore.conform.follow import Followed
from rrsim.explore.model import ModelError
from rrsim.report import json_out
from rrsim.report.phrases import plural, span
from rrsim.scenario import history_io
from rrsim.scenario.history import History

Outcome = Literal["allowed", "forbidden", "unknown", "not modelled"]
_BEGIN: Final = b'{"rrsim_history"'
FORMATS: Final = ("text", "json")
SAY_EVERY: Final = 50
"""Progress is told after so many histories."""
OFFERED: Final = 8
"""So many of the model's own next steps are named."""


class Wanted(msgspec.Struct, frozen=True):
    """What the user asked for."""

    paths: tuple[str, ...]
    format: str = "text"
    most_states: int = follow.MOST_STATES


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of one history."""

    file: str
    scenario: str
    backend: str
    seed: int
    outcome: Outcome
    why: str = ""
    """Not modelled: what no model has. Allowed: where the sequences end."""
    matched: int = 0
    observations: int = 0
    states: int = 0
    after: str = ""
    saw: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()


def conform(wanted: Wanted) -> int:
    """Hold every history against the model, print what came of it, and return the exit code.

    Raises:
        CommandError: a path has no history, or one that cannot be read.
    """
    if wanted.format not in FORMATS:
        raise CommandError("--format text or json", repr(wanted.format), "--format json")
    files = [file for path in wanted.paths for file in _files(path)]
    answers = []
    for number, file in enumerate(files, 1):
        answers.append(ask(file, wanted.most_states))
        if number % SAY_EVERY == 0:
            say(f"{number} of {len(files)} histories")
    if wanted.format == "json":
        print(json_out.dumps({"histories": [msgspec.to_builtins(one) for one in answers]}))
    else:
        print("\n".join(_lines(answers)))
    outcomes = {one.outcome for one in answers}
    if "forbidden" in outcomes:
        return PRODUCT
    return OK if "allowed" in outcomes and "unknown" not in outcomes else UNKNOWN


def _files(path: str) -> list[Path]:
    """Return the histories that a path stands for."""
    where = Path(path)
    if where.is_dir():
        found = sorted(where.rglob("*.jsonl"))
        found = [one for one in found if _begins_as_history(one)]
    else:
        found = [where] if where.is_file() else []
    if not found:
        raise CommandError(
            "a history, a bundle, or a folder with either", f"nothing of the kind at {path!r}",
            "rrsim run --histories out/histories, then: rrsim conform out/histories",
        )
    return found


def _begins_as_history(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_BEGIN)) == _BEGIN


def ask(file: Path, most_states: int) -> Answer:
    """Hold one history against the model.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        history = history_io.load(file.read_bytes(), str(file))
    except history_io.HistoryError as error:
        raise CommandError("a history that rrsim wrote", str(error), "rrsim run --histories DIR") from error
    head = history.header
    about = {"file": str(file), "scenario": head.scenario, "backend": head.backend, "seed": head.seed}
    try:
        one = witnessed.read(history)
        found = follow.follow(one, most_states=most_states)
    except (witnessed.NotModelled, ModelError) as error:
        return msgspec.convert({**about, "outcome": "not modelled", "why": str(error)}, Answer)
    return msgspec.convert({**about, **_told(history, found, one.until)}, Answer)


def _told(history: History, found: Followed, until: str) -> dict[str, object]:
    def at(one: witnessed.Seen) -> str:
        t_us, source, *_ = history.entries[one.place]
        return f"{span(t_us)} {source}: {one.label}"

    return {
        "outcome": found.outcome, "why": f"up to where {until}", "matched": found.matched, "observations": found.of,
        "states": found.states, "after": at(found.after) if found.after else "", "saw": [at(one) for one in found.saw],
        "offers": list(found.offers[:OFFERED]),
    }  # fmt: skip


def _lines(answers: list[Answer]) -> Iterator[str]:
    for one in answers:
        if one.outcome == "allowed":
            continue
        name = "FORBIDDEN" if one.outcome == "forbidden" else one.outcome
        yield f"{name}  {one.scenario}  ({one.backend}, seed {one.seed})  {one.file}"
        if one.outcome == "not modelled":
            yield f"    {one.why}"
            continue
        yield f"    {one.matched} of {one.observations} observations are explained, after {plural(one.states, 'state')}"
        if one.outcome == "forbidden":
            yield f"    the last that the model allows: {one.after or 'none'}"
            yield from (f"    and then was seen: {text}" for text in one.saw)
            yield from (f"    the model could have: {text}" for text in one.offers or ("nothing that is witnessed",))
    counts = {name: sum(one.outcome == name for one in answers) for name in get_args(Outcome)}
    seen = sum(one.matched for one in answers if one.outcome == "allowed")
    yield (
        f"{'1 history' if len(answers) == 1 else f'{len(answers)} histories'}: "
        + ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        + f"; {plural(seen, 'observation')} of the server and the PC explained"
    )
    if counts["forbidden"]:
        yield "what the model forbids is a bug in the product or in the model; rrsim judge shows the whole run"
