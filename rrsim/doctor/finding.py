"""What a look at one part of the computer came to, and what many of them come to together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

State = Literal["ok", "missing", "broken", "old", "skipped"]
"""``missing``: not there; ``broken``: there, and it does not do what it is for; ``old``: there, and of another time
than it has to be; ``skipped``: not looked at, with the reason."""
Purpose = Literal["sim", "wine", "vm", "browser"]
PURPOSES: Final[tuple[Purpose, ...]] = ("sim", "wine", "vm", "browser")

GROUPS: Final = ("real machines on Wine", "virtual machines", "dial-up", "Windows images", "browser")
"""What packages are for, in the order in which they are listed."""


class Seen(msgspec.Struct, frozen=True):
    """What one look found."""

    state: State
    what: str
    """What was seen: a version, a figure, the last words of a program."""
    fix: str = ""
    """The command, or the deed, that puts it right; empty if nothing is wrong."""
    packages: tuple[str, ...] = ()
    """Debian packages that are missing."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the answer."""

    name: str
    about: str
    """What the part is for."""
    purposes: tuple[Purpose, ...]
    needed: bool
    """False: its purposes are served without it too, only slower or with less."""
    state: State
    seconds: float
    seen: str
    fix: str = ""
    packages: tuple[str, ...] = ()
    group: str = ""
    """What its packages are for, one of :data:`GROUPS`."""

    @property
    def stands_in_the_way(self) -> bool:
        """Whether its purposes are not served as long as this is so."""
        return self.needed and self.state != "ok"


def served(findings: Iterable[Finding], asked: Sequence[Purpose]) -> dict[Purpose, tuple[str, ...]]:
    """Return for each purpose that was asked for the names of what stands in its way; empty if nothing does."""
    ways: dict[Purpose, tuple[str, ...]] = dict.fromkeys(asked, ())
    for finding in findings:
        for purpose in asked:
            if purpose in finding.purposes and finding.stands_in_the_way:
                ways[purpose] = (*ways[purpose], finding.name)
    return ways


def packages_by_group(findings: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    """Return the missing packages by what they are for, each once, under the group that needs it first."""
    found: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for finding in sorted(findings, key=lambda one: GROUPS.index(one.group) if one.group else len(GROUPS)):
        for package in finding.packages:
            if package not in taken:
                taken.add(package)
                found[finding.group] = (*found.get(finding.group, ()), package)
    return found


def install_command(packages: Iterable[str], *, root: bool) -> str:
    """Return the one command that installs the packages; empty without any."""
    words = " ".join(dict.fromkeys(packages))
    return f"{'' if root else 'sudo '}apt-get install -y {words}" if words else ""
