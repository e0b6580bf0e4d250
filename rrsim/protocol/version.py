"""Which protocol versions exist, and which one two sides speak."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SUPPORTED: Final = (1,)
"""Every version this build speaks, oldest first."""


class NoCommonVersion(ValueError):
    """The other side offers no version that this build speaks."""


def negotiate(offered: Iterable[int]) -> int:
    """Return the newest version that both sides speak.

    Raises:
        NoCommonVersion: there is none. The message names the versions this build speaks, not what was offered.
    """
    common = set(offered).intersection(SUPPORTED)
    if not common:
        known = ", ".join(map(str, SUPPORTED))
        raise NoCommonVersion(f"no common protocol version: this side speaks {known}; install a matching version")
    return max(common)
