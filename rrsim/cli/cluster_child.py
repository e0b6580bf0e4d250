"""The process under a worker in which a run on machines is played: a task on stdin, its result on stdout.

What it prints besides goes to stderr, where a worker looks when the process does not end as it should.
"""

from __future__ import annotations

import os
import sys

import msgspec

from rrsim.cli.cluster import Order, play_here


def main() -> int:
    """Do the task."""
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    # The result must be alone on stdout, whatever the machines' helpers print.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with answer:
        answer.write(play_here(order))
    return 0


if __name__ == "__main__":
    sys.exit(main())
