"""How programs of Wine are started: where the kernel does not move their heap about.

Debian's 64-bit Wine has no preloader. The heap of its loader begins at a random place in the gigabyte above 0x7d000000,
and now and then, about once in five thousand processes, it covers 0x7ffe0000, where Windows keeps the page that all
processes share. Then the process ends at once with exit code 1 and says nothing (``err:virtual`` would be its last
words). A boot has a dozen of them, so that one boot in a few hundred went wrong.
"""

from __future__ import annotations

import subprocess
from functools import cache
from typing import Final

PLAINLY: Final = ("setarch", "-R")
"""From util-linux, which every Debian has; what it sets is inherited by all that the program starts."""


@cache
def plainly() -> tuple[str, ...]:
    """Return the words before a Wine program's; none where a container forbids them: then it is left to chance."""
    try:
        done = subprocess.run([*PLAINLY, "true"], check=False, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return PLAINLY if done.returncode == 0 else ()
