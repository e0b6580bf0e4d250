"""What rrsim keeps on this computer: built images, built agents, and what killed runs left."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rrsim.doctor.finding import Seen, State
from rrsim.doctor.trial import Place
from rrsim.live_clock import wall_time

if TYPE_CHECKING:
    from rrsim.images.description import Built

MANIFEST: Final = "manifest.json"
SOON_DAYS: Final = 7
"""A licence that ends this soon is worth a word."""


@dataclass(frozen=True)
class Kept:
    """One built image as it lies there."""

    folder: Path
    built: Built | None
    """Nothing if the manifest cannot be read."""
    trouble: str = ""


def images_home() -> Path:
    """Return the folder of built images."""
    from rrsim.backends.live.state import state_home

    return state_home() / "images"


def find_images(home: Path) -> tuple[Kept, ...]:
    """Return every build under a folder ``NAME/BUILD/``, those that cannot be read included."""
    from rrsim.images.description import Built

    found = []
    for path in sorted(home.glob(f"*/*/{MANIFEST}")):
        try:
            built = msgspec.json.decode(path.read_bytes(), type=Built)
        except (OSError, msgspec.MsgspecError) as error:
            found.append(Kept(path.parent, None, f"{path}: {error}"))
            continue
        gone = [name for name in sorted(built.files) if not (path.parent / name).is_file()]
        found.append(Kept(path.parent, built, f"{path.parent}: not there: {', '.join(gone)}" if gone else ""))
    return tuple(found)


def built_images(_: Place, home: Path | None = None) -> Seen:
    """Look whether there is a built image that can be used today."""
    today = wall_time().date()
    kept = find_images(home or images_home())
    usable = [one for one in kept if judge(one, today)[0] != "broken" and not ended(one, today)]
    if usable:
        names = sorted({one.built.description.name for one in usable if one.built is not None})
        return Seen("ok", f"{len(usable)} usable: {', '.join(names)}")
    if not kept:
        return Seen("missing", "none built yet", "rrsim image build wine-guest")
    first = kept[0].trouble or judge(kept[0], today)[1]
    return Seen("broken", f"{len(kept)} built, none usable; {first}", "rrsim image build wine-guest")


def ended(one: Kept, today: datetime.date) -> bool:
    """Whether the licence of an image has ended."""
    left = days_left(one.built.expires, today) if one.built else None
    return left is not None and left < 0


def days_left(expires: str, today: datetime.date) -> int | None:
    """Return how many days are left until a date as a manifest has it; nothing for no date, or none that is one."""
    try:
        return (datetime.date.fromisoformat(expires[:10]) - today).days if expires else None
    except ValueError:
        return None


def judge(one: Kept, today: datetime.date, recipe: str = "") -> tuple[State, str]:
    """Say how it stands with one built image.

    Args:
        recipe: the word for the image's recipe as it is now, packages aside; empty: not known.
    """
    built = one.built
    if built is None or one.trouble:
        return "broken", one.trouble
    try:
        age = (today - datetime.date.fromisoformat(built.made[:10])).days
    except ValueError:
        return "broken", f"{one.folder / MANIFEST}: made: expected a date such as 2031-01-31, saw {built.made!r}"
    seen = f"{built.digest[:12]}, {age} days old"
    left = days_left(built.expires, today)
    if built.expires and left is None:
        return "broken", f"{one.folder / MANIFEST}: expires: expected a date, saw {built.expires!r}"
    if left is not None and left < 0:
        return "old", f"{seen}, licence ended on {built.expires[:10]}"
    if left is not None:
        seen += f", licence ends in {left} days" + (": soon" if left <= SOON_DAYS else "")
    if recipe and recipe != built.sources:
        return "old", f"{seen}; its recipe has changed since"
    return "ok", seen + (", of the recipe as it is" if recipe else "")


def look_at(one: Kept, recipe: str) -> Seen:
    """Look at one built image."""
    state, seen = judge(one, wall_time().date(), recipe)
    name = one.folder.parent.name
    return Seen(state, seen, "" if state == "ok" else f"rrsim image build {name}")


def agents(_: Place, home: Path | None = None) -> Seen:
    """Count the agents that are built; the first live run builds one if its sources are new."""
    if home is None:
        from rrsim.backends.live.wine.parts import cache_home

        home = cache_home() / "agent"
    whole, bad = [], []
    for path in sorted(home.glob(f"*/{MANIFEST}")):
        try:
            json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            bad.append(f"{path}: {error}")
        else:
            whole.append(path)
    if bad:
        return Seen("broken", bad[0], f"rm -r {bad[0].partition(f'/{MANIFEST}')[0]}")
    if not whole:
        return Seen("skipped", "none built yet: the first live run builds one in a few minutes")
    newest = max(path.stat().st_mtime for path in whole)
    when = datetime.datetime.fromtimestamp(newest, datetime.UTC)
    return Seen("ok", f"{len(whole)} built, the newest of {when:%Y-%m-%d}")


def leftovers(_: Place, home: Path | None = None) -> Seen:
    """Count what ``rrsim reap`` would take away."""
    from rrsim.backends.live import state
    from rrsim.backends.live.wine import lease

    home = home or state.runs_home()
    folders = [path for path in sorted(home.iterdir()) if path.is_dir()] if home.is_dir() else []
    owners = [(path, state.owner_of(path)) for path in folders]
    dead = [path.name for path, owner in owners if owner is not None and not lease.alive(owner)]
    going_on = sum(owner is not None and lease.alive(owner) for _, owner in owners)
    others = f"; {going_on} live runs are going on" if going_on else ""
    if dead:
        return Seen("old", f"{len(dead)} runs whose owner is gone: {', '.join(dead[:3])}{others}", "rrsim reap")
    return Seen("ok", f"nothing left over{others}")
