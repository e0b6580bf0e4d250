"""Application mode: one process on the customer's desktop with core, chat window and prompts.

``rragent join`` becomes the agent if none runs for this user; otherwise it hands the code over and ends. ``rragent
resume`` is what the RunOnce value starts: a launcher that starts the agent as a process of its own and ends at once,
because Windows waits for every RunOnce command before the desktop goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import Any, Final

from rrsim.agent import host
from rrsim.agent.outside import HostError
from rrsim.agent.runtime import Agent
from rrsim.agent.windows import facts, paths, registry
from rrsim.agent.windows.log import Log
from rrsim.agent.windows.pipe import PipeBusy, application_pipe, serve_codes
from rrsim.agent.windows.ui import DesktopUi
from rrsim.live_clock import draw_eighth

assert sys.platform == "win32"

from rrsim.agent.windows.hands import WindowsHands
from rrsim.agent.windows.record import Record

NOTICE_READ_WITHIN_S: Final = 120
"""How long a last notice, such as *the session has expired*, stays for the customer to read."""


def be_the_agent(code: str = "", started_by: str = "", step: Any = None) -> str:
    """Run the agent in this process until it ends itself; return the reason.

    ``code``: the customer has just typed it. ``started_by``: the autostart value that led here. ``step``: another
    core, for deliberately broken agents.

    Raises:
        PipeBusy: an agent of this user runs already.
        ConfigError: the configuration cannot be used.
    """
    return asyncio.run(_run(code, started_by, step))


async def _run(code: str, started_by: str, step: Any) -> str:
    folder = paths.data_folder("application")
    log = Log(folder)
    config = paths.read_config()
    record = Record(folder)
    agent: Agent

    def said(event: host.Input, wait: bool) -> None:
        agent.put_and_wait(event, wait)

    ui = DesktopUi(config.language, False, said, log=log)
    hands = WindowsHands("application", record, started_by)
    more = {} if step is None else {"step": step}
    agent = Agent(paths.endpoint(config), hands, ui, log, draw_eighth, **more)
    codes = serve_codes(application_pipe(), lambda text: agent.put(host.CustomerStarts(text)), log=log)
    try:
        saved, corrupt = record.load()
        started = host.Started(facts.read("application"), saved, corrupt)
        log(f"started in boot {started.facts.boot}, with {'a' if saved else 'a damaged' if corrupt else 'no'} record")
        ui.start()
        first = (host.CustomerStarts(code),) if code else ()
        reason = await agent.run(started, *first)
        log(f"ended: {reason}")
        return reason
    finally:
        codes.close()
        ui.close(read_within_s=NOTICE_READ_WITHIN_S)


def launch(started_by: str) -> None:
    """Start the agent as a process of its own and return at once.

    Windows deletes the value that led here when this process ends. An agent that dies right after its start must still
    have a way to clean up, so the other value is written first (rule 7); the agent takes it away when it is back in the
    session, or when it finds nothing to do.
    """
    if started_by:
        with contextlib.suppress(OSError, HostError):  # better an agent without it than none
            registry.arm_autostart(started_by)
    subprocess.Popen(
        paths.command("agent", f"--value={started_by}"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True,
        creationflags=subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP,
    )


def value_of(words: list[str]) -> str:
    """Return the autostart value's name from ``--value=NAME``, if it is one of ours."""
    for word in words:
        name = word.removeprefix("--value=")
        if name in registry.VALUES:
            return name
    return ""


__all__ = ["PipeBusy", "be_the_agent", "launch", "value_of"]
