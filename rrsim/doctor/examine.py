"""Making the checks one after the other: what depends on something broken is skipped and says on what."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rrsim.doctor import kept
from rrsim.doctor.catalogue import CHECKS, Check
from rrsim.doctor.finding import Finding, Purpose, Seen
from rrsim.doctor.trial import Place
from rrsim.live_clock import monotonic_us

PATIENCE_S: Final = 1.0
"""A check that takes longer is announced."""

IMAGES: Final = "images"
"""The check after which every built image gets a line of its own."""

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Take a line and say nothing."""


def wanted(asked: Sequence[Purpose], checks: Sequence[Check] = CHECKS) -> list[Check]:
    """Return the checks that concern what was asked for, in their order."""
    return [check for check in checks if set(check.purposes) & set(asked)]


def examine(
    place: Place, asked: Sequence[Purpose], say: Say = silent, checks: Sequence[Check] = CHECKS
) -> Iterator[Finding]:
    """Make every check that concerns what was asked for; yield what each found as soon as it has.

    Args:
        say: hears a line about each check that takes longer than :data:`PATIENCE_S`.
    """
    states: dict[str, str] = {}
    for check in wanted(asked, checks):
        lacking = [name for name in check.after if states.get(name, "ok") != "ok"]
        if lacking:
            finding = _finding(check, _unmade(check, place, lacking), 0.0)
        else:
            finding = _make(check, place, say)
        states[check.name] = finding.state
        yield finding
        if check.name == IMAGES and finding.state != "missing":
            yield from _each_image(check)


def _unmade(check: Check, place: Place, lacking: Sequence[str]) -> Seen:
    """Say of a check that cannot be made at least whether its program is there, so that all is installed at once."""
    if check.program and place.which(check.program) is None:
        fix = place.sudo(f"apt-get install -y {' '.join(check.packages)}")
        return Seen("missing", f"no program {check.program} on PATH", fix, check.packages)
    return Seen("skipped", f"needs {', '.join(lacking)}")


def _make(check: Check, place: Place, say: Say) -> Finding:
    began = monotonic_us()
    bell = threading.Timer(PATIENCE_S, say, (f"trying {check.name}, for up to {check.limit_s or 30:g} s …",))
    bell.daemon = True
    bell.start()
    try:
        seen = check.look(place)
    except Exception as error:  # noqa: BLE001 - one check that fails must not cost the others
        seen = Seen("broken", f"the check itself failed: {type(error).__name__}: {error}", "report it, with this line")
    finally:
        bell.cancel()
    return _finding(check, seen, (monotonic_us() - began) / 1e6)


def _finding(check: Check, seen: Seen, seconds: float) -> Finding:
    return Finding(check.name, check.about, check.purposes, check.needed, seen.state, seconds, seen.what, seen.fix,
                   seen.packages, check.group)


def _each_image(check: Check) -> Iterator[Finding]:
    """Look at every built image; whether any can be used has been said."""
    try:
        images = kept.find_images(kept.images_home())
    except Exception:  # noqa: BLE001 - the check itself has failed for the same reason, and said so
        return
    for one in images:
        name = f"image {one.folder.parent.name}"
        seen = kept.look_at(one, _recipe_now(one.folder.parent.name))
        yield Finding(name, "as it was built", check.purposes, False, seen.state, 0.0, seen.what, seen.fix)


def _recipe_now(name: str) -> str:
    try:
        from rrsim.images.current import recipe_now
    except ImportError:  # the packages for images are not there; what was built is
        return ""
    return recipe_now(name)


def here(uri: str, images: Path, scratch: Path) -> Place:
    """Return this computer as the checks see it."""
    return Place(
        environment=dict(os.environ), scratch=scratch, uri=uri, images=images,
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
    )


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with its holder: a program that still writes into it cannot keep it.

    Raises:
        OSError: no folder for temporary files can be written to.
    """
    return tempfile.TemporaryDirectory(prefix="rrsim-doctor-", ignore_cleanup_errors=True)
