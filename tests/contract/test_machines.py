"""What every machine must do, modelled or real: the same tests for each, so that the model is held to the real ones.

A machine that lacks a capability is not tested for it; which those are is pinned here, so that none is lost unseen.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rrsim.backends.sim.machine import SimMachine
from rrsim.backends.sim.pc import NotPossible
from rrsim.machine import observations as seen
from rrsim.machine.identity import BeforeUnreadable, New, Same, compare, require_readable
from rrsim.machine.interface import Machine, MissingCapability, all_capabilities, require
from rrsim.machine.inventory import difference
from rrsim.machine.stages import ORDER, StageNotReached
from rrsim.scenario.model import PcSetup

MINUTE_US = 60_000_000
BOOT_LIMIT_US = 30 * MINUTE_US

MACHINES: dict[str, Callable[[], Machine]] = {
    "simulated service": lambda: SimMachine(mode="service"),
    "simulated application": lambda: SimMachine(mode="application"),
    "simulated with updates": lambda: SimMachine(PcSetup(updates="short"), seed=7),
}


@pytest.fixture(params=MACHINES, ids=str)
def machine(request: pytest.FixtureRequest) -> Machine:
    """A provisioned machine: signed in, with the agent running."""
    return MACHINES[request.param]()


def restart(machine: Machine) -> None:
    """Restart Windows by its own dialog, and wait for the welcome screen of the new boot."""
    machine.show_dialog("windows restart dialog")
    machine.press("windows restart dialog", "restart")
    machine.wait_for("logon reached", BOOT_LIMIT_US)


def test_a_restart_by_windows_is_a_new_boot(machine: Machine) -> None:
    before = machine.boot_identity()
    require_readable(before)
    restart(machine)
    after = machine.boot_identity()
    assert isinstance(compare(before, after), New)
    assert after.host_reason == "guest reset"


def test_a_reset_from_outside_is_a_new_boot_and_says_who_did_it(machine: Machine) -> None:
    before = machine.boot_identity()
    machine.reset()
    machine.wait_for("logon reached", BOOT_LIMIT_US)
    after = machine.boot_identity()
    assert isinstance(compare(before, after), New)
    assert after.host_reason == "host reset"


def test_nothing_happened_is_the_same_boot(machine: Machine) -> None:
    before = machine.boot_identity()
    machine.wait(10 * MINUTE_US)
    assert isinstance(compare(before, machine.boot_identity()), Same)


def test_a_dialog_that_is_put_off_restarts_nothing(machine: Machine) -> None:
    before = machine.boot_identity()
    machine.show_dialog("windows restart dialog")
    assert "windows restart dialog" in machine.windows()
    machine.press("windows restart dialog", "later")
    machine.wait(10 * MINUTE_US)
    assert "windows restart dialog" not in machine.windows()
    assert isinstance(compare(before, machine.boot_identity()), Same)


def test_an_installer_says_that_work_is_pending_and_its_restart_does_it(machine: Machine) -> None:
    machine.show_dialog("installer restart dialog")
    assert seen.PendingWork(True) in machine.observations()
    machine.press("installer restart dialog", "restart")
    machine.wait_for("logon reached", BOOT_LIMIT_US)
    assert seen.PendingWork(False) in machine.observations()


def test_while_the_machine_is_off_nothing_inside_can_be_read(machine: Machine) -> None:
    machine.power_off(clean=False)
    machine.wait(MINUTE_US)
    with pytest.raises(BeforeUnreadable):
        require_readable(machine.boot_identity())
    assert machine.stage() is None


def test_a_clean_power_off_ends_in_a_new_boot_when_switched_on(machine: Machine) -> None:
    before = machine.boot_identity()
    machine.power_off(clean=True)
    machine.wait(5 * MINUTE_US)
    machine.start()
    machine.wait_for("logon reached", BOOT_LIMIT_US)
    assert machine.boot_identity().mark != before.mark


def test_stages_come_in_order_and_a_service_is_up_without_a_logon() -> None:
    machine = SimMachine()
    restart(machine)
    machine.wait_for("agent up", BOOT_LIMIT_US)
    assert machine.stage() == ORDER[-1]


def test_an_application_is_up_only_after_the_logon_if_it_is_armed() -> None:
    machine = SimMachine(mode="application")
    restart(machine)
    machine.log_on("right user")
    with pytest.raises(StageNotReached, match="agent up"):
        machine.wait_for("agent up", 10 * MINUTE_US)


def test_a_wrong_password_signs_nobody_in(machine: Machine) -> None:
    restart(machine)
    machine.observations()
    machine.log_on("wrong password")
    machine.wait(MINUTE_US)
    kinds = {type(what) for what in machine.observations()}
    assert seen.LogonFailed in kinds
    assert seen.LoggedOn not in kinds


def test_signing_out_and_in_is_no_new_boot(machine: Machine) -> None:
    before = machine.boot_identity()
    machine.log_off()
    machine.wait(MINUTE_US)
    machine.log_on("right user")
    machine.wait(5 * MINUTE_US)
    assert compare(before, machine.boot_identity()) != New(())
    assert machine.boot_identity().mark == before.mark


def test_the_cable_takes_the_network_and_gives_it_back(machine: Machine) -> None:
    machine.observations()
    machine.pull_cable(out=True)
    assert [w.up for w in machine.observations() if isinstance(w, seen.LinkChanged)] == [False]
    machine.pull_cable(out=False)
    machine.wait(MINUTE_US)
    assert [w.up for w in machine.observations() if isinstance(w, seen.LinkChanged)] == [True]


def test_a_restart_leaves_nothing_behind_that_was_not_there(machine: Machine) -> None:
    before = machine.inventory()
    restart(machine)
    assert difference(before, machine.inventory()) == ()


def test_a_provisioned_machine_is_as_new(machine: Machine) -> None:
    restart(machine)
    machine.provision()
    assert machine.boot_identity().host_resets == 0
    assert machine.windows() == MACHINES["simulated service"]().windows()


def test_a_button_that_is_not_there_cannot_be_pressed(machine: Machine) -> None:
    with pytest.raises(NotPossible, match="not shown"):
        machine.press("installer restart dialog", "restart")


def test_a_missing_capability_is_named(machine: Machine) -> None:
    require(machine, "restart", "boot identity")
    with pytest.raises(MissingCapability, match="cannot do: screenshot"):
        require(machine, "restart", "screenshot")


def test_what_the_simulated_machine_cannot_do_is_known() -> None:
    missing = all_capabilities() - SimMachine().capabilities
    assert missing == {
        "automatic logon", "bios password", "bitlocker", "black screen", "blocked shutdown", "boot options",
        "captive portal", "damaged record", "destroyed window", "dial", "dns", "exact trigger", "fast startup",
        "file rights", "fixed boot times", "full disk", "identity faults", "installer faults", "link faults",
        "linux customer", "lock", "mac customer", "missing privilege", "other sessions", "process kill", "safe mode",
        "safe mode faults", "scheduled restart", "screenshot", "secret protection", "security tool", "server restart",
        "service faults", "service removal", "several customers", "silent installer", "sleep", "standard user",
        "stranger", "temporary profile", "updates", "vpn", "wall clock", "wifi",
    }  # fmt: skip
