"""``python -m rrsim.server.live``: a session server for a harness to start, with the options of ``rrsim serve``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from rrsim.server.live.journal import JournalError
from rrsim.server.live.main import ServerOptions, serve


def main() -> int:
    """Read the options and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m rrsim.server.live", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder for journal, certificates and token")
    parser.add_argument("--agent-host", default="127.0.0.1", help="address of the agents' port")
    parser.add_argument("--agent-port", type=int, default=0, help="port for agents; 0: a free one")
    parser.add_argument("--api-port", type=int, default=0, help="port of the control API; 0: a free one")
    parser.add_argument("--profile", default="gotoassist-corporate", help="profile of the default account")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--until-input-ends", action="store_true", help="stop when standard input ends")
    given = vars(parser.parse_args())
    if given.pop("until_input_ends"):
        threading.Thread(target=_stop_with_input, daemon=True).start()
    try:
        return asyncio.run(serve(ServerOptions(**given)))
    except (JournalError, OSError, KeyError) as error:
        sys.stderr.write(f"rrsim serve: {error}\n")
        return 70


def _stop_with_input() -> None:
    """Tell this process to stop when the one that holds the other end of its standard input is gone."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
