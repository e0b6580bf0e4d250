"""What is left of a machine that could not be made: nothing; on libvirt's mock driver, failing at every single step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.vm import base, lease, machines, ready, save_image, threads, undo, watching
from rrsim.backends.live.vm.errors import DiskFull, GuestNeverBooted, HostRefused, ReadyStateBad, VmError
from rrsim.backends.live.vm.guest_pc import GuestPc
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.vm import Options
from rrsim.backends.live.wine.power import MachineFailed
from tests.backends.live.vm import rig
from tests.backends.live.vm.rig import run

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")

PARTS = {"image": "pretended"}
KEY = ready.key_of(PARTS)
STEM = f"ready-{KEY}-0f0f0f0f"


class Broken(VmError):
    """What is made to go wrong."""


@contextlib.contextmanager
def ends_at(host: Host, number: int, how: str) -> Iterator[list[str]]:
    """The n-th request to libvirt within this block fails, or is the moment of a cancellation; the requests made."""
    call, me = host.call, asyncio.current_task()
    asked: list[str] = []
    assert me is not None

    async def counted(what: str, function: Any, *rest: Any) -> Any:
        asked.append(what)
        if len(asked) != number:
            return await call(what, function, *rest)
        if how == "fails":
            raise Broken(what)
        asyncio.get_running_loop().call_soon(me.cancel)
        return await call(what, function, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "call", counted)
        yield asked


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> set[watching.Watch]:
    """Registrations for events that have not been ended."""
    there: set[watching.Watch] = set()
    register, end = watching.Watch.register, watching.Watch.end

    async def registers(self: watching.Watch) -> None:
        there.add(self)
        await register(self)

    async def ends(self: watching.Watch) -> None:
        await end(self)
        assert not self._undo
        there.discard(self)

    monkeypatch.setattr(watching.Watch, "register", registers)
    monkeypatch.setattr(watching.Watch, "end", ends)
    return there


async def fleet_of(host: Host, pool: rig.MockPool, folder: Path, *, kept: bool) -> machines.Fleet:
    """A fleet on the mock driver, with or without a ready state of pretended files."""
    image = await asyncio.to_thread(rig.pretend, folder / "image")
    await base.provide(pool, image)  # what is uploaded stays, and each try would make fewer requests than the last one
    record = None
    if kept:
        for name in ("memory", "disk.qcow2"):
            await pool.create(f"{STEM}-{name}", 4096)
        memory, disk = await pool.look_at(f"{STEM}-memory"), await pool.look_at(f"{STEM}-disk.qcow2")
        assert memory is not None
        assert disk is not None
        record = ready.Record(
            key=KEY, stem=STEM, about=PARTS, stream_at=0, stream_sha256=await pool.checksum(memory.name),
            memory_bytes=memory.capacity_bytes, disk_changed=disk.changed, nvram=False,
        )
        await pool.create(f"{STEM}-record", 1)
    return machines.Fleet(host, pool, image, Options(), wanted_slots=2, ready=record)


async def nothing_left(host: Host, pool: rig.MockPool, but: str = "") -> None:
    """``but``: the request that failed; a lock whose release failed is there until its lease is over."""
    assert [name for name in await pool.names() if name.startswith("run-")] == []
    for domain_uuid, (name, _) in (await lease.holders(host)).items():
        assert "lock" in name
        assert but == f"remove the domain {domain_uuid}"
        await lease.remove_domain(host, domain_uuid)


@pytest.fixture
def restores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock driver has no saved machines: the header is taken as it is, and a restore starts the domain."""
    monkeypatch.setattr(save_image, "rewrite", lambda head, _change: head)
    monkeypatch.setattr(ready, "_restore", lambda c, _path: next(
        c.lookupByUUIDString(one) for one, (name, _) in lease._all_holders(c).items() if "slot" in name
    ).create())


@pytest.mark.usefixtures("restores")
@pytest.mark.parametrize("how", ["fails", "cancelled"])
@pytest.mark.parametrize("kept", [False, True], ids=["cold", "kept"])
def test_nothing_is_left_of_a_machine_that_ends_at_any_step_of_its_making(
    tmp_path: Path, watches: set[watching.Watch], kept: bool, how: str
) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, kept=kept)
            for step in range(1, 200):
                me = asyncio.current_task()
                assert me is not None
                with ends_at(host, step, how) as asked:
                    first: BaseException | None = None
                    try:
                        pc = await machines.make(fleet, "pc", tmp_path, lambda _: None)
                    except (Broken, asyncio.CancelledError) as error:
                        first = error
                if first is None:
                    break
                if how == "cancelled":
                    assert me.uncancel() == 0
                else:
                    assert str(first) == asked[step - 1], "the first error is the one that is raised"
                await nothing_left(host, pool, but=asked[step - 1])
                assert not watches
            assert "listen for events" in asked
            assert step > len(asked)
            assert pc.vm.running == kept
            await pc.vm.remove()
            await nothing_left(host, pool)
            assert not watches

    run(case())


@pytest.mark.parametrize("how", ["fails", "cancelled"])
def test_nothing_is_left_where_a_ready_state_cannot_be_made(
    tmp_path: Path, watches: set[watching.Watch], how: str
) -> None:
    class Adapter:
        """An agent without files."""

        async def lay_in(self, _: object) -> None:
            """Nothing."""

    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, kept=False)
            for step in range(1, 200):
                me = asyncio.current_task()
                assert me is not None
                with ends_at(host, step, how) as asked, pytest.raises(BaseException) as caught:  # noqa: PT011 -- one of many
                    await machines.with_ready_state(fleet, Adapter())  # type: ignore[arg-type]  # -- all that is used
                await nothing_left(host, pool, but=asked[step - 1])
                assert not watches
                assert not [name for name in await pool.names() if name.startswith("ready-")]
                if any(one.startswith("open org.rrsim") for one in asked[:step]):
                    # It is the host that fails here: no look into the guest would explain it.
                    assert isinstance(caught.value, Broken | asyncio.CancelledError), "the mock has no ports"
                    break
                if how == "cancelled":
                    assert me.uncancel() == 0
            assert "listen for events" in asked

    run(case())


@pytest.mark.usefixtures("restores")
@pytest.mark.parametrize(("said", "code", "kind", "text"), [
    ("write: No space left on device", 38, DiskFull, "expected room on .* rrsim reap --list"),
    ("cannot set up guest memory 'pc.ram': Cannot allocate memory", 1, HostRefused, "expected 64 MiB .* --slots"),
    ("out of memory", 2, HostRefused, "expected 64 MiB of memory on .*: out of memory; .* --slots"),
    ("Failed to open file: Permission denied", 38, HostRefused, "may read .*-memory .*denied; see owner"),
    ("image magic is incorrect", 55, ReadyStateBad, "to restore as .*magic is incorrect; .*reap --images$"),
])
def test_why_a_ready_state_was_not_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int, kind: type[VmError], text: str
) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, kept=True)
            call = host.call

            async def refuses(what: str, *rest: Any) -> Any:
                if what.startswith("restore "):
                    raise HostRefused(said, code)
                return await call(what, *rest)

            monkeypatch.setattr(host, "call", refuses)
            with pytest.raises(VmError, match=text) as caught:
                await machines.make(fleet, "pc", tmp_path, lambda _: None)
            assert type(caught.value) is kind
            await nothing_left(host, pool)

    run(case())


@pytest.mark.usefixtures("restores")
def test_a_ready_state_that_is_damaged_when_a_case_starts_says_how_it_is_made_anew(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, kept=True)
            await pool.delete(f"{STEM}-disk.qcow2")
            with pytest.raises(ReadyStateBad, match=r"saw that one is gone; if .* anew: rrsim reap --images$"):
                await machines.make(fleet, "pc", tmp_path, lambda _: None)
            await nothing_left(host, pool)

    run(case())


def test_a_guest_that_never_comes_up_says_what_it_did_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine goes, so its last words are in the error."""
    class Adapter:
        """An agent without files."""

        async def lay_in(self, _: object) -> None:
            """Nothing."""

    async def never(_: object) -> None:
        raise MachineFailed("waited 240 s for welcome")

    monkeypatch.setattr(GuestPc, "power_on", never)

    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, kept=False)
            with pytest.raises(GuestNeverBooted, match=r"(?s)saw: MachineFailed: waited 240 s .*end of the console:"):
                await machines.with_ready_state(fleet, Adapter())  # type: ignore[arg-type]  # -- all that is used
            await nothing_left(host, pool)

    run(case())


def test_what_goes_wrong_in_giving_back_takes_no_cancellation_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who pressed Ctrl-C would see the next case begin."""
    async def case() -> None:
        async with rig.mock() as (host, _):
            async def fails(_: object) -> None:
                raise Broken("no answer")

            inside = asyncio.Event()

            async def holds() -> None:
                async with lease.lock(host, "test"):
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(holds())
            await inside.wait()
            with monkeypatch.context() as patch:
                patch.setattr(lease.Held, "release", fails)
                task.cancel()
                with pytest.raises(asyncio.CancelledError) as caught:
                    await task
                assert "rrsim-lock-test could not be removed" in caught.value.__notes__[0]
                with pytest.raises(Broken):
                    async with lease.giving_back(lease.Held(host, "x", "y", lease.mine(None))):
                        """Nothing else goes wrong."""
            for one in await lease.holders(host):
                await lease.remove_domain(host, one)

    run(case())


def test_what_cannot_be_undone_is_a_note_to_the_first_error() -> None:
    async def fails() -> None:
        raise Broken("no answer")

    first = ValueError("first")
    run(undo.after(first, fails, "rrsim-slot-9"))
    assert first.__notes__ == [
        "and rrsim-slot-9 could not be removed: no answer; once its lease is over: rrsim reap",
    ]


def test_undoing_goes_on_when_it_is_cancelled() -> None:
    async def case() -> None:
        done: list[int] = []

        async def slow() -> None:
            for number in range(5):
                await asyncio.sleep(0.01)
                done.append(number)

        task = asyncio.create_task(undo.through(slow()))
        for _ in range(3):
            await asyncio.sleep(0.005)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == [0, 1, 2, 3, 4]

    run(case())


def test_who_is_cancelled_goes_on_when_the_call_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    async def case() -> None:
        began, go_on = threading.Event(), threading.Event()
        made: list[str] = []

        def make() -> None:
            began.set()
            go_on.wait(20)
            made.append("it")

        task = asyncio.create_task(threads.in_thread("make", make, 20))
        await asyncio.to_thread(began.wait)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert made == ["it"]
        monkeypatch.setattr(threads, "SETTLE_S", 0.05)
        stuck = asyncio.create_task(threads.in_thread("hang", threading.Event().wait, 20))
        await asyncio.sleep(0.01)
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck

    run(case())


