"""``rrsim new``: a scenario file to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from rrsim.cli.errors import CommandError, say

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

TEMPLATE: Final = """\
rrsim: 1
name: {name}
about: >
  Say in one or two sentences what happens and why it must end so.
covers: [R1]

given:
  agent: application        # or: service
  customer:
    logs on after: 40s      # from the welcome screen

steps:
  - do: rep restarts
    at: 10s

expect:
  verdict: resumed          # degraded, expired, refused, cancelled, lost
  session: active
"""


def new(name: str, area: str, root: str) -> int:
    """Write ``ROOT/AREA/NAME.yaml``; an existing file is left alone.

    Raises:
        CommandError: a name that is no file name, or a file that is there already.
    """
    for what, word in (("name", name), ("area", area)):
        if not _NAME.fullmatch(word):
            raise CommandError(f"a {what} of small letters, digits and single hyphens", repr(word), "wifi-late")
    path = Path(root) / area / f"{name}.yaml"
    if path.exists():
        raise CommandError("a name that is free", f"{path} is there already", "another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE.format(name=name), encoding="utf-8")
    print(path)
    say(f"now: rrsim show {path}")
    return 0
