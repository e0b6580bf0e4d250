"""``rrsim doctor``: what works on this computer, what does not, and the command that puts it right."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from rrsim import __version__
from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.cli.exit_codes import HARNESS, OK
from rrsim.doctor import examine, text
from rrsim.doctor.finding import PURPOSES, Finding, Purpose, served
from rrsim.report import json_out
from rrsim.report.terminal import Paint

FOR: Final[dict[str, tuple[Purpose, ...]]] = {
    "sim": ("sim",), "wine": ("sim", "wine"), "vm": ("sim", "vm"), "all": PURPOSES,
}
TONES: Final = {"ok": "good", "missing": "bad", "broken": "bad", "old": "warn", "skipped": "mute"}


def doctor(for_: str, format_: str, uri: str = "") -> int:
    """Examine this computer and print what was found. Returns 0 if all that was asked for works, else 70.

    Args:
        for_: ``sim``, ``wine``, ``vm`` or ``all``.
        format_: ``text`` or ``json``.
        uri: libvirt's address; empty: that of virtual-machine runs.

    Raises:
        CommandError: an unknown purpose, or no folder for temporary files.
    """
    asked = FOR.get(for_)
    if asked is None:
        raise CommandError(f"--for {', '.join(FOR)}", repr(for_), "--for all")
    paint = Paint(sys.stdout.isatty())
    if format_ == "text":
        print(f"rrsim {__version__} · what works here for: {', '.join(text.NAMES[one] for one in asked)}", flush=True)
    findings: list[Finding] = []
    try:
        folder = examine.scratch_folder()
    except OSError as error:
        raise environment_error(
            "a folder for temporary files", str(error), "set TMPDIR to a folder that can be written to"
        ) from None
    with folder as scratch:
        place = examine.here(uri or usual_uri(), Path("vm_images"), Path(scratch))
        for finding in examine.examine(place, asked, say):
            findings.append(finding)
            if format_ == "text":
                first, _, rest = text.line(finding).partition(" ")
                print(f"{paint(first, TONES[finding.state])} {rest}", flush=True)
    code = HARNESS if any(served(findings, asked).values()) else OK
    if format_ == "json":
        print(json_out.dumps(text.plain(findings, asked, root=place.root, exit_code=code)))
    else:
        print(text.closing(findings, asked, root=place.root))
    return code


def usual_uri() -> str:
    """Return the address of libvirt that runs in virtual machines use unless told otherwise."""
    from rrsim.backends.live.vm.host import ENV_URI, default_uri

    return os.environ.get(ENV_URI, "") or default_uri()
