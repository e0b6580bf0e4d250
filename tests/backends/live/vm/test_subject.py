"""A machine under questions: its boots, its shells, and what the hypervisor says of restarts.

The real machine is the Wine guest, as a stand-in for Windows: it has SSH and restarts, and none of Windows' shells.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from rrsim.backends.live.shells import boot_mark
from rrsim.backends.live.shells.choose import RestartDeclined
from rrsim.backends.live.shells.guest_agent import GuestAgentShell
from rrsim.backends.live.shells.host_keys import KnownKey
from rrsim.backends.live.shells.interface import Boot, Command, NotYet, Result, Shell, ShellError, ShellLost
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.ssh import SshShell
from rrsim.backends.live.shells.winrm import WinRmShell
from rrsim.backends.live.vm import events, subject
from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm.accelerator import Acceleration
from rrsim.backends.live.vm.errors import VmError
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.subject import Surroundings, VmSubject
from rrsim.backends.live.vm.subject_windows import agent_line
from rrsim.backends.live.vm.tunnel import Ssh, Tunnels
from rrsim.backends.live.vm.vm import Vm
from rrsim.cli.image_windows import no_contract
from rrsim.images.windows import verify
from rrsim.images.windows.questions import QUESTIONS
from rrsim.machine.identity import New, compare
from tests.backends.live.vm import agent_guest, rig
from tests.backends.live.vm.rig import run


class FakeShell:
    """A shell that echoes, until it is broken."""

    system = "linux"

    def __init__(self, name: str, boot: Boot, answers: Callable[[], bool]) -> None:
        self.name, self.boot, self.answers = name, boot, answers
        self.closed = False
        self.restart_code: int | None = 0

    async def open(self, *, limit_s: float) -> None:
        self.boot.require(self.name)
        if not self.answers():
            raise NotYet("nobody answers")

    async def run(self, command: Command, *, limit_s: float) -> Result:
        self.boot.require(self.name)
        if not self.answers():
            raise ShellLost("the line broke", sent=True)
        if command == ["restart"]:
            if self.restart_code is None:
                raise ShellLost("the line broke", sent=True)
            return Result(self.restart_code, "", "it says no")
        return Result(0, command[-1], "")

    async def close(self) -> None:
        self.closed = True


class Rig:
    """A subject whose machine is played: what answers in it, and what the hypervisor tells."""

    ports = ()

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answering: str) -> None:
        self.answering = set(answering)
        self.made: list[FakeShell] = []
        self.said: list[str] = []
        for name, value in (("FIRST_SHELL_S", 3.0), ("OTHER_SHELLS_S", 1.0), ("RESTART_S", 1.0), ("ASK_S", 5.0)):
            monkeypatch.setattr(subject, name, value)
        around: Any = Surroundings(
            host=None, pool=None, image=None, acceleration=Acceleration("kvm", "a test"), kvm_offered=True,  # type: ignore[arg-type]  # -- played
            entrances=self, person=None, folder=Path(), say=self.said.append,  # type: ignore[arg-type]  # -- played
        )
        self.subject = VmSubject(around)
        self.subject._vm = self  # type: ignore[assignment]  # -- as above
        self.name = "played"

    def ways(self, vm: Vm, ports: Mapping[int, int], boot: Boot) -> Mapping[str, Callable[[], Shell]]:
        return {name: lambda name=name: self.make(name, boot) for name in ("winrm", "ssh", "guest agent")}  # type: ignore[misc]  # -- a default binds the name

    def make(self, name: str, boot: Boot) -> Any:
        self.made.append(FakeShell(name, boot, lambda: name in self.answering))
        return self.made[-1]

    def tell(self, *, guest: bool = True) -> None:
        self.subject._take(events.Reset(0, guest, "guest reset" if guest else "host reset"))


def test_shells_are_those_that_answer_and_silent_ones_are_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        one = Rig(monkeypatch, "ssh", "guest agent")
        assert list(await one.subject.shells()) == ["ssh", "guest agent"]
        assert [line for line in one.said if line.startswith("winrm does not answer")]
        tried = len([shell for shell in one.made if shell.name == "winrm"])
        first = (await one.subject.shells())["ssh"]
        assert len([shell for shell in one.made if shell.name == "winrm"]) == tried
        one.answering.discard("ssh")
        assert list(await one.subject.shells()) == ["guest agent"]
        assert any(shell is first and shell.closed for shell in one.made)
        assert one.subject.host == {"accelerator": "kvm", "kvm": "offered"}

    run(case())


def test_a_reset_that_nobody_asked_for_begins_a_boot_with_shells_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        one = Rig(monkeypatch)
        waiting = asyncio.ensure_future(one.subject.shells())
        await rig.until(lambda: len(one.made) > 2)
        old = one.made[0].boot
        one.answering.add("ssh")
        one.tell()
        shells = await waiting
        assert old.ended == "reset (guest reset)"
        assert [(name, shell.boot is old) for name, shell in shells.items()] == [("ssh", False)]
        one.subject._take(events.Stopped(0, "guest shutdown"))
        one.answering.clear()
        assert await one.subject.shells() == {}, "a machine that is off is not waited for"

    run(case())


def test_a_machine_that_is_reset_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        one = Rig(monkeypatch)
        make = one.make

        def made(name: str, boot: Boot) -> Any:
            asyncio.get_running_loop().call_soon(one.tell)
            return make(name, boot)

        one.make = made  # type: ignore[method-assign]  # -- a machine that resets whenever it is asked
        with pytest.raises(VmError, match=rf"reset {subject.BOOTS_MAX} times"):
            await one.subject.shells()

    run(case())


@pytest.mark.parametrize("code", [0, None])
def test_a_restart_counts_if_the_hypervisor_saw_a_reset_by_the_guest(
    monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    async def case() -> None:
        one = Rig(monkeypatch, "ssh")
        old = (await one.subject.shells())["ssh"]
        for shell in one.made:
            shell.restart_code = code
        waiting = asyncio.ensure_future(one.subject.restart(["restart"]))
        await rig.until(lambda: bool(old.boot.ended))
        one.tell()
        assert await waiting is True
        assert (await one.subject.shells())["ssh"].boot is not old.boot
        waiting = asyncio.ensure_future(one.subject.restart(["restart"]))
        await rig.until(lambda: bool(one.made[-1].boot.ended))
        one.tell(guest=False)
        assert await waiting is False, "the host's own reset button is no restart by Windows"
        await one.subject.shells()
        assert await one.subject.restart(["restart"]) is False, "nothing happened"

    run(case())


def test_a_restart_that_is_declined_or_cannot_be_asked_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        one = Rig(monkeypatch, "ssh")
        await one.subject.shells()
        for shell in one.made:
            shell.restart_code = 5
        with pytest.raises(RestartDeclined, match="it says no"):
            await one.subject.restart(["restart"])
        with pytest.raises(ShellError, match="none that answers"):
            await Rig(monkeypatch).subject.restart(["restart"])

    run(case())


def test_a_port_is_the_one_that_the_host_chose() -> None:
    class Told:
        name = "played"

        def __init__(self, text: str, uri: str = "qemu:///system") -> None:
            self.text, self.host = text, Host(uri, None, asyncio.get_running_loop())

        async def forward(self, here: int, there: int) -> None:
            assert here == 0

        async def monitor_text(self, command: str) -> str:
            return self.text

    table = (
        "Hub -1 (hostua-net-main):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n"
        "  TCP[HOST_FORWARD]  43       127.0.0.1 34611       10.0.2.15    22     0     0\n"
        "  TCP[HOST_FORWARD]  44       127.0.0.1 40001       10.0.2.15  5986     0     0\n"
    )

    async def case() -> None:
        seen: Any = Told(table)
        assert [await subject.forward(seen, port) for port in (5986, 22)] == [40001, 34611]
        with pytest.raises(VmError, match="to the guest's 80"):
            await subject.forward(seen, 80)
        far: Any = Told(table, "qemu+tcp://far/system")  # what that host forwards to itself is no use here
        with pytest.raises(VmError, match="no way leads from there"):
            await subject.forward(far, 22)
        far.host._tunnels.append(Tunnels(Ssh("far")))
        with pytest.raises(VmError, match="whose loopback is this computer's"):
            await subject.forward(far, 22)

    run(case())


# --- the real machine, a stand-in -------------------------------------------------------------------------------------


class _WineGuest:
    """The Wine guest's SSH, and a way behind which nobody ever answers."""

    ports = (22, 9)

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys"

    def ways(self, vm: Vm, ports: Mapping[int, int], boot: Boot) -> Mapping[str, Callable[[], Shell]]:
        login = Login("root", private_key=(self.keys / "id_ed25519").read_text())
        known = KnownKey((self.keys / "known_host").read_text())
        return {
            "nobody": lambda: SshShell(("127.0.0.1", ports[9]), login, known, boot=boot),
            "ssh": lambda: SshShell(("127.0.0.1", ports[22]), login, known, boot=boot),
        }


@pytest.mark.libvirt
@pytest.mark.timeout(900)
def test_a_real_machine_is_restarted_through_its_shell_and_begins_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    from rrsim.images import store

    folder = store.find("wine-guest").folder
    monkeypatch.setattr(subject, "OTHER_SHELLS_S", 1.0)
    said: list[str] = []

    async def case() -> None:
        async with rig.host() as (host, pool):
            entrances: Any = _WineGuest(folder)
            one = VmSubject(Surroundings(
                host=host, pool=pool, image=images.load(folder), acceleration=Acceleration("tcg", "a test"),
                kvm_offered=False, entrances=entrances, person=entrances, folder=tmp_path, say=said.append,
            ))
            try:
                await _questions(one)
            finally:
                last = one.vm.uuid
                await one.close()
            assert await rig.ours(host, pool, last) == []
        assert any(line.startswith("nobody does not answer") for line in said)

    run(case(), 880)


async def _questions(one: VmSubject) -> None:
    await one.anew()
    first = one.vm.uuid
    shell = (await one.shells())["ssh"]
    assert list(await one.shells()) == ["ssh"]
    before = await boot_mark.read_identity(shell)
    assert (await shell.run("echo kept > /root/mark; sync", limit_s=60)).code == 0
    assert await one.restart(["/bin/busybox", "reboot", "-f"]) is True
    again = (await one.shells())["ssh"]
    assert isinstance(compare(before, await boot_mark.read_identity(again)), New)
    assert (await again.run(["cat", "/root/mark"], limit_s=60)).out == "kept\n", "it is the same machine"
    assert (await one.screenshot()).startswith(b"\x89PNG")
    await one.anew()
    assert one.vm.uuid != first
    fresh = (await one.shells())["ssh"]
    assert (await fresh.run("ls /root/mark", limit_s=60)).code != 0, "it is as it was built"
    await one.vm.destroy()
    await rig.until(lambda: bool(fresh.boot.ended))
    assert await one.shells() == {}


class _Agent:
    """QEMU's own guest agent, the real program, in a tiny Linux."""

    ports = ()

    def ways(self, vm: Vm, ports: Mapping[int, int], boot: Boot) -> Mapping[str, Callable[[], Shell]]:
        return {"guest agent": lambda: GuestAgentShell(agent_line(vm), boot=boot, system="linux")}


@pytest.mark.libvirt
@pytest.mark.timeout(600)
def test_a_real_guest_agent_is_a_way_in_without_any_network(tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    folder = agent_guest.build(rig.cache())

    async def case() -> None:
        async with rig.host() as (host, pool):
            entrances: Any = _Agent()
            one = VmSubject(Surroundings(
                host=host, pool=pool, image=images.load(folder), acceleration=Acceleration("tcg", "a test"),
                kvm_offered=False, entrances=entrances, person=entrances, folder=tmp_path, say=print,
            ))
            try:
                await one.anew()
                shell = (await one.shells())["guest agent"]
                before = await boot_mark.read_identity(shell)
                result = await shell.run(["/bin/sh", "-c", "echo words; exit 3"], limit_s=60)
                assert result == Result(3, "words\n", "")
                assert await one.restart(["/bin/busybox", "reboot", "-f"]) is True
                again = (await one.shells())["guest agent"]
                assert isinstance(compare(before, await boot_mark.read_identity(again)), New)
            finally:
                await one.close()

    run(case(), 580)


class _PlayedWindows:
    """The guest agent as if Windows ran it, and a way behind which nobody answers."""

    ports = (5986,)

    def ways(self, vm: Vm, ports: Mapping[int, int], boot: Boot) -> Mapping[str, Callable[[], Shell]]:
        return {
            "winrm": lambda: WinRmShell(("127.0.0.1", ports[5986]), Login("rradmin", "x"), boot=boot),
            "guest agent": lambda: GuestAgentShell(agent_line(vm), boot=boot, system="windows"),
        }

    async def sign_in(self, vm: Vm, shells: Mapping[str, Shell], *, administrator: bool) -> bool:
        assert list(shells) == ["guest agent"]
        return False


ASKED = {
    "safe-winrm": "no", "safe-guest-agent": "yes", "preshutdown-default": "yes", "one-shot-enters": "yes",
    "one-shot-leaves": "yes", "restart-signs-in": "could not tell",
}  # fmt: skip
"""Questions, and what the played Windows' scripts make of them."""


@pytest.mark.libvirt
@pytest.mark.timeout(900)
def test_the_questions_are_asked_of_real_machines_that_really_restart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    folder = agent_guest.build(rig.cache())
    monkeypatch.setattr(subject, "OTHER_SHELLS_S", 1.0)

    async def case() -> verify.Report:
        async with rig.host() as (host, pool):
            entrances: Any = _PlayedWindows()
            image = images.load(folder)
            one = VmSubject(Surroundings(
                host=host, pool=pool, image=image, acceleration=Acceleration("tcg", "a test"), kvm_offered=False,
                entrances=entrances, person=entrances, folder=tmp_path, say=print,
            ))
            try:
                return await verify.verify(
                    one, image.built, "2026-01-11T00:00:00+00:00", pictures=tmp_path / "pictures", say=print,
                    contract=no_contract, questions=tuple(probe for probe in QUESTIONS if probe.id in ASKED),
                )
            finally:
                await one.close()

    report = run(case(), 880)
    assert {one.id: one.answer for one in report.findings} == ASKED
    assert "could not be signed in" in next(one.evidence for one in report.findings if one.id == "restart-signs-in")
    assert "NoGuestDaemon" in report.contract_note
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1, "of the machine that nobody could sign in at"


def picture(*boxes: tuple[int, int]) -> bytes:
    """A picture of 100 by 100 with some points."""
    made, out = Picture.new("RGB", (100, 100)), io.BytesIO()
    for place in boxes:
        made.putpixel(place, (255, 255, 255))
    made.save(out, "PNG")
    return out.getvalue()
