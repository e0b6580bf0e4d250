"""A machine that plays Windows' set-up in a clock of its own, and a builder around it."""

from __future__ import annotations

import base64
import hashlib
import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rrsim.images.windows import build, media, phases, recipe
from rrsim.images.windows.machine import HostAway, MachineSpec
from tests.images.windows.media_rig import openssh_zip, virtio_iso, wim, windows_iso

ROOT = Path(__file__).parents[3] / "vm_images"
CERTIFICATE = b"a certificate, as far as anybody here knows" * 60
PICTURE = b"\x89PNG a screen"
MINUTE_US = 60_000_000
STEP_US = 20_000_000
"""How long the machine takes from one phase to the next."""
FACTS = {
    "ssh-host-key": "ssh-ed25519 AAAAC3Nza", "computer-name": "RRSIM-W11", "windows-build": "26100.1742",
    "windows-edition": "EnterpriseEval", "winrm-thumbprint": hashlib.sha1(CERTIFICATE).hexdigest().upper(),
}


class Killed(BaseException):
    """The builder's process ends here, with nothing tidied up."""


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now_us = 0
        self.due: list[tuple[int, int, Callable[[], None]]] = []
        self.kill_at_us: int | None = None

    def monotonic_us(self) -> int:
        return self.now_us

    async def pause(self, us: int) -> None:
        until_us = self.now_us + us
        while self.due and self.due[0][0] <= until_us:
            self.now_us, _, call = heapq.heappop(self.due)
            call()
        self.now_us = until_us
        if self.kill_at_us is not None and self.now_us >= self.kill_at_us:
            self.kill_at_us = None
            raise Killed

    def after(self, us: int, call: Callable[[], None]) -> None:
        heapq.heappush(self.due, (self.now_us + us, len(self.due) + self.now_us, call))


class Play:
    """How the machine behaves."""

    def __init__(self) -> None:
        self.stop_before = ""
        """It hangs before this phase (or ``done``, or ``off``)."""
        self.fails = ""
        self.goes_off_before = ""
        self.repeats: dict[str, int] = {}
        self.needs_key = True
        self.blind = False
        self.leaves_out: tuple[str, ...] = ()
        self.facts = dict(FACTS)
        self.certificate = CERTIFICATE
        self.step_us = STEP_US
        self.away: tuple[int, int] = (0, 0)
        """From when to when the host does not answer, in microseconds."""


class PlayedVm:
    """A machine that goes through its phases, one after another."""

    def __init__(self, clock: Clock, spec: MachineSpec, play: Play) -> None:
        self.clock, self.spec, self.play = clock, spec, play
        self.on = False
        self.keys: list[int] = []
        self.told_to_end = self.destroyed = 0
        self.steps: list[str] = []

    def asked(self) -> None:
        """Say nothing if the host is away."""
        if self.play.away[0] <= self.clock.now_us < self.play.away[1]:
            raise HostAway("the connection broke")

    def running(self) -> bool:
        self.asked()
        return self.on

    def start(self) -> None:
        assert not self.on
        self.on = True
        self.spec.nvram.write_bytes(b"settings of the firmware")
        if self.spec.tpm is not None:
            (self.spec.tpm / "tpm2-00.permall").write_bytes(b"seals")
            (self.spec.tpm / ".lock").write_bytes(b"")
        if self.spec.boot_from_media:
            self.steps = [phase.name for phase in phases.INSTALL for _ in range(self.play.repeats.get(phase.name, 1))]
        else:
            self.steps = ["settle"]
        self.steps += ["done", "off"]
        if not (self.play.needs_key and self.spec.boot_from_media):
            self.clock.after(self.play.step_us, self.go_on)

    def press_key(self, name: str) -> None:
        self.asked()
        self.keys.append(self.clock.now_us)
        if len(self.keys) == 10 and self.play.needs_key:
            self.clock.after(self.play.step_us, self.go_on)

    def go_on(self) -> None:
        if not self.on or not self.steps:
            return
        step = self.steps.pop(0)
        if step == self.play.stop_before:
            return
        if step in {self.play.goes_off_before, "off"}:
            self.on = False
            return
        if step == self.play.fails:
            self.say(f"failed {step} it did not work")
            return
        if step not in self.play.leaves_out:
            self.say("done" if step == "done" else f"phase {step}")
        if step == "finish":
            self.tell()
        self.clock.after(self.play.step_us, self.go_on)

    def tell(self) -> None:
        text = base64.b64encode(self.play.certificate).decode()
        for number, at in enumerate(range(0, len(text), 2000), 1):
            self.say(f"fact winrm-certificate.{number} {text[at : at + 2000]}")
        for name, value in self.play.facts.items():
            self.say(f"fact {name} {value}")

    def say(self, text: str) -> None:
        with self.spec.serial_log.open("ab") as log:
            log.write(f"\r\n@rrsim {text}\r\n".encode())

    def destroy(self) -> None:
        self.told_to_end += 1
        self.asked()
        self.destroyed += 1
        self.on = False

    def screenshot(self) -> bytes:
        if self.play.blind:
            raise OSError("no screen")
        return PICTURE + str(self.clock.now_us).encode()


class Workshop:
    """Keeps machines by name, as a hypervisor does that outlives its client."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.play = Play()
        self.made: list[PlayedVm] = []

    def make(self, spec: MachineSpec) -> PlayedVm:
        old = self.find(spec.name)
        if old is not None:
            old.destroy()
        self.made.append(PlayedVm(self.clock, spec, self.play))
        return self.made[-1]

    def find(self, name: str) -> PlayedVm | None:
        return next((vm for vm in self.made if vm.spec.name == name and vm.on), None)


class Rig:
    """Everything a build takes."""

    def __init__(self, folder: Path, name: str = "windows-11") -> None:
        self.clock = Clock()
        self.workshop = Workshop(self.clock)
        self.said: list[str] = []
        self.disks: list[Path] = []
        self.compacted: list[Path] = []
        self.media: list[bytes] = []
        self.books: list[bytes | None] = []
        self.folder = folder / "scratch" / name
        self.recipe = recipe.read(ROOT, name)
        edition = (self.recipe.setup.editions[0], self.recipe.setup.builds[0], self.recipe.description.locale)
        images = [(number, "Windows", *edition) for number in range(1, self.recipe.setup.index + 1)]
        self.inputs = media.Inputs(
            windows=windows_iso(folder / "windows.iso", wim(*images)), virtio=virtio_iso(folder / "virtio.iso"),
            openssh=openssh_zip(folder / "ssh.zip"),
        )
        self.home = folder / "images"
        self.draws = 0
        self.today = datetime(2026, 1, 10, tzinfo=UTC)

    def fresh(self) -> str:
        self.draws += 1
        return hashlib.sha256(str(self.draws).encode()).hexdigest()

    def create(self, path: Path, size_gib: int) -> None:
        assert size_gib == 64
        path.write_bytes(f"disk {len(self.disks)}".encode())
        self.disks.append(path)

    def compact(self, source: Path, target: Path) -> None:
        self.compacted.append(target)
        target.write_bytes(source.read_bytes())

    def write(
        self, target: Path, answers: bytes, said: bytes, openssh: Path, book: bytes | None, scratch: Path
    ) -> None:
        self.media.append(answers)
        self.books.append(book)
        target.write_bytes(answers)

    async def build(self, patience: float = 1.0) -> build.Built:
        order = build.Order(
            recipe=self.recipe, inputs=self.inputs, folder=self.folder, patience=patience,
            place=lambda digest: self.home / self.recipe.description.name / digest[:16],
        )  # fmt: skip
        around = build.Surroundings(
            workshop=self.workshop, time=self.clock, now=lambda: self.today, fresh=self.fresh, say=self.said.append,
            create_disk=self.create, compact_disk=self.compact, write_medium=self.write,
        )  # fmt: skip
        return await build.build(order, around)

    @property
    def image(self) -> Path:
        return next((self.home / self.recipe.description.name).iterdir())
