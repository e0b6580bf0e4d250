"""The agent's hands on Windows: each request of the core, carried out for real."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from rrsim.agent import host
from rrsim.agent.outside import HostError
from rrsim.agent.windows import facts, power, registry
from rrsim.protocol.messages import AgentMode

assert sys.platform == "win32"

import pywintypes

from rrsim.agent.windows.record import Record


class WindowsHands:
    """Carries out requests; one instance a process."""

    def __init__(self, mode: AgentMode, record: Record, started_by: str = "") -> None:
        """``started_by`` is the name of the autostart value that started this process, if one did."""
        self._mode = mode
        self._record = record
        self._started_by = started_by

    def carry_out(self, what: host.HostRequest) -> str:
        """Do it; see :class:`rrsim.agent.runtime.Hands`."""
        try:
            return _DO[type(what)](self, what)
        except pywintypes.error as error:
            raise HostError(f"{error.funcname}: {error.strerror}") from None

    def save(self, what: host.Save) -> str:
        """Write the durable record."""
        self._record.save(what.record)
        return ""

    def erase(self, _: host.Erase) -> str:
        """Remove the durable record."""
        self._record.erase()
        return ""

    def arm_autostart(self, _: host.ArmAutostart) -> str:
        """Write the RunOnce value; or verify that the service comes by itself (BO-12)."""
        if self._mode == "application":
            registry.arm_autostart(self._started_by)
        else:
            facts.require_automatic_service()
        return ""

    def disarm_autostart(self, _: host.DisarmAutostart) -> str:
        """Remove the RunOnce values."""
        if self._mode == "application":
            registry.disarm_autostart()
        return ""

    def register_safe_boot(self, what: host.RegisterSafeBoot) -> str:
        """Register the service for safe mode with networking."""
        registry.register_safe_boot(what.own_flag, power.clear_command())
        return ""

    def unregister_safe_boot(self, _: host.UnregisterSafeBoot) -> str:
        """Take that back."""
        registry.unregister_safe_boot()
        return ""

    def read_safe_boot_key(self, _: host.ReadSafeBootKey) -> str:
        """Say whether the key is there, and whose the boot flag beside it is."""
        if not registry.safe_boot_registered():
            return "absent"
        return host.KEY_OWNERS if registry.flag_is_owners() else host.KEY_PRESENT

    def set_boot_flag(self, _: host.SetBootFlag) -> str:
        """Set the boot option."""
        power.set_safe_boot()
        return ""

    def read_boot_flag(self, _: host.ReadBootFlag) -> str:
        """Read the boot option."""
        return power.read_safe_boot()

    def clear_boot_flag(self, _: host.ClearBootFlag) -> str:
        """Remove the boot option."""
        power.clear_safe_boot()
        return ""

    def request_restart(self, what: host.RequestRestart) -> str:
        """Ask Windows to restart."""
        power.request_restart(what.forced)
        return ""

    def abort_restart(self, _: host.AbortRestart) -> str:
        """Take the restart back."""
        power.abort_restart()
        return ""


_DO: Final[dict[type, Callable[[WindowsHands, Any], str]]] = {
    host.Save: WindowsHands.save, host.Erase: WindowsHands.erase, host.ArmAutostart: WindowsHands.arm_autostart,
    host.DisarmAutostart: WindowsHands.disarm_autostart, host.RegisterSafeBoot: WindowsHands.register_safe_boot,
    host.UnregisterSafeBoot: WindowsHands.unregister_safe_boot, host.ReadSafeBootKey: WindowsHands.read_safe_boot_key,
    host.SetBootFlag: WindowsHands.set_boot_flag, host.ReadBootFlag: WindowsHands.read_boot_flag,
    host.ClearBootFlag: WindowsHands.clear_boot_flag, host.RequestRestart: WindowsHands.request_restart,
    host.AbortRestart: WindowsHands.abort_restart,
}
