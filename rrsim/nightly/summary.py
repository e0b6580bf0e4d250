"""A night on one page of Markdown, for the page of a CI job and for a mail. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rrsim.nightly.history import Story
from rrsim.nightly.outcomes import BAD
from rrsim.nightly.record import Record

MARKS: Final = 14
MOST_CASES: Final = 50
WORDS: Final = {
    0: "all passed", 1: "the product failed", 2: "could not tell", 64: "bad usage", 70: "the harness failed",
}


def summary(record: Record, stories: Sequence[Story]) -> str:
    """Return the page.

    Args:
        record: the night.
        stories: of all kept nights, this one the newest.
    """
    code = record.exit_code
    head = "it never ended" if code is None else f"{WORDS.get(code, 'failed')} ({code})"
    lines = [f"# Night of {record.night}: {head}", ""]
    about = [f"began {record.began}", f"ended {record.ended}"] if record.ended else [f"began {record.began}"]
    about += [f"commit {record.commit}"] if record.commit else []
    lines += [", ".join(about), "", "| step | outcome | code | minutes |", "| --- | --- | --- | --- |"]
    for step in record.steps:
        note = f": {_cell(step.note)}" if step.note else ""
        second = "" if step.counts else " (second try, decides nothing)"
        lines.append(f"| {step.name}{second} | {step.state}{note} | {step.code} | {step.seconds / 60:.1f} |")
    tonight = [story for story in stories if story.statuses and story.statuses[-1] in (*BAD, "flaky")]
    if tonight:
        lines += ["", f"## Did not pass, or wavered: {len(tonight)}", "",
                  "A case that failed and then passed is flaky, and has failed the night all the same.", "",
                  "| case | backend | tonight | the last nights | first failed |", "| --- | --- | --- | --- | --- |"]
        for story in tonight[:MOST_CASES]:
            lines.append(f"| {_cell(story.case)} | {story.backend} | {story.statuses[-1]} | `{story.marks(MARKS)}` "
                         f"| {story.first_failed} |")
        if len(tonight) > MOST_CASES:
            lines += ["", f"and {len(tonight) - MOST_CASES} more"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a text that a table's cell can hold."""
    return text.replace("|", "\\|").replace("\n", " ")
