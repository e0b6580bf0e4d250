"""``python -m rrsim.server.live``: a session server for a harness to start, with the options of ``rrsim serve``."""

from __future__ import annotations

import argparse
import asyncio
import sys
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
    given = parser.parse_args()
    try:
        return asyncio.run(serve(ServerOptions(**vars(given))))
    except (JournalError, OSError, KeyError) as error:
        sys.stderr.write(f"rrsim serve: {error}\n")
        return 70


if __name__ == "__main__":
    sys.exit(main())
