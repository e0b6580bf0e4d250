"""Programs that tell their version, and how old they may be."""

from __future__ import annotations

import re
from typing import Final

from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place, attempt, last_words, trouble

LIMIT_S: Final = 10.0


def version(
    place: Place, program: str, words: tuple[str, ...], pattern: str, packages: tuple[str, ...],
    oldest: tuple[int, int] = (0, 0), newest: tuple[int, int] | None = None,
) -> Seen:
    """Ask a program for its version.

    Args:
        words: its arguments.
        pattern: what its answer looks like, with two groups, major and minor.
        packages: what brings it.
        oldest: the oldest version that will do.
        newest: the first version that will not do any more.
    """
    tried = attempt(place, program, *words, limit_s=LIMIT_S)
    bad = trouble(tried, packages, place)
    if bad is not None:
        return bad
    found = re.search(pattern, tried.text)
    if found is None:
        said = last_words(tried.text)
        fix = place.sudo(f"apt-get install --reinstall -y {' '.join(packages)}")
        return Seen("broken", f"{program} answers {said!r}, which is no version", fix)
    have = int(found[1]), int(found[2])
    if have < oldest:
        wanted = f"{program} {oldest[0]}.{oldest[1]} or later"
        return Seen("old", f"{program} {have[0]}.{have[1]}; {wanted} is needed",
                    place.sudo(f"apt-get install -y {' '.join(packages)}") + ", from a newer release of the system")
    if newest is not None and have >= newest:
        return Seen("old", f"{program} {have[0]}.{have[1]}; one before {newest[0]}.{newest[1]} is needed",
                    f"install {program} from an older release of the system")
    return Seen("ok", f"{program} {have[0]}.{have[1]}")
