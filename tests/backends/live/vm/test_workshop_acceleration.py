"""KVM for Windows: tried with the Wine guest's kernel, remembered with runs, and not claimed to be proved without."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrsim import live_clock
from rrsim.backends.live.vm import (
    accelerator,
    image,
    slots,
    subject,
    subject_windows,
    tpm_state,
    workshop_acceleration,
)
from rrsim.backends.live.vm.accelerator import Acceleration
from rrsim.backends.live.vm.errors import NoFreeSlot
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.workshop import Workshop
from rrsim.cli import image_windows
from rrsim.images import store
from tests.backends.live.vm import rig


class Tried:
    """A host whose libvirt offers KVM, with a processor that has it, and what a trial comes to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, monkeypatch
        self.cpuinfo = folder / "cpuinfo"
        self.cpuinfo.write_text("flags\t\t: fpu svm sse2\n")
        self.answers: list[str] = []
        self.boots = self.released = 0
        self.said: list[str] = []
        info = SimpleNamespace(name="here", libvirt="9.0.0", hypervisor="7.2.0", processors=2, memory_mib=4000)
        self.host: Any = SimpleNamespace(is_local=True, info=info, call=self.call, close=self.call)
        monkeypatch.setenv("XDG_STATE_HOME", str(folder))
        monkeypatch.setattr(accelerator, "boot_once", self.boot)
        monkeypatch.setattr(slots, "acquire", self.slot)
        monkeypatch.setattr(Pool, "open", self.call)

    async def opened(self, *_: object, **__: object) -> Any:
        """Connect to it."""
        return self.host

    async def call(self, *_: object) -> bool:
        """libvirt says yes to everything."""
        return True

    async def slot(self, *_: object, **__: object) -> Any:
        """A slot that counts when it is given back."""
        async def release() -> None:
            self.released += 1

        return SimpleNamespace(release=release, name="rrsim-slot-1")

    async def boot(self, *_: object) -> str:
        """Boot, or say what went wrong."""
        self.boots += 1
        return self.answers.pop(0)

    def build_wine_guest(self) -> None:
        """Have the image whose kernel is tried."""
        rig.pretend(store.place("wine-guest", "0" * 64))

    def choose(self, forced: str = "") -> Acceleration:
        """Ask as a build and a verification do."""
        return asyncio.run(
            workshop_acceleration.choose(self.host, forced, progress=self.said.append, cpuinfo=self.cpuinfo)
        )


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    """Nothing tried yet."""
    return Tried(tmp_path, monkeypatch)


def test_kvm_is_tried_once_and_the_answer_is_remembered(tried: Tried) -> None:
    tried.build_wine_guest()
    tried.answers = [""]
    for _ in range(2):
        chosen = tried.choose()
        assert (chosen.kind, chosen.proved, chosen.why) == ("kvm", True, "a kernel booted with it on here")
    assert (tried.boots, tried.released) == (1, 1)
    assert tried.said == ["trying KVM on here once, with the kernel of the image wine-guest"]


def test_a_kvm_in_which_no_kernel_comes_up_is_not_used(tried: Tried) -> None:
    """Though the processor has svm."""
    tried.build_wine_guest()
    tried.answers = ["the guest stopped"]
    chosen = tried.choose()
    assert (chosen.kind, chosen.proved) == ("tcg", True)
    assert chosen.why == "KVM was tried on here and failed: the guest stopped"
    assert tried.released == 1


def test_without_a_kernel_it_is_said_that_nothing_is_proved(tried: Tried) -> None:
    chosen = tried.choose()
    assert (chosen.kind, chosen.proved, tried.boots, tried.said) == ("kvm", False, 0, [])
    assert chosen.text() == (
        "KVM: not proved: the processor has vmx or svm; no kernel to try it with; "
        "rrsim image build wine-guest makes one"
    )
    assert not (tried.folder / "rrsim" / accelerator.MEMORY).exists(), "what was not tried is not remembered"


@pytest.mark.parametrize(("answer", "kind"), [("", "kvm"), ("the guest stopped", "tcg")])
def test_what_a_run_has_found_out_counts_without_a_kernel(tried: Tried, answer: str, kind: str) -> None:
    """In the file that the runs' bench keeps."""
    from rrsim.backends.live.state import state_home

    found = accelerator.Remembered(answer, live_clock.wall_time_us() // 1_000_000)
    accelerator._remember(state_home() / "accelerators.json", tried.host, found)
    chosen = tried.choose()
    assert (chosen.kind, chosen.proved, tried.boots) == (kind, True, 0)


def test_a_processor_without_it_and_a_user_who_decides_need_no_trial(tried: Tried) -> None:
    tried.build_wine_guest()
    assert tried.choose("tcg").why == "asked for"
    assert tried.choose("kvm").proved is False
    tried.cpuinfo.write_text("flags\t\t: fpu sse2\n")
    assert tried.choose().text().startswith("TCG, software emulation (slow): the processor has neither vmx nor svm")
    assert tried.boots == 0


def test_builds_and_verifications_go_by_it(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KVM that was tried and failed is not used for Windows, and is none that the host offers."""
    tried.build_wine_guest()
    tried.answers = ["the guest stopped"]
    windows = image.load(rig.pretend(tried.folder / "windows").folder)
    asked: list[subject.Surroundings] = []

    class Enough(Exception):
        """It was seen what the verification begins with."""

    def machine(around: subject.Surroundings) -> None:
        asked.append(around)
        raise Enough

    monkeypatch.setattr(accelerator, "flags_of", lambda _: True)  # whatever processor this computer has
    monkeypatch.setattr(Host, "open", tried.opened)
    monkeypatch.setattr(tpm_state, "require_own", lambda _: None)
    monkeypatch.setattr(subject, "VmSubject", machine)
    monkeypatch.setattr(subject_windows, "WindowsEntrances", lambda _: None)
    monkeypatch.setattr(subject_windows, "WindowsPerson", lambda _: None)

    async def case() -> None:
        shop = await Workshop.open(tried.folder)
        assert (shop.acceleration.kind, shop.acceleration.proved) == ("tcg", True)
        with pytest.raises(Enough):
            await image_windows._verify(store.Stored(windows.built, windows.folder), "", "")

    asyncio.run(case())
    assert [(one.acceleration.kind, one.kvm_offered) for one in asked] == [("tcg", False)]
    assert tried.boots == 1


def test_a_trial_that_breaks_off_gives_its_slot_back_and_remembers_nothing(tried: Tried) -> None:
    tried.build_wine_guest()

    async def broken(*_: object) -> str:
        raise NoFreeSlot("broken off")

    tried.patch.setattr(accelerator, "boot_once", broken)
    with pytest.raises(NoFreeSlot):
        tried.choose()
    assert tried.released == 1
    assert not (tried.folder / "rrsim" / accelerator.MEMORY).exists()
