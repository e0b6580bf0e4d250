"""``python -m rrsim.nightly``: one night, as ``.ci/nightly`` starts it (``docs/nightly.md``)."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Final

from rrsim import __version__
from rrsim.cli.errors import say
from rrsim.cli.exit_codes import HARNESS, USAGE, worst
from rrsim.live_clock import wall_time
from rrsim.nightly import history, keep, plan, read, store, summary
from rrsim.nightly.page import html
from rrsim.nightly.record import Record
from rrsim.nightly.run import Player

HOURS: Final = 10.0
KEEP: Final = 30
MOST_MIB: Final = 4000


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program with exit code 64."""
    parser = argparse.ArgumentParser(prog=".ci/nightly", description="Play a night and keep what came of it.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(plan.PARTS)}; default: all of them")
    parser.add_argument("--out", default="out/nightly", help="where the nights are kept (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=plan.SEEDS, help="seeds of each case on the simulator")
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time")
    parser.add_argument("--hours", type=float, default=HOURS, help="time for the whole night (default: %(default)s)")
    parser.add_argument("--keep", type=int, default=KEEP, help="how many nights stay (default: %(default)s)")
    parser.add_argument("--keep-mib", type=int, default=MOST_MIB, help="what they may weigh (default: %(default)s)")
    parser.exit_on_error = False
    try:
        found = parser.parse_args(words)
        wrong = [part for part in found.parts if part not in plan.PARTS]
        if wrong:
            parser.error(f"expected parts among {', '.join(plan.PARTS)}, saw {', '.join(wrong)}")
        if found.seeds < 1 or found.jobs < 1 or found.keep < 1 or found.keep_mib < 1 or not 0 < found.hours <= 48:
            parser.error("expected numbers from 1, and up to 48 hours")
    except argparse.ArgumentError as error:
        say(f".ci/nightly: {error}")
        sys.exit(USAGE)
    except SystemExit as left:
        sys.exit(left.code if left.code in (0, None) else USAGE)
    return found


def main(words: list[str]) -> int:
    """Play a night; return the worst that any of its steps came to."""
    options = arguments(words)
    root = Path(options.out).absolute()
    started = wall_time()
    try:
        folder = store.new_night(root, f"{started:%Y-%m-%d}")
        player = Player(folder, Path(sys.executable).parent, say, limit_s=options.hours * 3600)
        player.about(commit=commit(), version=__version__, processors=os.cpu_count() or 0)
        steps = plan.night(
            options.parts or plan.PARTS, str(folder), first_seed=started.toordinal() * 1000, seeds=options.seeds,
            jobs=options.jobs,
        )
        say(f"night {folder.name}: {len(steps)} steps, kept under {folder}")
        record = player.play(steps)
        return worst((record.exit_code or 0, _report(root, folder, record), _prune(root, options)))
    except OSError as error:
        say(f"the night cannot be kept: {error}; make room, or give another folder with --out")
        return HARNESS
    except Exception:  # noqa: BLE001 - whatever it is, it is the harness's, and must not look like the product's
        say(f"the night itself failed:\n{traceback.format_exc()}")
        return HARNESS


def commit() -> str:
    """Return the commit that is played; empty outside a checkout or without git."""
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        asked = subprocess.run(
            [git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _report(root: Path, folder: Path, record: Record) -> int:
    """Write the page about all nights and the summary of this one; results that cannot be read fail the night."""
    nights = read.read_nights(root)
    stories = history.stories(nights)
    tonight = next((night for night in nights if night.name == folder.name), None)
    problems = tonight.problems if tonight else ()
    page = html(history.totals(nights), stories, history.slowest(stories, 20), problems,
                made=wall_time().strftime("%Y-%m-%d %H:%M UTC"))
    (root / "nights.html").write_text(page, encoding="utf-8")
    text = summary.summary(record, stories)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201 - what the night came to
    for problem in problems:
        say(str(problem))
    return HARNESS if problems else 0


def _prune(root: Path, options: argparse.Namespace) -> int:
    gone = keep.removals(store.held(root), options.keep, options.keep_mib * 2**20)
    store.remove(root, gone)
    for one in gone:
        say(f"removed {'the night' if one.what == 'night' else 'bundles, pages and logs'} of {one.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
