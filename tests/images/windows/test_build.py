"""Building an image with a machine that plays Windows: through, hanging anywhere, failing, killed, taken up again."""

from __future__ import annotations

import asyncio
import fcntl
import ssl
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from rrsim.backends.live.dialup import phonebook
from rrsim.backends.live.vm import workshop_xml
from rrsim.images.windows import accounts, build, build_state, phases, provision_medium
from rrsim.images.windows.build import BuildFailed
from rrsim.images.windows.build_state import BuildBusy
from rrsim.images.windows.machine import HostAway
from tests.images.windows.build_rig import CERTIFICATE, MINUTE_US, PICTURE, STEP_US, Killed, PlayedVm, Rig

HOST = workshop_xml.Host(uuid="5ca1ab1e-0000-4000-8000-000000000001", mac="52:54:00:00:00:01", accelerator="tcg")
MARK = '<rrsim:lease xmlns:rrsim="https://rrsim.example/ns/lease/1" pid="1"/>'


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A build of windows-11."""
    return Rig(tmp_path)


def run(rig: Rig, patience: float = 1.0) -> object:
    return asyncio.run(rig.build(patience))


def pictures(rig: Rig) -> list[str]:
    return sorted(path.name.partition("-")[2].removesuffix(".png") for path in (rig.folder / "pictures").iterdir())


def test_a_build_goes_through_and_leaves_an_image(rig: Rig) -> None:
    built = asyncio.run(rig.build())
    image = rig.image
    assert set(built.files) == {"disk.qcow2", "nvram.fd", "winrm.pem", "ssh_host_key.pub", "tpm/tpm2-00.permall"}
    assert (image / "winrm.pem").read_text() == ssl.DER_cert_to_PEM_cert(CERTIFICATE)
    assert built.expires == "2026-04-10"
    assert built.versions["windows-build"] == "26100.1742"
    assert built.versions["input virtio"]
    assert image.name == built.digest[:16]
    assert not rig.folder.exists()
    assert not (image / "work").exists()
    assert len(list((image / "pictures").iterdir())) == len(phases.INSTALL) + len(phases.SETTLE)
    assert all(vm.destroyed and not vm.on for vm in rig.workshop.made)


@pytest.mark.parametrize("modem", [True, False])
def test_windows_gets_an_entry_that_dials_with_its_modem(rig: Rig, *, modem: bool) -> None:
    """The modem is on the second serial port, which Windows calls COM2; without a modem nothing could dial."""
    said = rig.recipe.description
    hardware = msgspec.structs.replace(said.hardware, modem=modem)
    rig.recipe = msgspec.structs.replace(rig.recipe, description=msgspec.structs.replace(said, hardware=hardware))
    run(rig)
    (book,) = rig.books
    xml = workshop_xml.machine_xml(rig.workshop.made[0].spec, HOST, MARK)
    ports = [int(one.get("port", "")) for one in ElementTree.fromstring(xml).iterfind("devices/serial/target")]
    assert ports == ([0, 1] if modem else [0])
    if modem:
        assert book is not None
        lines = book.decode("ascii").split("\r\n")
        assert lines[0] == f"[{phonebook.NAME}]"
        assert {"MEDIA=serial", "DEVICE=modem", f"Port=COM{ports[-1] + 1}"} <= set(lines)
    else:
        assert book is None


def test_another_entry_is_another_image(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    run(rig)
    monkeypatch.setattr(phonebook, "entry", lambda: "[Other]\r\n")
    run(rig)
    assert len(list(rig.image.parent.iterdir())) == 2
    assert rig.books[1] == b"[Other]\r\n"


def test_the_readers_own_entries_take_the_place_of_ours(rig: Rig, tmp_path: Path) -> None:
    own = tmp_path / "own.pbk"
    own.write_bytes(b"[Provider]\r\n")
    rig.inputs = msgspec.structs.replace(rig.inputs, phonebook=own)
    run(rig)
    assert rig.books == [b"[Provider]\r\n"]
    with pytest.raises(provision_medium.MediumFailed, match=r"read dial-up entries from .*none\.pbk"):
        provision_medium.phonebook(tmp_path / "none.pbk", modem=True)


def test_only_the_first_start_has_media_and_a_key_is_pressed_until_setup_runs(rig: Rig) -> None:
    run(rig)
    install, settle = rig.workshop.made
    assert [path.name for path in install.spec.media] == ["windows.iso", "provision.iso", "virtio.iso"]
    assert settle.spec.media == ()
    assert install.spec.boot_from_media
    assert not settle.spec.boot_from_media
    assert settle.keys == []
    assert max(install.keys) <= phases.KEY_FOR_US
    assert len(install.keys) <= STEP_US / phases.LOOK_EVERY_US + 11


def test_no_key_is_pressed_once_setup_has_begun(rig: Rig) -> None:
    rig.workshop.play.step_us = 3_000_000
    run(rig)
    install = rig.workshop.made[0]
    assert max(install.keys) <= 10 * phases.LOOK_EVERY_US + rig.workshop.play.step_us


def test_passwords_are_beside_the_image_for_the_owner_only_and_nowhere_else(rig: Rig) -> None:
    run(rig)
    passwords = accounts.load(rig.image)
    assert set(passwords) == {"rradmin", "customer"}
    for path in rig.image.rglob("*"):
        if path.is_file() and path.name != accounts.FILE:
            assert not any(word.encode() in path.read_bytes() for word in passwords.values()), path
    assert not any(word in line for word in passwords.values() for line in rig.said)


@pytest.mark.parametrize("phase", [*(one.name for one in phases.INSTALL), "done", "off"])
def test_a_machine_that_hangs_anywhere_is_named_with_a_picture_in_bounded_time(rig: Rig, phase: str) -> None:
    rig.workshop.play.stop_before = phase
    rig.workshop.play.step_us = 5_000_000
    with pytest.raises(BuildFailed, match=r"step 'install': expected .*within") as raised:
        run(rig, patience=0.1)
    name = "shutdown" if phase == "off" else phase
    assert f"limit-{name}" in pictures(rig)
    assert "look at" in str(raised.value)
    assert rig.clock.now_us < 10 * MINUTE_US
    assert rig.workshop.made[-1].destroyed


def test_a_machine_that_does_not_settle_is_named(rig: Rig) -> None:
    rig.workshop.play.stop_before = "settle"
    with pytest.raises(BuildFailed, match=r"step 'settle': expected settle to begin within 30 minutes"):
        run(rig)


def test_nobody_caught_the_prompt(rig: Rig) -> None:
    rig.workshop.play.needs_key = True
    rig.workshop.play.stop_before = "windowspe"
    with pytest.raises(BuildFailed, match="Press any key to boot from CD"):
        run(rig)


def test_a_step_that_fails_inside_windows_is_told_in_its_own_words(rig: Rig) -> None:
    rig.workshop.play.fails = "winrm"
    with pytest.raises(BuildFailed, match="the step winrm to succeed inside Windows, saw: it did not work"):
        run(rig)
    assert "failed-winrm" in pictures(rig)


def test_a_machine_that_goes_off_too_early_is_named(rig: Rig) -> None:
    rig.workshop.play.goes_off_before = "openssh"
    with pytest.raises(BuildFailed, match="to go on after winrm, saw the machine switched off"):
        run(rig)


@pytest.mark.parametrize(("phase", "times", "fails"), [
    ("windowspe", 2, True), ("specialize", 3, False), ("specialize", 4, True),
])  # fmt: skip
def test_a_restart_loop_is_named(rig: Rig, phase: str, times: int, *, fails: bool) -> None:
    rig.workshop.play.repeats = {phase: times}
    if not fails:
        run(rig)
        return
    with pytest.raises(BuildFailed, match=rf"expected {phase} to begin once, saw it {times} times"):
        run(rig)


def test_phases_may_be_missed(rig: Rig) -> None:
    rig.workshop.play.leaves_out = ("windowspe", "specialize", "quiet")
    run(rig)


def test_a_screen_without_a_picture_hides_no_error(rig: Rig) -> None:
    rig.workshop.play.blind = True
    rig.workshop.play.stop_before = "winrm"
    with pytest.raises(BuildFailed, match=r"look at no picture \(OSError: no screen\)"):
        run(rig)


def test_a_certificate_that_does_not_fit_its_thumbprint_is_refused(rig: Rig) -> None:
    rig.workshop.play.certificate = CERTIFICATE[:-1]
    with pytest.raises(BuildFailed, match="step 'compact': expected WinRM's certificate with thumbprint"):
        run(rig)


def test_an_image_without_a_host_key_is_refused(rig: Rig) -> None:
    del rig.workshop.play.facts["ssh-host-key"]
    with pytest.raises(BuildFailed, match="expected Windows to tell its SSH host key"):
        run(rig)


def test_windows_may_name_an_earlier_end_of_the_evaluation(rig: Rig) -> None:
    rig.workshop.play.facts["evaluation-ends"] = "2026-02-01"
    assert asyncio.run(rig.build()).expires == "2026-02-01"


def test_a_wrong_input_stops_before_anything_is_made(rig: Rig) -> None:
    rig.inputs.virtio.write_bytes(b"no iso")
    with pytest.raises(BuildFailed, match=r"step 'check inputs': .*virtio"):
        run(rig)
    assert not rig.workshop.made
    assert not rig.disks


def test_a_second_build_of_the_same_is_the_same_image(rig: Rig) -> None:
    first = asyncio.run(rig.build())
    assert asyncio.run(rig.build()) == first
    assert len(rig.workshop.made) == 2
    assert rig.draws == 2


def test_other_inputs_are_another_image(rig: Rig) -> None:
    first = asyncio.run(rig.build())
    with rig.inputs.virtio.open("ab") as file:
        file.write(b"more")
    assert asyncio.run(rig.build()).digest != first.digest
    assert len(list(rig.image.parent.iterdir())) == 2


def test_only_one_builds_at_a_time(rig: Rig) -> None:
    rig.folder.mkdir(parents=True)
    with (rig.folder / build_state.LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BuildBusy, match="another builder at work"):
            run(rig)
    run(rig)


# --- taken up again ---------------------------------------------------------------------------------------------------


def killed_at(rig: Rig, us: int) -> None:
    rig.clock.kill_at_us = us
    with pytest.raises(Killed):
        run(rig)


def test_a_killed_builder_s_machine_is_watched_on(rig: Rig) -> None:
    killed_at(rig, 9 * STEP_US // 2)
    assert rig.workshop.made[0].on
    passwords = accounts.load(rig.folder)
    run(rig)
    assert len(rig.workshop.made) == 2
    assert len(rig.disks) == 1
    assert accounts.load(rig.image) == passwords


@pytest.mark.parametrize("begin_us", [1_000_000, 9 * STEP_US // 2, (len(phases.INSTALL) + 1) * STEP_US + 1])
def test_a_host_that_is_away_for_a_while_costs_nothing(rig: Rig, begin_us: int) -> None:
    """Before Setup asked for a key, in the middle, and just when Windows says it is done and switches itself off."""
    rig.workshop.play.away = (begin_us, begin_us + 9 * MINUTE_US)
    run(rig)
    assert [vm.spec.boot_from_media for vm in rig.workshop.made] == [True, False]
    assert len(rig.disks) == 1
    assert all(vm.destroyed == 1 for vm in rig.workshop.made)
    assert "the host does not answer, the machine is left alone: the connection broke" in rig.said
    assert rig.said.count("the host answers again") == 1


def test_no_limit_runs_while_the_host_is_away(rig: Rig) -> None:
    """A machine that hangs is given up as late as it would be otherwise, and the absence on top of it."""
    rig.workshop.play.stop_before = "windowspe"
    rig.workshop.play.away = (5 * MINUTE_US, 14 * MINUTE_US)
    with pytest.raises(BuildFailed, match=r"windowspe to begin within 10 minutes.*saw nothing of it after 10\.0"):
        run(rig)
    assert 19 * MINUTE_US <= rig.clock.now_us < 20 * MINUTE_US


@pytest.mark.parametrize("ends", [False, True])
def test_a_host_that_stays_away_ends_the_build_which_is_taken_up_again(rig: Rig, *, ends: bool) -> None:
    """Its machine goes on, and is found again: at work, or off after Windows was done."""
    rig.workshop.play.away = (9 * STEP_US // 2, 10**15)
    with pytest.raises(HostAway, match=r"answer again within 10 minutes, saw: the connection broke; .* build again"):
        run(rig)
    (install,) = rig.workshop.made
    assert install.told_to_end == 0
    state = msgspec.json.decode((rig.folder / build_state.FILE).read_bytes(), type=build_state.State)
    assert [(step.name, step.failure) for step in state.steps if not step.finished] == [("install", "")]
    rig.workshop.play.away = (0, 0)
    if ends:
        asyncio.run(rig.clock.pause(120 * MINUTE_US))
        assert not install.on
    run(rig)
    assert [vm.spec.boot_from_media for vm in rig.workshop.made] == [True, False]
    assert len(rig.disks) == 1


def test_what_windows_failed_at_is_told_though_the_host_goes_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that could not be ended is ended by the next build, which begins the installation anew."""
    rig.workshop.play.fails = "openssh"

    def away(_vm: PlayedVm) -> None:
        raise HostAway("the connection broke")

    with monkeypatch.context() as patched:
        patched.setattr(PlayedVm, "destroy", away)
        with pytest.raises(BuildFailed, match="openssh to succeed inside Windows"):
            run(rig)
    rig.workshop.play.fails = ""
    run(rig)
    assert rig.workshop.made[0].destroyed
    assert len(rig.disks) == 2


def test_a_killed_builder_s_machine_that_ended_well_is_taken_as_it_is(rig: Rig) -> None:
    killed_at(rig, 9 * STEP_US // 2)
    asyncio.run(rig.clock.pause(120 * MINUTE_US))
    assert not rig.workshop.made[0].on
    run(rig)
    assert len(rig.workshop.made) == 2
    assert len(rig.disks) == 1


def test_a_killed_builder_s_machine_that_was_lost_begins_anew_with_a_new_disk(rig: Rig) -> None:
    killed_at(rig, 9 * STEP_US // 2)
    rig.workshop.made[0].on = False
    run(rig)
    assert len(rig.workshop.made) == 3
    assert len(rig.disks) == 2
    assert len(rig.media) == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_builder_killed_while_windows_settles_does_not_install_again(rig: Rig, *, lost: bool) -> None:
    end_us = (len(phases.INSTALL) + 3) * STEP_US + STEP_US // 2
    killed_at(rig, end_us)
    assert not rig.workshop.made[1].spec.boot_from_media
    if lost:
        rig.workshop.made[1].on = False
    run(rig)
    assert [vm.spec.boot_from_media for vm in rig.workshop.made] == [True, False, False][: 2 + lost]
    assert len(rig.disks) == 1


def test_a_failed_step_is_done_anew_and_the_steps_before_it_are_not(rig: Rig) -> None:
    rig.workshop.play.fails = "openssh"
    with pytest.raises(BuildFailed):
        run(rig)
    state = msgspec.json.decode((rig.folder / build_state.FILE).read_bytes(), type=build_state.State)
    assert [(step.name, bool(step.finished), bool(step.failure)) for step in state.steps] == [
        ("mint", True, False), ("make machine", True, False), ("install", False, True),
    ]
    rig.workshop.play.fails = ""
    run(rig)
    assert len(rig.media) == 1
    assert len(rig.disks) == 2


def test_a_full_disk_while_compacting_costs_no_new_installation(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(rig, "compact", full)
        with pytest.raises(BuildFailed, match=r"step 'compact': .*No space left"):
            run(rig)
    run(rig)
    assert len(rig.workshop.made) == 2


def test_a_lost_medium_means_new_passwords_and_a_new_installation(rig: Rig) -> None:
    killed_at(rig, 9 * STEP_US // 2)
    before = accounts.load(rig.folder)
    (rig.folder / "work" / "provision.iso").unlink()
    run(rig)
    assert accounts.load(rig.image) != before
    assert len(rig.disks) == 2


def test_a_changed_recipe_begins_anew(rig: Rig) -> None:
    killed_at(rig, 9 * STEP_US // 2)
    setup = msgspec.structs.replace(rig.recipe.setup, time_zone="GMT Standard Time")
    rig.recipe = msgspec.structs.replace(rig.recipe, setup=setup)
    run(rig)
    assert len(rig.media) == 2
    assert b"GMT Standard Time" in rig.media[1]
    assert len(rig.disks) == 2


def test_a_state_that_cannot_be_read_begins_anew(rig: Rig) -> None:
    killed_at(rig, 9 * STEP_US // 2)
    (rig.folder / build_state.FILE).write_bytes(b"{")
    run(rig)
    assert len(rig.disks) == 2


def test_pictures_are_of_the_screen(rig: Rig) -> None:
    run(rig)
    assert all(path.read_bytes().startswith(PICTURE) for path in (rig.image / "pictures").iterdir())


def test_the_serial_logs_stay_with_the_image(rig: Rig) -> None:
    run(rig)
    assert b"@rrsim done" in (rig.image / "serial-install.log").read_bytes()
    assert b"@rrsim phase settle" in (rig.image / "serial-settle.log").read_bytes()


def test_the_real_surroundings_are_this_host_s(rig: Rig) -> None:
    around = build.surroundings(rig.workshop, rig.said.append)
    assert len(around.fresh()) == 64
    assert around.now().tzinfo is not None
    before_us = around.time.monotonic_us()
    asyncio.run(around.time.pause(1000))
    assert around.time.monotonic_us() - before_us >= 1000
