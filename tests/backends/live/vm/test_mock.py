"""Leases, machines and connections on libvirt's built-in mock driver: no QEMU, no daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from rrsim import live_clock
from rrsim.backends.live.vm import accelerator, events, lease, slots, threads
from rrsim.backends.live.vm import host as hosts
from rrsim.backends.live.vm.errors import (
    DiskFull,
    HostLost,
    HostRefused,
    HostSlow,
    LeaseLost,
    NoFreeSlot,
    VmError,
    VmMissing,
)
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.vm import Vm
from tests.backends.live.vm import rig
from tests.backends.live.vm.rig import MOCK, run, until

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")


def dead(**changes: object) -> lease.Lease:
    """A lease whose holder is gone."""
    return msgspec.structs.replace(lease.mine(None), pid=2**22 + 1, **changes)


def test_a_host_says_what_it_is() -> None:
    async def case() -> None:
        said: list[str] = []
        host = await Host.open(MOCK, progress=said.append)
        assert (host.is_mock, host.info.kind, said) == (True, "TEST", [f"connecting to {MOCK}"])
        with pytest.raises(HostRefused, match="find it: libvirt at test:///default says"):
            await host.call("find it", lambda c: c.lookupByName("nothing"))
        await host.close()
        with pytest.raises(HostLost, match="closed by rrsim itself"):
            await host.call("ask", lambda c: c.getHostname())

    run(case())


def test_a_name_from_libvirts_own_configuration_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a name (uri_aliases) would count as this computer, wherever it leads."""
    import libvirt

    monkeypatch.setattr(hosts, "_connect", lambda uri: libvirt.open({"hail": MOCK}[uri]))

    async def case() -> None:
        host = await Host.open("hail")
        assert (host.uri, host.info.uri, host.is_mock) == (MOCK, MOCK, True)
        await host.close()

    run(case())


def test_connections_work_in_one_event_loop_after_another() -> None:
    """libvirt takes one event loop per process; a test each has its own."""
    async def case() -> str:
        host = await Host.open(MOCK)
        name = await host.call("ask", lambda c: c.getHostname())
        await host.close()
        return name

    assert run(case()) == run(case())


def test_a_name_on_the_host_goes_to_one_and_an_ended_lease_frees_it() -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        first = await lease.claim(host, "rrsim-slot-91", lease.mine(Path("/run/a")))
        assert first is not None
        assert await lease.claim(host, "rrsim-slot-91", lease.mine(None)) is None
        assert (await lease.holders(host))[first.uuid][1].folder == "/run/a"
        await first.release()
        assert first.uuid not in await lease.holders(host)
        left = await lease.claim(host, "rrsim-slot-91", dead())
        assert left is not None
        await left.stop()
        after = await lease.claim(host, "rrsim-slot-91", lease.mine(None))
        assert after is not None
        assert after.uuid != left.uuid
        await after.release()
        await host.close()

    run(case())


def test_a_domain_that_is_not_ours_keeps_its_name() -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        assert await lease.claim(host, "test", lease.mine(None)) is None
        assert await host.call("look", lambda c: c.lookupByName("test").isActive())
        await host.close()

    run(case())


def test_whether_a_lease_has_ended() -> None:
    live = lease.mine(None)
    assert not live.ended
    assert dead().ended
    assert not dead(computer="another").ended, "another computer's processes cannot be looked at"
    assert not dead(kept=True).ended
    over = live.expires_s - lease.LEASE_S - lease.SKEW_S - 1
    assert msgspec.structs.replace(live, expires_s=over).ended
    assert dead(kept=True, expires_s=over).ended
    assert not msgspec.structs.replace(live, expires_s=over + 20).ended, "clocks differ"


def test_a_holder_whose_lease_was_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        monkeypatch.setattr(lease, "BEAT_S", 0.02)
        host = await Host.open(MOCK)
        held = await lease.claim(host, "rrsim-slot-92", lease.mine(None))
        assert held is not None
        told: list[LeaseLost] = []
        held.on_lost = told.append
        first = (await lease.holders(host))[held.uuid][1].expires_s
        await held.renew(500)
        assert (await lease.holders(host))[held.uuid][1].expires_s >= first + 300
        await lease.remove_domain(host, held.uuid)
        await until(lambda: bool(told))
        assert "another runner took it" in str(told[0])
        await held.release()
        await host.close()

    run(case())


def test_who_waits_for_a_slot_hears_so_and_is_told_who_has_them() -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        taken = [await slots.acquire(host, memory_mib=64, wanted=2, folder=Path("/run/mine")) for _ in range(2)]
        assert [one.name for one in taken] == ["rrsim-slot-1", "rrsim-slot-2"]
        said: list[str] = []
        with pytest.raises(NoFreeSlot, match=r"one of 2 slots .*rrsim-slot-1 \(in use, by process .*/run/mine"):
            await slots.acquire(host, memory_mib=64, wanted=2, wait_s=0.1, progress=said.append)
        assert len(said) == 1
        assert said[0].startswith(f"waiting for one of 2 slots on {host.info.name}; held: rrsim-slot-1 (in use, by ")
        waiting = asyncio.create_task(slots.acquire(host, memory_mib=64, wanted=2))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await taken[1].release()
        got = await waiting
        assert got.name == "rrsim-slot-2"
        await got.release()
        await taken[0].release()
        await host.close()

    run(case())


def test_who_waits_for_a_name_outlasts_a_slow_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case may ask for an hour, four times a second."""
    claim, asked = lease.claim, list[str]()

    async def slow(host: Host, name: str, one: lease.Lease) -> lease.Held | None:
        asked.append(name)
        if len(asked) % 2:
            raise HostSlow("no answer within 30 s")
        return await claim(host, name, one)

    monkeypatch.setattr(lease, "claim", slow)

    async def case() -> None:
        host = await Host.open(MOCK)
        async with lease.lock(host, "slow"):
            assert asked == ["rrsim-lock-slow"] * 2
        held = await slots.acquire(host, memory_mib=64, wanted=1)
        assert asked[2:] == ["rrsim-slot-1"] * 2
        await held.release()
        await host.close()

    run(case())


def test_one_at_a_time_holds_a_lock() -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        inside = 0
        most = 0

        async def one() -> None:
            nonlocal inside, most
            async with lease.lock(host, "thing"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.02)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(4)))
        assert most == 1
        async with lease.lock(host, "thing"):
            with pytest.raises(NoFreeSlot, match=r"waited 0.05 s for thing .*in use, by process"):
                async with lease.lock(host, "thing", wait_s=0.05):
                    pass
        await host.close()

    run(case())


def test_a_call_that_never_answers_is_left_behind() -> None:
    import threading

    async def case() -> None:
        with pytest.raises(HostSlow, match=r"hang: expected an answer of libvirt within 0.05 s"):
            await threads.in_thread("hang", threading.Event().wait, 0.05)

    run(case())


def test_an_address_where_nobody_answers_says_what_to_try(tmp_path: Path) -> None:
    async def case() -> None:
        with pytest.raises(VmMissing, match="start it with: systemctl start libvirtd"):
            await Host.open(f"qemu:///session?socket={tmp_path}/none")

    run(case())


def test_without_the_binding_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(VmMissing, match=r"no module libvirt; install it with: sudo apt-get install -y qemu"):
            await Host.open(MOCK)

    run(case())


# --- KVM ---

DAY_S = 24 * 3600


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    return tmp_path / "cpuinfo"


def choose(
    cpuinfo: Path, answer: str | VmError | None = None, **given: object
) -> tuple[accelerator.Acceleration, list[int]]:
    """Choose for a host that offers KVM; ``answer`` is what a probe says, or raises."""
    tried: list[int] = []

    async def probe() -> str:
        tried.append(1)
        assert answer is not None
        if isinstance(answer, VmError):
            raise answer
        return answer

    async def case() -> accelerator.Acceleration:
        host = await Host.open(MOCK)
        try:
            return await accelerator.choose(
                host, cpuinfo=cpuinfo, probe=probe if answer is not None else None, **given,  # type: ignore[arg-type]  # -- a test's short hand
            )
        finally:
            await host.close()

    return run(case()), tried


def test_a_processor_without_vmx_and_svm_is_emulated_without_a_trial(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: True)
    cpuinfo.write_text("processor : 0\nflags : fpu sse2 hypervisor\n")
    found, tried = choose(cpuinfo, "")
    assert (found.kind, found.proved, tried) == ("tcg", True, [])
    assert found.text().startswith("TCG, software emulation (slow): the processor has neither vmx nor svm")


def test_kvm_counts_once_a_kernel_booted_and_the_answer_is_remembered(
    cpuinfo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: True)
    cpuinfo.write_text("flags : fpu vmx\n")
    memory = tmp_path / "state" / "kvm.json"
    assert [choose(cpuinfo, "", memory=memory) for _ in range(2)] == [
        (accelerator.Acceleration("kvm", f"a kernel booted with it on {_name()}"), [1]),
        (accelerator.Acceleration("kvm", f"a kernel booted with it on {_name()}"), []),
    ]
    memory.unlink()
    found, _ = choose(cpuinfo, "it died", memory=memory)
    assert (found.kind, found.why) == ("tcg", f"KVM was tried on {_name()} and failed: it died")
    assert choose(cpuinfo, "", memory=memory) == (found, [])


@pytest.mark.parametrize(
    ("said", "blamed"),
    [
        ("qemu unexpectedly closed the monitor: failed to set MSR 0x10a\nkvm.c:3183: kvm_buf_set_msrs: Assert", True),
        ("internal error: qemu unexpectedly closed the monitor: Could not access KVM kernel module", True),
        ("internal error: qemu unexpectedly closed the monitor: -drive: No space left on device", False),
        ("operation failed: /images/kvm-guest.qcow2: No space left on device", False),
    ],
)
def test_an_emulator_that_ends_because_of_kvm_is_an_answer_about_kvm(said: str, blamed: bool) -> None:
    """Else each run would try it anew, on a host where it never works."""
    assert accelerator.blames_kvm(said) == blamed


@pytest.mark.parametrize("trouble", [HostRefused("no KVM for you", 1), HostSlow("no answer"), LeaseLost("taken")])
def test_where_kvm_could_not_be_tried_nothing_is_remembered(
    cpuinfo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: VmError
) -> None:
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: True)
    cpuinfo.write_text("flags : fpu vmx\n")
    memory = tmp_path / "kvm.json"
    found, _ = choose(cpuinfo, trouble, memory=memory)
    assert (found.kind, found.proved) == ("tcg", False)
    assert found.why == f"KVM could not be tried on {_name()} this time: {trouble}"
    assert choose(cpuinfo, "", memory=memory)[0].kind == "kvm"


@pytest.mark.parametrize("trouble", [DiskFull("full"), HostLost("gone"), NoFreeSlot("none")])
def test_trouble_that_every_machine_would_have_is_raised(
    cpuinfo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: VmError
) -> None:
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: True)
    cpuinfo.write_text("flags : fpu vmx\n")
    with pytest.raises(type(trouble)):
        choose(cpuinfo, trouble, memory=tmp_path / "kvm.json")
    assert not (tmp_path / "kvm.json").exists()


def test_kvm_that_failed_is_tried_again_after_some_days_or_when_asked_for(
    cpuinfo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: True)
    cpuinfo.write_text("flags : fpu vmx\n")
    memory = tmp_path / "kvm.json"
    now_us = live_clock.wall_time_us()
    monkeypatch.setattr(live_clock, "wall_time_us", lambda: now_us)
    said: list[str] = []
    assert choose(cpuinfo, "it died", memory=memory)[0].kind == "tcg"
    monkeypatch.setattr(live_clock, "wall_time_us", lambda: now_us + (accelerator.FAILED_DAYS * DAY_S - 60) * 10**6)
    assert choose(cpuinfo, "", memory=memory, progress=said.append)[1] == [], "still remembered"
    assert f"sooner: remove {memory}; to use it untried: --accelerator kvm" in said[-1]
    monkeypatch.setattr(live_clock, "wall_time_us", lambda: now_us + (accelerator.FAILED_DAYS * DAY_S + 60) * 10**6)
    assert (choose(cpuinfo, "", memory=memory)[0].kind, choose(cpuinfo, "", memory=memory)[1]) == ("kvm", [])
    monkeypatch.setattr(live_clock, "wall_time_us", lambda: now_us + 1000 * DAY_S * 10**6)
    assert choose(cpuinfo, "it died", memory=memory)[1] == [], "that it works stays"


def boot_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: Callable[[Vm], Awaitable[None]]) -> str:
    """Try on the mock driver; ``play`` is what happens while a sign of the kernel is waited for."""
    monkeypatch.setattr(accelerator, "_sign", play)
    image = rig.pretend(tmp_path / "image")

    async def case() -> str:
        async with rig.mock() as (host, pool):
            slot = await slots.acquire(host, memory_mib=64, wanted=1)
            try:
                return await accelerator.boot_once(host, pool, slot, image)
            finally:
                assert not [name for name in await pool.names() if name.startswith("run-")]
                await slot.release()

    return run(case())


async def nothing(_: Vm) -> None:
    """A sign of the kernel is there."""


async def waits(_: Vm) -> None:
    await asyncio.Event().wait()


def test_what_the_guest_does_under_kvm_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stops(vm: Vm) -> None:
        await vm.domain("stop", lambda d: d.destroy())
        await waits(vm)

    assert boot_once(tmp_path, monkeypatch, nothing) == ""
    assert "the machine stopped: stopped (power cut)" in boot_once(tmp_path, monkeypatch, stops)
    monkeypatch.setattr(accelerator, "PROBE_LIMIT_S", 0.1)
    assert "expected a sign of the kernel under KVM within 0.1 s" in boot_once(tmp_path, monkeypatch, waits)

    async def dies(_: Vm) -> None:
        raise HostRefused("qemu unexpectedly closed the monitor: kvm_buf_set_msrs:\n Assertion failed", 1)

    monkeypatch.setattr(Vm, "start", dies)
    said = boot_once(tmp_path, monkeypatch, nothing)
    assert said == "QEMU does not start with it: kvm_buf_set_msrs: Assertion failed"


def test_what_the_host_does_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_taken(vm: Vm) -> None:
        await lease.remove_domain(vm.host, vm.uuid)
        await waits(vm)

    async def is_full(vm: Vm) -> None:
        vm._take(events.Suspended(0, "disk full"))
        await waits(vm)

    async def refuses(_: Vm) -> None:
        raise HostRefused("no KVM for you", 1)

    with pytest.raises(LeaseLost):
        boot_once(tmp_path, monkeypatch, is_taken)
    with pytest.raises(DiskFull):
        boot_once(tmp_path, monkeypatch, is_full)
    with pytest.raises(HostRefused):
        boot_once(tmp_path, monkeypatch, refuses)
    monkeypatch.setattr(Vm, "start", refuses)
    with pytest.raises(HostRefused):
        boot_once(tmp_path, monkeypatch, nothing)
    monkeypatch.setattr(Vm, "define", refuses)
    with pytest.raises(HostRefused):
        boot_once(tmp_path, monkeypatch, nothing)


def test_a_host_that_offers_none_has_none_and_the_user_may_decide(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo.write_text("flags : fpu vmx\n")
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: False)
    assert choose(cpuinfo)[0].kind == "tcg"
    assert choose(cpuinfo, forced="kvm")[0] == accelerator.Acceleration("kvm", "asked for", proved=False)
    monkeypatch.setattr(accelerator, "_offers_kvm", lambda _: True)
    assert choose(cpuinfo, forced="tcg")[0].kind == "tcg"
    assert choose(cpuinfo)[0].proved is False
    with pytest.raises(ValueError, match="kvm or tcg, saw 'xen'"):
        choose(cpuinfo, forced="xen")


def _name() -> str:
    async def case() -> str:
        host = await Host.open(MOCK)
        await host.close()
        return host.info.name

    return run(case())
