"""The process under a worker in which a run on machines is played: a task on stdin, its result on stdout.

What it prints besides goes to stderr, where a worker looks when the process does not end as it should. Its only word is
a handle: the reading end of a pipe that the worker holds open. When the worker dies, the case is being played by
somebody else already; this process gives its machine back and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Final

import msgspec

from rrsim.cli.cluster import Order, play_here

CLEARING_LIMIT_S: Final = 120.0
"""How long a machine may take to be cleared away after the worker's death; its lease expires by itself."""


def main(words: list[str]) -> int:
    """Do the task. Status 130: the worker has died."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker started in the background ignores it
    threading.Thread(target=_end_after, args=(int(words[0]),), name="ends with its worker", daemon=True).start()
    try:
        order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
        # The result must be alone on stdout, whatever the machines' helpers print.
        answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        with answer:
            answer.write(play_here(order))
    except KeyboardInterrupt:
        return 130
    return 0


def _end_after(worker: int) -> None:
    os.read(worker, 1)  # nobody writes: it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(CLEARING_LIMIT_S)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
