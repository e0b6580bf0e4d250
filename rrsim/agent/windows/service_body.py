"""The inside of the service: the core in a thread of its own, and the helper on the customer's desktop."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any, Final

from rrsim.agent import host
from rrsim.agent.runtime import Agent
from rrsim.agent.windows import facts, paths
from rrsim.agent.windows.log import Log
from rrsim.agent.windows.pipe import ServiceDesk, service_pipe
from rrsim.live_clock import draw_eighth

assert sys.platform == "win32"

from rrsim.agent.windows.hands import WindowsHands
from rrsim.agent.windows.launch import LaunchFailed, launch_helper, sessions_with_somebody
from rrsim.agent.windows.record import Record, hide_from_others

FIRST_RELAUNCH_S: Final = 1.0
MOST_RELAUNCHES: Final = 8
"""A helper that dies again and again is given up until the next sign-in; waits double each time."""
STOP_TIMEOUT_S: Final = 10.0


class Body:
    """Everything the service owns. Called from the service's own threads."""

    def __init__(self, step: Any = None) -> None:
        """Make it; ``step`` is another core, for deliberately broken agents."""
        folder = paths.data_folder("service")
        hide_from_others(folder)
        self._log = Log(folder)
        self._record = Record(folder)
        config = paths.read_config()
        self._desk = ServiceDesk(
            service_pipe(), config.language, self._said, self._code_typed, self._helper_gone, log=self._log
        )
        more = {} if step is None else {"step": step}
        self._agent = Agent(
            paths.endpoint(config), WindowsHands("service", self._record), self._desk, self._log, draw_eighth, **more
        )
        self._thread = threading.Thread(target=self._run, name="agent core")
        self._sessions: dict[int, int] = {}
        """Sessions with somebody in them, and how often their helper was launched again."""
        self._timers: list[threading.Timer] = []
        self._stopping = False

    def start(self) -> None:
        """Start the core, and a helper in every session that has somebody in it."""
        self._desk.start()
        self._thread.start()
        for session in sessions_with_somebody():
            self.session_began(session)

    def _run(self) -> None:
        saved, corrupt = self._record.load()
        started = host.Started(facts.read("service"), saved, corrupt)
        self._log(
            f"service started in boot {started.facts.boot}{', safe mode' if started.facts.safe_mode else ''}, with "
            f"{'a' if saved else 'a damaged' if corrupt else 'no'} record"
        )
        try:
            reason = asyncio.run(self._agent.run(started))
            self._log(f"service ended: {reason}")
        except Exception as error:
            self._log(f"service failed: {type(error).__name__}: {error}")
            raise

    # --- what Windows says --------------------------------------------------------------------------------------

    def going_down(self) -> None:
        """Pre-shutdown: return when the server was told, bounded."""
        self._log("Windows announces that it is going down")
        self._agent.put_and_wait(host.SessionEnding(), True)

    def session_began(self, session: int) -> None:
        """Somebody is in this session: it gets a helper."""
        self._sessions[session] = 0
        self._launch(session)

    def session_ended(self, session: int) -> None:
        """Nobody is in this session any more; its helper ends with it."""
        self._sessions.pop(session, None)

    def stop(self, reason: str) -> None:
        """End core and helper, bounded."""
        if self._stopping:
            return
        self._stopping = True
        for timer in self._timers:
            timer.cancel()
        self._agent.stop(reason)
        self._thread.join(STOP_TIMEOUT_S)
        self._desk.close()

    # --- helper and customer ------------------------------------------------------------------------------------

    def _launch(self, session: int) -> None:
        if self._stopping or session not in self._sessions or self._desk.serves(session):
            return
        try:
            launch_helper(session)
        except LaunchFailed as error:
            self._log(f"no helper in session {session}: {error}")
            self._again(session)

    def _helper_gone(self, session: int) -> None:
        self._log(f"the helper in session {session} is gone")
        self._again(session)

    def _again(self, session: int) -> None:
        tries = self._sessions.get(session)
        if tries is None or tries >= MOST_RELAUNCHES or self._stopping:
            return
        self._sessions[session] = tries + 1
        timer = threading.Timer(FIRST_RELAUNCH_S * 2**tries, self._launch, (session,))
        timer.daemon = True
        self._timers = [t for t in self._timers if t.is_alive()] + [timer]
        timer.start()

    def _said(self, event: host.Input, wait: bool) -> None:
        self._agent.put_and_wait(event, wait)

    def _code_typed(self, code: str) -> None:
        self._agent.put(host.CustomerStarts(code))
