"""The agent's log file: a line an event, bounded in size, without secrets (rule 5).

What is logged are the core's notes and the shell's errors; neither ever holds a ticket, a key or a chat line.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from rrsim.live_clock import wall_time

MAX_BYTES: Final = 512 * 1024
"""Above this size the file is moved to ``.old``, replacing an older one."""


class Log:
    """Appends lines to one file, from any thread. A disk that is full costs the line, never the agent."""

    def __init__(self, folder: Path, name: str = "rragent") -> None:
        """Log into ``folder``, which is made if it is missing."""
        self.path = folder / f"{name}.log"
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        """Write one line."""
        line = f"{wall_time().isoformat(timespec='milliseconds')} {' '.join(text.split())}\n"
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
                    self.path.replace(self.path.with_suffix(".old"))
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError:
                return
