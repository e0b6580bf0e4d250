"""Started by the guest's init; how it ends tells init what to do next. See :mod:`rrsim.images.guest.settings`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

from rrsim.images.guest.channel import port_named
from rrsim.images.guest.daemon import Daemon
from rrsim.images.guest.loop import Loop
from rrsim.images.guest.settings import Settings

CONFIG: Final = Path("/usr/lib/rrsim/guest.json")
HEAPS: Final = Path("/proc/sys/kernel/randomize_va_space")
"""1: heaps begin where programs end. At a random place, Wine's loader now and then finds its own in the way of a page
that Windows has at 0x7ffe0000, and ends without a word (:mod:`rrsim.wine_start`)."""
LAST_WORDS_US: Final = 1_000_000


def main() -> int:
    """Serve until Windows goes down; return what init is to do."""
    HEAPS.write_text("1", encoding="ascii")
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    settings = Settings(keyboard=config["keyboard"], versions=config["versions"])
    descriptor = os.open(port_named(config["port"]), os.O_RDWR | os.O_NONBLOCK)
    loop = Loop()
    daemon = Daemon(loop, settings, descriptor, (config["screen"][0], config["screen"][1]))
    daemon.begin()
    code = loop.run()
    daemon.channel.flush(LAST_WORDS_US)
    return code


if __name__ == "__main__":
    sys.exit(main())
