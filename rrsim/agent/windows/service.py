"""Service mode: SYSTEM owns the one core; windows are shown by a helper on the customer's desktop.

* The service control manager is answered first, everything heavy comes later: Windows gives a service 30 s.
* A shutdown is announced by pre-shutdown; the handler returns when the server was told, bounded.
* Windows tells a service of a sign-in only if it was fully loaded by then: at the start the sessions are listed too.
* The helper is relaunched when it dies, with a back-off; it holds no secret and decides nothing.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final

assert sys.platform == "win32"

import servicemanager as _servicemanager
import win32event
import win32service
import win32serviceutil

from rrsim.agent.windows import registry

if TYPE_CHECKING:
    from rrsim.agent.windows.service_body import Body

servicemanager: Any = _servicemanager
"""Untyped: the stubs leave its calls so."""
_PRESHUTDOWN: Final = 0xF
_SESSION_CHANGE: Final = 0xE
_ACCEPT_PRESHUTDOWN: Final = 0x100
_LOGON_EVENTS: Final = (1, 3, 5, 8)  # console connect, remote connect, logon, unlock
_LOGOFF: Final = 6

STEP: Any = None
"""Another core's step, for deliberately broken agents; set before :func:`dispatch`."""


class AgentService(win32serviceutil.ServiceFramework):
    """The service as Windows sees it."""

    _svc_name_ = registry.SERVICE

    def __init__(self, args: Any) -> None:
        """Register with the service control manager; nothing else happens yet."""
        super().__init__(args)
        self._stop_event = win32event.CreateEvent(None, True, False, None)
        self._body: Body | None = None
        self._early: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def GetAcceptedControls(self) -> int:  # noqa: N802 (pywin32's name)
        """Add the notices of sessions and of a coming shutdown."""
        framework: Any = super()  # the stubs leave its calls untyped
        return int(framework.GetAcceptedControls()) | win32service.SERVICE_ACCEPT_SESSIONCHANGE | _ACCEPT_PRESHUTDOWN

    def SvcOtherEx(self, control: int, event_type: int, data: Any) -> None:  # noqa: N802 (pywin32's name)
        """Hear of sign-ins and of the end."""
        if control == _SESSION_CHANGE:
            session = int(data[0]) if data else 0
            with self._lock:
                if self._body is None:
                    self._early.append((event_type, session))
                    return
            self._session_changed(event_type, session)
        elif control == _PRESHUTDOWN:
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, waitHint=8000)
            if self._body is not None:
                self._body.going_down()
            win32event.SetEvent(self._stop_event)

    def SvcStop(self) -> None:  # noqa: N802 (pywin32's name)
        """An administrator stops the service."""
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        if self._body is not None:
            self._body.stop("the service was stopped")
        win32event.SetEvent(self._stop_event)

    def SvcDoRun(self) -> None:  # noqa: N802 (pywin32's name)
        """Be the service until it is stopped."""
        from rrsim.agent.windows.service_body import Body

        body = Body(STEP)
        with self._lock:
            self._body = body
            early, self._early = self._early, []
        body.start()
        for event_type, session in early:
            self._session_changed(event_type, session)
        win32event.WaitForSingleObject(self._stop_event, win32event.INFINITE)
        body.stop("Windows ends the service")

    def _session_changed(self, event_type: int, session: int) -> None:
        assert self._body is not None
        if event_type in _LOGON_EVENTS:
            self._body.session_began(session)
        elif event_type == _LOGOFF:
            self._body.session_ended(session)


def dispatch() -> None:
    """Connect this process to the service control manager; returns when the service has stopped."""
    servicemanager.Initialize(registry.SERVICE, None)
    servicemanager.PrepareToHostSingle(AgentService)
    servicemanager.StartServiceCtrlDispatcher()
