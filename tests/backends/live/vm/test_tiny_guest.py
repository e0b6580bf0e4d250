"""Real machines: a tiny Linux under QEMU, driven as runs drive theirs."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pytest
from PIL import Image as Picture

from rrsim.backends.live.vm import accelerator, bench, events, hands, lease, ready, slots
from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm.errors import (
    ChannelClosed,
    DiskFull,
    GuestNeverBooted,
    GuestStopped,
    HostRefused,
    ReadyStateBad,
    RestartLoop,
    VmError,
)
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.vm import Options, Vm
from tests.backends.live.vm import rig, tiny
from tests.backends.live.vm.rig import Guest, run

pytestmark = [pytest.mark.libvirt, pytest.mark.timeout(400)]
pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")


def kinds(guest: Guest) -> list[str]:
    return [events.text(event) for event in guest.seen if isinstance(event, events.AnyEvent)]


def test_lines_screen_hands_and_cable_of_a_running_guest() -> None:
    async def case() -> None:
        async with rig.host() as (host, pool), rig.guest(host, pool) as guest:
            assert await guest.ask("hello") == "echo hello"
            assert "tiny guest is up" in await guest.vm.console()
            with Picture.open(io.BytesIO(await guest.vm.screenshot())) as picture:
                assert picture.size == await guest.vm.screen_size()
            await _cable(guest)
            await hands.type_text(guest.vm, "Passwort: {a~B}\n")
            await rig.until(lambda: _typed(guest, b"Passwort: {a~B}\n"))
            await hands.type_text(guest.vm, "zy/\n", "de")
            await rig.until(lambda: _typed(guest, b"yz&\n"))  # a German typist's keys on a US guest
            await _pointer(guest)
            await _modem(guest)
            with pytest.raises(VmError, match=r"QEMU refuses input-send-event: .*no-such-key"):
                await hands.press_key(guest.vm, "no-such-key")
            with pytest.raises(HostRefused, match=r"org\.rrsim\.none"):
                await guest.vm.open_channel("org.rrsim.none")

    run(case(), 300)


async def _typed(guest: Guest, text: bytes) -> bool:
    return bytes.fromhex(await guest.ask("keys")) == text


async def _cable(guest: Guest) -> None:
    assert await guest.ask("link") == "1"
    await guest.vm.set_link(up=False)
    await rig.until(lambda: _says(guest, "link", "0"))
    await guest.vm.set_link(up=True)
    await rig.until(lambda: _says(guest, "link", "1"))


async def _says(guest: Guest, question: str, answer: str) -> bool:
    return await guest.ask(question) == answer


async def _pointer(guest: Guest) -> None:
    """The guest sees the place as QEMU's: 0 to 32767 over each side of the screen."""
    width, height = await guest.vm.screen_size()
    await hands.click(guest.vm, width // 4, height // 2)

    async def there() -> bool:
        seen = {}
        for word in (await guest.ask("mouse")).split():
            raw = bytes.fromhex(word)
            seen[raw[2]] = int.from_bytes(raw[4:8], "little")
        return abs(seen.get(0, 0) - 32767 / 4) < 40 and abs(seen.get(1, 0) - 32767 / 2) < 60

    await rig.until(there)
    with pytest.raises(ValueError, match="outside the screen"):
        await hands.pointer_to(guest.vm, width, 0)


async def _modem(guest: Guest) -> None:
    line = await guest.vm.open_serial(1)
    line.write(b"ATZ\n")
    await line.drain()
    heard = b""
    async with asyncio.timeout(20):
        while b"modem:ATZ" not in heard:
            heard += await line.read()
    await line.close()
    with pytest.raises(ChannelClosed):
        await line.read()


def test_who_restarted_the_guest_and_what_a_power_cut_leaves() -> None:
    async def case() -> None:
        async with rig.host() as (host, pool), rig.guest(host, pool) as guest:
            vm = guest.vm
            boots = [await guest.ask("boot")]
            assert (vm.resets, vm.reset_reason) == (1, "power on")
            guest.say("reboot")
            await guest.up()
            boots.append(await guest.ask("boot"))
            assert (vm.resets, vm.reset_reason) == (2, "guest reset")
            await vm.reset()
            await guest.up()
            boots.append(await guest.ask("boot"))
            assert (vm.resets, vm.reset_reason) == (3, "host reset")
            assert await guest.ask("put kept") == "done"
            await vm.destroy()
            with pytest.raises(ChannelClosed):
                await asyncio.wait_for(guest.hear(), 20)
            await rig.until(lambda: "stopped (power cut)" in kinds(guest))
            await vm.start()
            await guest.attach()
            await guest.up()
            boots.append(await guest.ask("boot"))
            assert (vm.resets, vm.reset_reason, await guest.ask("disk")) == (4, "power on", "kept")
            assert len(set(boots)) == 4
            assert [kind for kind in kinds(guest) if kind.startswith("reset")] == [
                "reset (guest reset)", "reset (host reset)",
            ]
            guest.say("off")
            with pytest.raises(GuestStopped, match=r"waiting for more: the machine stopped: stopped \(guest shut"):
                await vm.guard(asyncio.Event().wait(), "more", 60)
        assert await rig.ours_anew(vm.uuid) == []

    run(case(), 390)


def test_a_guest_that_never_comes_up_and_one_that_restarts_without_end(tmp_path: Path) -> None:
    base = tiny.build(rig.cache())
    line = images.load(base).built.description.command_line

    async def case() -> None:
        async with rig.host() as (host, pool):
            hang = tiny.variant(base, tmp_path / "hang", command_line=f"{line} tiny.hang")
            guest = await rig.off(host, pool, hang)
            try:
                await guest.vm.start()
                await guest.attach()
                await rig.until(lambda: _on_console(guest, "hangs"), rig.BOOT_S)
                with pytest.raises(GuestNeverBooted, match=r"(?s)expected its word within 2 s.*started.*guest hangs"):
                    await guest.vm.guard(guest.hear(), "its word", 2)
            finally:
                await guest.vm.remove()
            loop = tiny.variant(base, tmp_path / "loop", command_line=f"{line} tiny.loop")
            guest = await rig.off(host, pool, loop, Options(restarts_max=1))
            try:
                await guest.vm.start()
                await guest.attach()
                with pytest.raises(RestartLoop, match=r"(?s)restarted 2 times .*guest loops"):
                    await guest.up(200)
                assert isinstance(guest.vm.trouble, RestartLoop)
            finally:
                await guest.vm.remove()

    run(case(), 390)


async def _on_console(guest: Guest, text: str) -> bool:
    return text in await guest.vm.console()


def test_two_machines_of_one_ready_state_differ_and_a_damaged_one_is_made_anew() -> None:
    async def case() -> None:
        async with rig.host() as (host, pool):
            held = [await slots.acquire(host, memory_mib=160, wanted=rig.SLOTS, wait_s=60) for _ in range(2)]
            image = images.load(tiny.build(rig.cache()))
            parts = ready.about(host, image, "tcg", f"test {lease.fresh_uuid()}")
            machines: list[Vm] = []
            try:
                await _restored_twice(pool, held, image, parts, machines)
            finally:
                for vm in machines:
                    await vm.remove()
                for slot in held:
                    await slot.release()
                await ready.forget(pool, ready.key_of(parts))
            assert not [name for name in await pool.names() if ready.key_of(parts) in name]

    run(case(), 390)


async def _restored_twice(
    pool: Pool, held: list[lease.Held], image: images.Image, parts: dict[str, str], machines: list[Vm]
) -> None:
    made = 0

    async def make(disk: str) -> Vm:
        nonlocal made
        made += 1
        guest = Guest(await Vm.create(pool.host, pool, held[0], image, disk=disk))
        await guest.vm.start()
        await guest.attach()
        await guest.up()
        assert await guest.ask("put frozen") == "done"
        await guest.line.close()
        await guest.vm.close()
        return guest.vm

    record = await ready.provide(pool, parts, make)
    assert (await ready.provide(pool, parts, make), made) == (record, 1)
    guests = []
    for slot in held:
        machines.append(await ready.restore(pool, slot, image, record))
        guests.append(Guest(machines[-1]))
        await guests[-1].attach()
    assert len({await guest.ask("boot") for guest in guests}) == 1, "they were one machine once"
    for guest, word in zip(guests, ("one", "two"), strict=True):
        assert await guest.ask("disk") == "frozen"
        assert await guest.ask(f"put {word}") == "done"
    assert [await guest.ask("disk") for guest in guests] == ["one", "two"]
    seen = {await vm.domain("read", lambda d: (d.name(), d.UUIDString(), d.ID())) for vm in machines}
    assert len({name for name, _, _ in seen}) == len({one for _, one, _ in seen}) == 2
    guests[0].say("reboot")
    await guests[0].up()
    assert (machines[0].resets, machines[0].reset_reason) == (1, "guest reset")
    assert await guests[1].ask("disk") == "two", "the other one goes on"

    byte = await pool.read(f"{record.stem}-memory", record.stream_at + 9_000, 1)
    await pool.write(f"{record.stem}-memory", bytes([byte[0] ^ 1]), record.stream_at + 9_000)
    for vm in machines:
        await vm.destroy()
        await vm.close()
    with pytest.raises(ReadyStateBad, match="another checksum"):
        await ready.restore(pool, held[1], image, record)
    said: list[str] = []
    again = await ready.provide(pool, parts, make, said.append)
    assert (made, again.stem != record.stem) == (2, True)
    assert "is made anew: expected" in said[0]
    machines.append(await ready.restore(pool, held[1], image, again))


@pytest.mark.parametrize("ends", ["by itself", "with an error"])
def test_trying_kvm_gives_its_slot_back(ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host whose processor cannot be looked at it is tried; a slot that stays held is one machine less."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    image = images.load(tiny.build(rig.cache()))

    async def unknown(*_: object) -> None:
        return None

    async def breaks(*_: object) -> str:
        raise DiskFull("full")

    monkeypatch.setattr(accelerator, "_able", unknown)
    if ends == "with an error":
        monkeypatch.setattr(accelerator, "boot_once", breaks)

    async def case() -> None:
        async with rig.host() as (host, pool):
            choosing = bench._acceleration(host, pool, image, bench.VmOptions(slots=rig.SLOTS), lambda _: None)
            if ends == "by itself":
                assert (await choosing).kind in {"kvm", "tcg"}
            else:
                with pytest.raises(DiskFull):
                    await choosing
            assert not [held for held, one in (await lease.holders(host)).values() if one.pid == os.getpid()]

    run(case(), 300)


def test_a_ready_state_depends_on_image_layer_and_host() -> None:
    async def case() -> None:
        host = await Host.open(rig.MOCK)
        image = images.load(tiny.build(rig.cache()))
        parts = ready.about(host, image, "tcg", "agent 1")
        assert ready.key_of(parts) == ready.key_of(ready.about(host, image, "tcg", "agent 1"))
        for name in parts:
            assert ready.key_of({**parts, name: "another"}) != ready.key_of(parts)
        await host.close()

    run(case())
