"""What a starting agent learns about the Windows it runs in, and about its own service."""

from __future__ import annotations

import sys
from typing import Any, Final

from rrsim.agent import host
from rrsim.agent.outside import HostError
from rrsim.agent.windows import registry
from rrsim.protocol.messages import AgentMode

assert sys.platform == "win32"

import pywintypes
import win32api
import win32con
import win32security as _win32security
import win32service

win32security: Any = _win32security
"""Untyped: the stubs take handles for plain numbers."""
_NO_SUCH_SERVICE: Final = 1060


def read(mode: AgentMode) -> host.BootFacts:
    """Return the facts for this process. A service knows of nobody's desktop until a helper reports one."""
    application = mode == "application"
    return host.BootFacts(
        boot=registry.boot_mark(service=not application), machine=registry.machine_identity(), platform="windows",
        mode=mode, safe_mode=registry.in_safe_mode(), elevated=is_elevated(),
        user=win32api.GetUserName() if application else "", desktop="visible" if application else "none",
    )


def is_elevated() -> bool:
    """Say whether this process has an administrator's full token."""
    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
    try:
        return bool(win32security.GetTokenInformation(token, win32security.TokenElevation))
    finally:
        token.Close()


def service_is_installed() -> bool:
    """Say whether the agent's service is registered on this PC."""
    try:
        _start_type()
    except HostError:
        return False
    return True


def require_automatic_service() -> None:
    """Check that Windows will start the service by itself at the next boot (BO-12).

    Raises:
        HostError: it will not, and why.
    """
    if _start_type() != win32service.SERVICE_AUTO_START:
        raise HostError("the agent's service does not start automatically")


def _start_type() -> int:
    try:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
        try:
            service = win32service.OpenService(manager, registry.SERVICE, win32service.SERVICE_QUERY_CONFIG)
            try:
                return int(win32service.QueryServiceConfig(service)[1])
            finally:
                win32service.CloseServiceHandle(service)
        finally:
            win32service.CloseServiceHandle(manager)
    except pywintypes.error as error:
        if error.winerror == _NO_SUCH_SERVICE:
            raise HostError("the agent's service is not installed any more") from None
        raise HostError(f"the service control manager does not answer: {error.strerror}") from None
