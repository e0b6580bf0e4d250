"""What the examination came to, as lines for a person and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from rrsim.doctor.finding import Finding, Purpose, install_command, packages_by_group, served

NAMES: Final[dict[Purpose, str]] = {
    "sim": "the simulator", "wine": "real machines on Wine", "vm": "virtual machines",
    "browser": "the console's tests in a browser",
}
WIDTH: Final = 16


def line(finding: Finding) -> str:
    """Return what is printed about one check: a line, and a second one with its cure."""
    took = f"{finding.seconds:6.1f} s" if finding.seconds >= 0.05 else " " * 8
    word = finding.state if finding.needed or finding.state == "ok" else f"({finding.state})"
    first = f"{word:<10}{finding.name:<{WIDTH}}{took}  {finding.seen}"
    return first + (f"\n{'':10}{'':{WIDTH}}{'':8}  fix: {finding.fix}" if finding.fix else "")


def closing(findings: Sequence[Finding], asked: Sequence[Purpose], *, root: bool) -> str:
    """Return the last paragraph: what is served and what stands in the way, and the one line that installs the rest."""
    lines = []
    for purpose, ways in served(findings, asked).items():
        lines.append(f"{NAMES[purpose]}: " + (f"no, because of {', '.join(ways)}" if ways else "yes"))
    groups = packages_by_group(findings)
    if groups:
        lines.append("missing packages of the system:")
        lines += [f"  for {group}: {' '.join(packages)}" for group, packages in groups.items()]
        everything = [package for packages in groups.values() for package in packages]
        lines.append(f"install them: {install_command(everything, root=root)}")
    return "\n".join(lines)


def plain(findings: Sequence[Finding], asked: Sequence[Purpose], *, root: bool, exit_code: int) -> dict[str, Any]:
    """Return everything as plain data."""
    groups = packages_by_group(findings)
    everything = [package for packages in groups.values() for package in packages]
    return {
        "asked": list(asked),
        "checks": [
            {**msgspec.structs.asdict(one), "purposes": list(one.purposes), "packages": list(one.packages),
             "seconds": round(one.seconds, 3)}
            for one in findings
        ],
        "served": {purpose: list(ways) for purpose, ways in served(findings, asked).items()},
        "packages": {group: list(packages) for group, packages in groups.items()},
        "install": install_command(everything, root=root),
        "exit_code": exit_code,
    }
