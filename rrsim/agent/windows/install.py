"""Install, remove and describe the agent's service (service mode). Needs an administrator.

The service starts automatically and never delayed (a delayed one comes minutes after the welcome screen), depends on
nothing, is started again when it fails, and hears of a shutdown before it happens. Leaving removes the service, the
safe-boot key, the way out beside it, the record and the agent's own registry key.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from rrsim.agent.outside import HostError
from rrsim.agent.windows import paths, power, registry

assert sys.platform == "win32"

import winreg

import pywintypes
import win32service

from rrsim.agent.windows.record import Record, hide_from_others

if TYPE_CHECKING:
    from _win32typing import PySC_HANDLE

DISPLAY_NAME: Final = "Remote support agent"
ABOUT: Final = "Brings this PC back into its support session after a restart."
PRESHUTDOWN_MS: Final = 10_000
"""How long Windows waits for the service's last words before a shutdown."""
RESTART_DELAY_MS: Final = 2_000
STOP_TIMEOUT_S: Final = 30
_RUN: Final = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
_EXISTS: Final = 1073
_MISSING: Final = 1060


class InstallError(RuntimeError):
    """The service could not be installed or removed."""


def install() -> None:
    """Register and start the service; an earlier registration is brought up to date.

    Raises:
        InstallError: Windows refused, most often for want of an administrator's rights.
    """
    paths.read_config()
    hide_from_others(paths.data_folder("service"))
    command = subprocess.list2cmdline(paths.command("service"))
    try:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
        try:
            service = _register(manager, command)
            try:
                _configure(service)
                _start(service)
            finally:
                win32service.CloseServiceHandle(service)
        finally:
            win32service.CloseServiceHandle(manager)
    except pywintypes.error as error:
        raise _refused("installed", error) from None


def _refused(what: str, error: pywintypes.error) -> InstallError:
    return InstallError(f"the service could not be {what}: {error.strerror}; run this as an administrator")


def _register(manager: PySC_HANDLE, command: str) -> PySC_HANDLE:
    try:
        return win32service.CreateService(
            manager, registry.SERVICE, DISPLAY_NAME, win32service.SERVICE_ALL_ACCESS,
            win32service.SERVICE_WIN32_OWN_PROCESS, win32service.SERVICE_AUTO_START, win32service.SERVICE_ERROR_NORMAL,
            command, None, False, None, None, None,
        )
    except pywintypes.error as error:
        if error.winerror != _EXISTS:
            raise
    service = win32service.OpenService(manager, registry.SERVICE, win32service.SERVICE_ALL_ACCESS)
    win32service.ChangeServiceConfig(
        service, win32service.SERVICE_NO_CHANGE, win32service.SERVICE_AUTO_START, win32service.SERVICE_NO_CHANGE,
        command, None, False, None, None, None, DISPLAY_NAME,
    )
    return service


def _configure(service: PySC_HANDLE) -> None:
    win32service.ChangeServiceConfig2(service, win32service.SERVICE_CONFIG_DESCRIPTION, ABOUT)
    actions = [(win32service.SC_ACTION_RESTART, RESTART_DELAY_MS)] * 3
    settings = {"ResetPeriod": 3600, "RebootMsg": "", "Command": "", "Actions": actions}
    win32service.ChangeServiceConfig2(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS, settings)
    try:
        win32service.ChangeServiceConfig2(service, win32service.SERVICE_CONFIG_PRESHUTDOWN_INFO, PRESHUTDOWN_MS)
    except pywintypes.error:
        return  # an old Windows keeps its own waiting time


def _start(service: PySC_HANDLE) -> None:
    try:
        win32service.StartService(service, None)
    except pywintypes.error as error:
        if error.winerror != 1056:  # it runs already
            raise


def uninstall() -> None:
    """Stop and remove the service and everything it may have left on this PC (rule 7).

    Raises:
        InstallError: Windows refused.
    """
    try:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
        try:
            _remove_service(manager)
        finally:
            win32service.CloseServiceHandle(manager)
    except pywintypes.error as error:
        raise _refused("removed", error) from None
    try:
        if registry.safe_boot_registered() and power.read_safe_boot() == "network":
            power.clear_safe_boot()
        registry.unregister_safe_boot()
        Record(paths.data_folder("service")).erase()
    except HostError as error:
        raise InstallError(f"the service is removed, but not everything of it: {error}") from None
    for name in (registry.OWN + r"\Boot", registry.OWN):
        try:
            winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, name, winreg.KEY_WOW64_64KEY, 0)
        except OSError:
            continue  # it was never made, or is in use until the next boot


def _remove_service(manager: PySC_HANDLE) -> None:
    try:
        service = win32service.OpenService(manager, registry.SERVICE, win32service.SERVICE_ALL_ACCESS)
    except pywintypes.error as error:
        if error.winerror == _MISSING:
            return
        raise
    try:
        try:
            win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
        except pywintypes.error as error:
            if error.winerror != 1062:  # it does not run
                raise
        win32service.DeleteService(service)
    finally:
        win32service.CloseServiceHandle(service)


def status() -> list[str]:
    """Return what is installed and running here, a line each, without secrets."""
    lines = []
    try:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
        try:
            service = win32service.OpenService(
                manager, registry.SERVICE, win32service.SERVICE_QUERY_STATUS | win32service.SERVICE_QUERY_CONFIG
            )
            state = win32service.QueryServiceStatus(service)[1]
            start = win32service.QueryServiceConfig(service)[1]
            win32service.CloseServiceHandle(service)
            running = "running" if state == win32service.SERVICE_RUNNING else f"in state {state}"
            automatic = "automatically" if start == win32service.SERVICE_AUTO_START else f"in mode {start}"
            lines.append(f"service: installed, {running}, starts {automatic}")
        finally:
            win32service.CloseServiceHandle(manager)
    except pywintypes.error:
        lines.append("service: not installed")
    lines.append(f"safe mode: {'registered' if registry.safe_boot_registered() else 'not registered'}")
    for mode in ("service", "application"):
        record = Record(paths.data_folder("service" if mode == "service" else "application")).path
        lines.append(f"{mode} record: {'present' if record.exists() else 'none'}")
    return lines
