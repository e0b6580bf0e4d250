"""``rrsim nights``: durations and flakes over the kept nights."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rrsim.cli import clock
from rrsim.cli.errors import CommandError, say, unusable_file
from rrsim.cli.exit_codes import HARNESS, OK, USAGE
from rrsim.nightly import history, read, text
from rrsim.nightly.outcomes import Problem
from rrsim.report import json_out


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    folder: str = "out/nightly"
    last: int = 0
    """Only so many of the newest nights; 0: all."""
    marks: int = 14
    keyword: str = ""
    backend: str = ""
    slowest: int = 10
    every: bool = False
    html: str = ""
    format: str = "text"


def nights(options: Options) -> int:
    """Read the kept nights and print what they say about each case.

    Returns 0, or 64 if some results could not be read: they are named, and the rest is reported.

    Raises:
        CommandError: there is no such folder, or no night in it.
    """
    root = Path(options.folder)
    try:
        folders = read.night_folders(root)
    except OSError as error:
        raise CommandError("a folder with kept nights", str(error), "rrsim nights out/nightly") from None
    if not folders:
        raise CommandError(
            "folders named by dates, such as 2031-01-31", f"none in {root}", ".ci/nightly, which makes one every night"
        )
    found = read.read_nights(root, options.last)
    problems = [problem for night in found for problem in night.problems]
    totals = history.totals(found)
    word = options.keyword.casefold()
    stories = [story for story in history.stories(found)
               if word in story.case.casefold() and options.backend in ("", story.backend)]
    slow = history.slowest(stories, options.slowest)
    for problem in problems:
        say(str(problem))
    code = USAGE if problems else OK
    if options.html:
        code = HARNESS if not _write(options.html, totals, stories, slow, problems) else code
    if options.format == "json":
        print(json_out.dumps(text.plain(totals, stories, problems, options.marks)))
    else:
        print(text.report(totals, stories, slow, marks=options.marks, every=options.every or bool(word)))
    return code


def _write(
    path: str, totals: tuple[history.NightTotals, ...], stories: list[history.Story],
    slow: tuple[history.Story, ...], problems: list[Problem],
) -> bool:
    from rrsim.nightly.page import html

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(html(totals, stories, slow, problems, made=clock.now_text()), encoding="utf-8")
    except OSError as error:  # a page that cannot be written must not cost the report
        say(unusable_file(error))
        return False
    say(f"HTML report: {path}")
    return True
