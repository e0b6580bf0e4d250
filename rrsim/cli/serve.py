"""``rrsim serve``: run the mock session server on the network until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rrsim.cli.errors import CommandError, environment_error, say

LEVELS = ("debug", "info", "warning", "error")


def default_state() -> Path:
    """Return where a server keeps its state unless it is told otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "rrsim" / "server"


def serve_command(
    agent_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for agents; 0: a free one.")] = 0,
    api_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the control API; 0: a free one.")] = 0,
    agent_host: Annotated[str, typer.Option(help="Address of the agents' port; 0.0.0.0: every network.")] = "127.0.0.1",
    name: Annotated[list[str] | None, typer.Option(
        help="Another host name or address that the agents' certificate is good for; may be repeated."
    )] = None,
    state: Annotated[str, typer.Option(help="Folder for journal, certificates and token.")] = "",
    profile: Annotated[str, typer.Option(help="Profile of the default account.")] = "gotoassist-corporate",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error; on stderr.")] = "info",
) -> None:
    """Run the mock session server: agents over TLS, control API and the representatives' console on loopback.

    Where it is found comes as one line of JSON on standard output; it runs until Ctrl-C, and comes back from its
    journal.
    """
    import asyncio

    from rrsim.protocol.settings import PROFILES

    if log_level not in LEVELS:
        raise CommandError(f"a log level: {', '.join(LEVELS)}", log_level, "--log-level info")
    if profile not in PROFILES:
        raise CommandError(f"a profile: {', '.join(PROFILES)}", profile, "--profile gotoassist-corporate")
    try:
        from rrsim.server.live import journal, main, tls
    except ImportError as error:
        raise environment_error(
            "the packages of the session server", f"no module {error.name}", "pip install 'rrsim[live]'"
        ) from None
    options = main.ServerOptions(
        state=Path(state) if state else default_state(), agent_host=agent_host, agent_port=agent_port,
        api_port=api_port, profile=profile, log_level=log_level, names=(*tls.DEFAULT_NAMES, *(name or ())),
    )  # fmt: skip
    say(f"state in {options.state}; stop with Ctrl-C")
    try:
        code = asyncio.run(main.serve(options))
    except journal.JournalError as error:
        raise environment_error("a journal that can be used", str(error), "another --state folder") from None
    except OSError as error:
        raise environment_error(
            "ports that are free and a state folder that can be written", str(error), "other ports, or --state"
        ) from None
    raise typer.Exit(code)
