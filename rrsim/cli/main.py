"""Entry point of the command line. ``rrsim --version`` answers before anything heavy is imported."""

from __future__ import annotations

import sys

from rrsim import __version__


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave the process with the exit code of ``docs/cli.md``."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run the command line and return the exit code instead of leaving the process."""
    if argv in (["--version"], ["-V"]):
        print(f"rrsim {__version__}")
        return 0
    from rrsim.cli.app import invoke

    return invoke(argv)
