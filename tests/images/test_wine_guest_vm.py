"""The Wine guest as a machine: it boots to the welcome screen by itself, and a restart of Windows restarts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from rrsim.images import loader, store, wine_guest
from tests.images.guest_vm import GuestVm

pytestmark = [pytest.mark.libvirt, pytest.mark.timeout(900)]
BOOT_LIMIT_S = 180
"""A busy computer without KVM takes its time; measured on an idle one: 17 s."""


@pytest.fixture(scope="module")
def image() -> store.Stored:
    """Return the built image; one of this recipe is taken as it is."""
    built = wine_guest.build(loader.load("wine-guest"), loader.folder_of("wine-guest"), print)
    store.check(built)
    return built


@pytest.fixture(scope="module")
def machine(image: store.Stored, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestVm]:
    """Return a machine at its first welcome screen."""
    folder = tmp_path_factory.mktemp("vm")
    with GuestVm(image, folder) as one:
        one.greet(BOOT_LIMIT_S)
        one.line("signin", '"welcome"', BOOT_LIMIT_S)
        yield one


def test_the_guest_says_what_it_is(machine: GuestVm, image: store.Stored) -> None:
    """The versions are those of the manifest, and Windows' own processes run."""
    hello = machine.ask("hello")
    assert hello["versions"]["recipe"] == image.built.digest
    assert hello["versions"]["wine"] == image.built.versions["wine64"]
    assert hello["signin"] is True
    programs = {line.rpartition("\\")[2].partition(" ")[0] for line in machine.ask("processes")["now"].values()}
    assert {"services.exe", "rrwinlogon.exe", "explorer.exe"} <= programs


def test_the_customer_signs_in_and_a_dialog_is_on_the_screen(machine: GuestVm) -> None:
    """Seen by the eyes inside and by the picture that the hypervisor takes."""
    machine.say("signin", "mark", "a-mark-of-this-boot")
    machine.say("signin", "logon", "0")
    machine.line("signin", '"logged on"')
    machine.ask("open", line="eyes", program=r"C:\windows\system32\rreyes.exe")
    before = Image.open(machine.screenshot()).convert("RGB")
    machine.say("signin", "start", "7", r"C:\rrsim\restart-dialog.exe")
    machine.line("eyes", "restart-dialog.exe")
    after = Image.open(machine.screenshot()).convert("RGB")
    assert after.size == (1024, 768)
    colours = after.getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 5, "the dialog is drawn in more colours than an empty desktop"
    assert before.tobytes() != after.tobytes()


def test_a_restart_of_windows_is_a_new_boot_of_the_machine(machine: GuestVm) -> None:
    """The kernel's boot identity, its boot time and the volatile mark are all new; what was written is still there."""
    first = machine.ask("hello")
    machine.ask("write", path=r"C:\users\customer\kept.txt", base64="a2VwdA==")
    machine.say("signin", "begin", "restart", "force")
    machine.until(lambda: any(one.get("event") == "going down" for one in machine.heard), 60)
    machine.until(lambda: any(
        one.get("event") == "announce" and one["boot_id"] != first["boot_id"] for one in machine.heard
    ), BOOT_LIMIT_S)
    second = machine.greet(BOOT_LIMIT_S)
    assert second["boot_id"] != first["boot_id"]
    assert second["btime_s"] > first["btime_s"]
    machine.line("signin", '"welcome"', BOOT_LIMIT_S)
    machine.say("signin", "identity", "9")
    assert '"mark":""' in machine.line("signin", '"reply":"9"')["text"]
    assert machine.ask("read", path=r"C:\users\customer\kept.txt")["base64"] == "a2VwdA=="
    assert "daemon ended with 10" in machine.serial()


def test_switching_windows_off_switches_the_machine_off(machine: GuestVm) -> None:
    """QEMU itself ends."""
    machine.say("signin", "begin", "off", "force")
    assert machine.process.wait(120) == 0
    assert "daemon ended with 11" in Path(machine.folder / "serial.log").read_text(encoding="utf-8", errors="replace")
