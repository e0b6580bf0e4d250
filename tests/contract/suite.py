"""What every machine must do, modelled or real: one suite of tests, so that the model is held to the real ones.

A test module takes the tests in with ``from tests.contract.suite import *`` and gives a fixture ``subject``: which
machine, and how long a *minute* of the suite is on it. A model needs a real minute's worth of virtual time; a machine
whose restart takes a second is looked at for as many of its own restarts in less time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rrsim.machine import observations as seen
from rrsim.machine.identity import BeforeUnreadable, New, Same, compare, require_readable
from rrsim.machine.interface import Capability, Machine, MissingCapability, require
from rrsim.machine.inventory import difference
from rrsim.machine.stages import ORDER, StageNotReached

NEEDED: frozenset[Capability] = frozenset({
    "restart", "power off", "reset", "power cut", "log on", "log off", "windows dialog", "installer dialog", "press",
    "pull the cable", "boot identity", "host reset reason", "inventory", "logs",
})  # fmt: skip
"""What the tests of this suite use: a machine that lacks one of them does not take part."""
MODE_MATTERS = frozenset({
    "test_stages_come_in_order_and_only_a_service_is_up_without_a_logon",
    "test_a_restart_leaves_nothing_behind_that_was_not_there",
})  # fmt: skip
"""Tests in which it matters how the agent is installed."""


@dataclass(frozen=True)
class Subject:
    """A machine under this suite."""

    make: Callable[[], Machine]
    """A provisioned machine: signed in; in service mode the agent's service runs."""
    mode: str
    """``service`` or ``application``: how the agent is installed."""
    minute_us: int
    refuses: type[Exception]
    """What the machine raises for something that cannot be done now."""

    @property
    def boot_limit_us(self) -> int:
        """How long a restart may take."""
        return 30 * self.minute_us


@pytest.fixture
def machine(subject: Subject) -> Machine:
    """A provisioned machine: signed in, with the agent running."""
    return subject.make()


def restart(machine: Machine, subject: Subject) -> None:
    """Restart Windows by its own dialog, and wait for the welcome screen of the new boot."""
    machine.show_dialog("windows restart dialog")
    machine.press("windows restart dialog", "restart")
    machine.wait_for("logon reached", subject.boot_limit_us)


def test_a_restart_by_windows_is_a_new_boot(machine: Machine, subject: Subject) -> None:
    before = machine.boot_identity()
    require_readable(before)
    restart(machine, subject)
    after = machine.boot_identity()
    assert isinstance(compare(before, after), New)
    assert after.host_reason == "guest reset"


def test_a_reset_from_outside_is_a_new_boot_and_says_who_did_it(machine: Machine, subject: Subject) -> None:
    before = machine.boot_identity()
    machine.reset()
    machine.wait_for("logon reached", subject.boot_limit_us)
    after = machine.boot_identity()
    assert isinstance(compare(before, after), New)
    assert after.host_reason == "host reset"


def test_nothing_happened_is_the_same_boot(machine: Machine, subject: Subject) -> None:
    before = machine.boot_identity()
    machine.wait(10 * subject.minute_us)
    assert isinstance(compare(before, machine.boot_identity()), Same)


def test_a_dialog_that_is_put_off_restarts_nothing(machine: Machine, subject: Subject) -> None:
    before = machine.boot_identity()
    machine.show_dialog("windows restart dialog")
    assert "windows restart dialog" in machine.windows()
    machine.press("windows restart dialog", "later")
    machine.wait(10 * subject.minute_us)
    assert "windows restart dialog" not in machine.windows()
    assert isinstance(compare(before, machine.boot_identity()), Same)


def test_an_installer_says_that_work_is_pending_and_its_restart_does_it(machine: Machine, subject: Subject) -> None:
    machine.show_dialog("installer restart dialog")
    assert seen.PendingWork(True) in machine.observations()
    machine.press("installer restart dialog", "restart")
    machine.wait_for("logon reached", subject.boot_limit_us)
    assert seen.PendingWork(False) in machine.observations()


def test_who_asked_for_a_restart_is_seen_and_what_became_of_it(machine: Machine, subject: Subject) -> None:
    machine.observations()
    restart(machine, subject)
    told = machine.observations()
    assert [w.cause for w in told if isinstance(w, seen.RestartBegan)] == ["windows dialog"]
    assert [(w.cause, w.clean) for w in told if isinstance(w, seen.WentDown)] == [("windows dialog", True)]
    assert [(w.cause, w.safe_mode) for w in told if isinstance(w, seen.BootBegan)] == [("windows dialog", False)]


def test_the_phases_of_a_restart_come_in_their_order(machine: Machine, subject: Subject) -> None:
    machine.observations()
    restart(machine, subject)
    phases = [w.phase for w in machine.observations() if isinstance(w, seen.PhaseBegan)]
    order = ["shutdown asked", "shutting down", "firmware", "loading", "services", "welcome"]
    assert [phase for phase in phases if phase in order] == order


def test_what_a_person_sees_and_presses_is_told(machine: Machine, subject: Subject) -> None:
    machine.observations()
    machine.show_dialog("windows restart dialog")
    machine.press("windows restart dialog", "later")
    machine.wait(subject.minute_us)
    told = machine.observations()
    assert seen.WindowShown("windows restart dialog") in told
    assert seen.WindowGone("windows restart dialog", "customer") in told


def test_while_the_machine_is_off_nothing_inside_can_be_read(machine: Machine, subject: Subject) -> None:
    machine.power_off(clean=False)
    machine.wait(subject.minute_us)
    with pytest.raises(BeforeUnreadable):
        require_readable(machine.boot_identity())
    assert machine.stage() is None


def test_a_power_cut_is_no_clean_end_and_a_shutdown_is(machine: Machine, subject: Subject) -> None:
    machine.observations()
    machine.power_off(clean=False)
    machine.start()
    machine.wait_for("logon reached", subject.boot_limit_us)
    machine.power_off(clean=True)
    machine.wait(5 * subject.minute_us)
    assert [w.clean for w in machine.observations() if isinstance(w, seen.WentDown)] == [False, True]


def test_a_clean_power_off_ends_in_a_new_boot_when_switched_on(machine: Machine, subject: Subject) -> None:
    before = machine.boot_identity()
    machine.power_off(clean=True)
    machine.wait(5 * subject.minute_us)
    machine.start()
    machine.wait_for("logon reached", subject.boot_limit_us)
    assert machine.boot_identity().mark != before.mark


def test_stages_come_in_order_and_only_a_service_is_up_without_a_logon(machine: Machine, subject: Subject) -> None:
    restart(machine, subject)
    if subject.mode == "service":
        machine.wait_for("agent up", subject.boot_limit_us)
        assert machine.stage() == ORDER[-1]
        return
    machine.log_on("right user")
    with pytest.raises(StageNotReached, match="agent up"):  # it was not armed
        machine.wait_for("agent up", 10 * subject.minute_us)


def test_a_wrong_password_signs_nobody_in(machine: Machine, subject: Subject) -> None:
    restart(machine, subject)
    machine.observations()
    machine.log_on("wrong password")
    machine.wait(subject.minute_us)
    kinds = {type(what) for what in machine.observations()}
    assert seen.LogonFailed in kinds
    assert seen.LoggedOn not in kinds


def test_signing_out_and_in_is_no_new_boot(machine: Machine, subject: Subject) -> None:
    before = machine.boot_identity()
    machine.log_off()
    machine.wait(subject.minute_us)
    machine.log_on("right user")
    machine.wait(5 * subject.minute_us)
    assert isinstance(compare(before, machine.boot_identity()), Same)


def test_the_cable_takes_the_network_and_gives_it_back(machine: Machine, subject: Subject) -> None:
    machine.observations()
    machine.pull_cable(out=True)
    assert [w.up for w in machine.observations() if isinstance(w, seen.LinkChanged)] == [False]
    machine.pull_cable(out=False)
    machine.wait(subject.minute_us)
    assert [w.up for w in machine.observations() if isinstance(w, seen.LinkChanged)] == [True]


def test_a_restart_leaves_nothing_behind_that_was_not_there(machine: Machine, subject: Subject) -> None:
    before = machine.inventory()
    restart(machine, subject)
    assert difference(before, machine.inventory()) == ()


def test_a_provisioned_machine_is_as_new(machine: Machine, subject: Subject) -> None:
    windows, inventory = machine.windows(), machine.inventory()
    restart(machine, subject)
    machine.provision()
    assert machine.boot_identity().host_resets == 0
    assert machine.windows() == windows
    assert machine.inventory() == inventory


def test_a_button_that_is_not_there_cannot_be_pressed(machine: Machine, subject: Subject) -> None:
    with pytest.raises(subject.refuses, match=r"not shown|not on the desktop"):
        machine.press("installer restart dialog", "restart")


def test_a_missing_capability_is_named(machine: Machine) -> None:
    require(machine, *sorted(NEEDED))
    with pytest.raises(MissingCapability, match="cannot do: sleep"):
        require(machine, "restart", "sleep")


def test_its_log_tells_what_was_seen(machine: Machine, subject: Subject) -> None:
    restart(machine, subject)
    assert any("new kernel" in line or "BootBegan" in line for line in machine.logs())


def test_a_picture_is_there_if_the_machine_says_so(machine: Machine) -> None:
    picture = machine.screenshot()
    assert picture.startswith(b"\x89PNG") == ("screenshot" in machine.capabilities)


__all__ = [name for name in dir() if name == "machine" or name.startswith("test_")]
