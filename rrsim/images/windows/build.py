"""Building a Windows image in named steps, each of which is done once: a build that broke off is taken up where it was.

The machine comes from a :class:`~rrsim.images.windows.machine.Workshop`. Windows Setup itself cannot be taken up in its
middle: when the builder was killed and the machine still runs, it is watched on; else that step begins with a new disk.
A host that does not answer is waited for; one that stays away ends the build as a kill does, and the machine goes on.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import shutil
import ssl
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from pathlib import Path
from typing import Final

import msgspec

from rrsim.backends.live import credentials
from rrsim.images.description import Built
from rrsim.images.windows import accounts, answer_check, answer_file, disks, expiry, marks, media, phases, recipe
from rrsim.images.windows import provision_medium as provision
from rrsim.images.windows.absence import ask
from rrsim.images.windows.build_state import Book, locked
from rrsim.images.windows.machine import Ended, HostAway, MachineSpec, RealTime, Time, Vm, Workshop
from rrsim.live_clock import fresh_secret, wall_time

VERSION: Final = "1"
"""Of the builder: part of every image's digest."""
MANIFEST: Final = "manifest.json"
DISK: Final = "disk.qcow2"
NVRAM: Final = "nvram.fd"
TPM: Final = "tpm"
CERTIFICATE: Final = "winrm.pem"
HOST_KEY: Final = "ssh_host_key.pub"
PICTURES: Final = "pictures"
STEPS: Final = ("check inputs", "mint", "make machine", "install", "settle", "compact", "manifest")


class BuildFailed(RuntimeError):
    """A step of the build failed; the message names it, and says how to go on."""

    def __init__(self, step: str, message: str) -> None:
        """Say which step, and what happened."""
        super().__init__(f"step '{step}': {message}")
        self.step = step


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built, and where."""

    recipe: recipe.Recipe
    inputs: media.Inputs
    folder: Path
    """Where it is built: state, pictures and all files are in there until it is done."""
    place: Callable[[str], Path]
    """Gives the folder that an image of a digest has when it is done."""
    patience: float = 1.0
    """Lengthens every limit; 6 for an emulated processor."""
    again: bool = False
    """Build it even if there is an image of the same recipe and files; that one is replaced in the end."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the builder uses of the world."""

    workshop: Workshop
    time: Time
    now: Callable[[], datetime]
    """The time of day, in UTC."""
    fresh: Callable[[], str]
    """Gives 64 random hexadecimal digits."""
    say: Callable[[str], None]
    """Told what goes on, a line each."""
    write_medium: Callable[[Path, bytes, bytes, Path, bytes | None, Path], None] = provision.write
    create_disk: Callable[[Path, int], None] = disks.create
    compact_disk: Callable[[Path, Path], None] = disks.compact


def surroundings(workshop: Workshop, say: Callable[[str], None]) -> Surroundings:
    """Return the real world: this host's clock, chance and programs, and machines from ``workshop``."""
    return Surroundings(workshop=workshop, time=RealTime(), now=wall_time, fresh=fresh_secret, say=say)


async def build(order: Order, around: Surroundings) -> Built:
    """Build the image, or take its build up again; return its manifest, which is then in its own folder too.

    An image that was built from the same recipe and the same files before is returned as it is.

    Raises:
        BuildFailed: a step failed.
        HostAway: the host did not answer and stayed away; its machine goes on, and the next build takes it up.
        BuildBusy: somebody else builds it right now.
    """
    order.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(order.folder):
        return await _Build(order, around).run()


class _Build:
    """One build on its way through the steps."""

    def __init__(self, order: Order, around: Surroundings) -> None:
        self._order, self._around = order, around
        self._said = order.recipe.description
        self._work = order.folder / "work"
        scripts = {path.name: media.checksum(path) for path in provision.scripts()}
        book = provision.phonebook(None, modem=self._said.hardware.modem) or b""  # the reader's own is among the inputs
        self._scripts = scripts | {"dial-up entries": hashlib.sha256(book).hexdigest()}
        self._book = Book(
            order.folder, recipe.digest(order.recipe, self._scripts | {"builder": VERSION}),
            lambda: around.now().isoformat(timespec="seconds"),
        )
        self._key = ""

    async def run(self) -> Built:
        """Go through the steps."""
        self._work.mkdir(exist_ok=True, mode=0o700)
        await self._step("check inputs", self._check, always=True)
        self._key = recipe.digest(self._order.recipe, self._scripts | self._book.state.inputs | {"builder": VERSION})
        place = self._order.place(self._key)
        if (place / MANIFEST).is_file() and not self._order.again:
            self._around.say(f"built before: {place}")
            return _read(place)
        if not self._built(DISK, "compact"):
            await self._step("mint", self._mint, there=(self._medium, self._order.folder / accounts.FILE))
            await self._machine_steps()
            await self._step("compact", self._compact)
        await self._step("manifest", self._manifest, there=(self._order.folder / MANIFEST,))
        shutil.rmtree(self._work, ignore_errors=True)  # the set-up medium in it holds passwords
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)  # without a manifest it is no image, only what was left of one
        self._order.folder.rename(place)
        return _read(place)

    def _built(self, file: str, step: str) -> bool:
        return self._book.done(step, self._key) and (self._order.folder / file).exists()

    async def _machine_steps(self) -> None:
        """Make the machine and run Windows Setup; what a killed builder left behind is taken up where that can be."""
        install = await self._left_behind("install")
        if install is None and not (self._book.done("install", self._key) and self._disk.exists()):
            self._book.forget("make machine", "install", "settle")
        settle = await self._left_behind("settle")
        await self._step("make machine", self._make, there=(self._disk,))
        await self._step("install", lambda: self._install(install))
        await self._step("settle", lambda: self._settle(settle))

    async def _left_behind(self, name: str) -> Vm | None:
        """Return the machine of a step that was broken off: still running, or off after Windows said it was done."""
        if not self._book.broken_off(name, self._key) or not self._disk.exists():
            return None
        running = await asyncio.to_thread(self._around.workshop.find, self._name)
        if running is not None:
            self._around.say(f"{name}: the machine still runs: watching it on")
            return running
        return Ended() if phases.says_done(self._log(name)) else None

    async def _step(
        self, name: str, do: Callable[[], Awaitable[None]], *, always: bool = False, there: tuple[Path, ...] = ()
    ) -> None:
        """Do a step unless it is done and what it made is there; one that is done always is not written down."""
        if always:
            await self._attempt(name, do)
            return
        if self._book.done(name, self._key) and all(path.exists() for path in there):
            self._around.say(f"{name}: done before")
            return
        self._book.forget(*STEPS[STEPS.index(name) + 1 :])  # what comes later was done with what is made anew now
        self._book.begin(name, self._key)
        await self._attempt(name, do)
        self._book.finish(name)

    async def _attempt(self, name: str, do: Callable[[], Awaitable[None]]) -> None:
        self._around.say(f"{name} …")
        try:
            await do()
        except HostAway:  # as when the builder is killed: the step is broken off, and its machine may be at work
            raise
        except Exception as error:  # a build that is told to end is none of these: it leaves its machine to the next
            self._book.fail(name, str(error))
            raise BuildFailed(name, str(error) or type(error).__name__) from error

    # --- the steps ----------------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        checked = await asyncio.to_thread(media.check, self._order.inputs, self._order.recipe)
        self._book.state.inputs = {"installs": str(checked.edition), **checked.sha256}
        self._book.state.notes = list(checked.notes)
        for note in checked.notes:
            self._around.say(note)
        self._around.say(f"installs {checked.edition}")

    async def _mint(self) -> None:
        """Draw the passwords, write the answers, and pack them with the scripts."""
        order = self._order
        passwords = accounts.mint(order.recipe, self._around.fresh)
        key = order.recipe.setup.product_key
        answers = answer_file.build(order.recipe, passwords, credentials.resolve(key) if key else "")
        answer_check.check(answers, passwords.values())
        accounts.keep(order.folder, passwords)
        said = provision.settings(order.recipe, self._book.state.inputs["openssh"])
        await asyncio.to_thread(
            self._around.write_medium, self._medium, answers, said, order.inputs.openssh, self._phonebook(),
            self._work / "medium",
        )

    def _phonebook(self) -> bytes | None:
        return provision.phonebook(self._order.inputs.phonebook, modem=self._said.hardware.modem)

    async def _make(self) -> None:
        old = await asyncio.to_thread(self._around.workshop.find, self._name)
        if old is not None:
            await asyncio.to_thread(old.destroy)
        self._nvram.unlink(missing_ok=True)
        shutil.rmtree(self._tpm, ignore_errors=True)
        if self._said.hardware.tpm:
            self._tpm.mkdir(mode=0o700)
        await asyncio.to_thread(self._around.create_disk, self._disk, self._said.hardware.disk_gib)

    async def _install(self, left: Vm | None) -> None:
        """Run Windows Setup and the set-up scripts until Windows switches the machine off."""
        inputs = self._order.inputs
        vm = left or await self._start((inputs.windows, self._medium, inputs.virtio), self._log("install"))
        await self._watch(vm, self._log("install"), phases.INSTALL, press_key=True)

    async def _settle(self, left: Vm | None) -> None:
        """Start Windows once from its disk alone: it says what runs, and switches itself off."""
        vm = left or await self._start((), self._log("settle"))
        await self._watch(vm, self._log("settle"), phases.SETTLE, press_key=False)

    async def _start(self, mounted: tuple[Path, ...], log: Path) -> Vm:
        await asyncio.to_thread(log.unlink, missing_ok=True)
        spec = MachineSpec(
            name=self._name, hardware=self._said.hardware, disk=self._disk,
            disk_bus="virtio" if self._order.recipe.setup.virtio_disk else "sata", nvram=self._nvram,
            tpm=self._tpm if self._said.hardware.tpm else None, media=mounted, boot_from_media=bool(mounted),
            serial_log=log,
        )  # fmt: skip
        vm = await asyncio.to_thread(self._around.workshop.make, spec)
        await asyncio.to_thread(vm.start)
        return vm

    async def _watch(self, vm: Vm, log: Path, through: tuple[phases.Phase, ...], *, press_key: bool) -> None:
        """Watch the machine to its end. One that failed is ended.

        A builder that is told to end, or whose host stays away, leaves the machine as it is.
        """
        watch = phases.Watch(
            vm, log, self._order.folder / PICTURES, self._around.time, self._order.patience, self._around.say
        )
        try:
            seen = await watch.through(through, press_key=press_key)
        except HostAway:
            raise
        except Exception:
            with contextlib.suppress(HostAway):  # what Windows failed at matters more; the next build ends the machine
                await asyncio.to_thread(vm.destroy)
            raise
        await ask(vm.destroy, self._around.time, self._around.say)
        self._book.state.facts |= marks.facts(seen)

    async def _compact(self) -> None:
        """Keep what the image consists of: the disk without what was deleted, firmware settings, TPM state, keys."""
        folder, facts = self._order.folder, self._book.state.facts
        certificate = _certificate(facts)
        host_key = facts.get("ssh-host-key", "")
        if not host_key.startswith("ssh-ed25519 "):
            raise phases.SetupFailed(f"expected Windows to tell its SSH host key, saw {host_key[:40]!r}")
        (folder / CERTIFICATE).write_text(certificate, encoding="ascii")
        (folder / HOST_KEY).write_text(host_key + "\n", encoding="ascii")
        if not self._nvram.is_file():
            raise phases.SetupFailed(f"expected the firmware's settings in {self._nvram}, saw no such file")
        shutil.copyfile(self._nvram, folder / NVRAM)
        shutil.rmtree(folder / TPM, ignore_errors=True)
        if self._tpm.is_dir():
            shutil.copytree(self._tpm, folder / TPM, ignore=shutil.ignore_patterns(".lock"))
        await asyncio.to_thread(self._around.compact_disk, self._disk, folder / DISK)

    async def _manifest(self) -> None:
        folder, state = self._order.folder, self._book.state
        made = self._around.now()
        kept = [*(folder / name for name in (DISK, NVRAM, CERTIFICATE, HOST_KEY)), *sorted((folder / TPM).rglob("*"))]
        files = {
            path.relative_to(folder).as_posix(): await asyncio.to_thread(media.checksum, path)
            for path in kept
            if path.is_file()
        }
        built = Built(
            description=self._said, digest=self._key, made=made.isoformat(timespec="seconds"), files=files,
            versions=state.facts | {f"input {kind}": seen for kind, seen in state.inputs.items()},
            expires=expiry.expires(self._said.licence, _installed_on(self._book) or made.date(), state.facts.get(
                "evaluation-ends", ""
            )),
        )  # fmt: skip
        accounts.write_private(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(built)) + b"\n")

    # --- places -------------------------------------------------------------------------------------------------------

    def _log(self, step: str) -> Path:
        return self._order.folder / f"serial-{step}.log"

    @property
    def _name(self) -> str:
        return f"rrsim-build-{self._said.name}"

    @property
    def _medium(self) -> Path:
        return self._work / "provision.iso"

    @property
    def _disk(self) -> Path:
        return self._work / "disk.qcow2"

    @property
    def _nvram(self) -> Path:
        return self._work / "nvram.fd"

    @property
    def _tpm(self) -> Path:
        return self._work / "tpm"


def _read(place: Path) -> Built:
    return msgspec.json.decode((place / MANIFEST).read_bytes(), type=Built)


def _certificate(facts: dict[str, str]) -> str:
    """Return WinRM's certificate as PEM, checked against the thumbprint that Windows told beside it."""
    try:
        raw = base64.b64decode(facts.get("winrm-certificate", ""), validate=True)
    except ValueError:
        raw = b""
    told, seen = facts.get("winrm-thumbprint", "").lower(), hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    if not raw or told != seen:
        raise phases.SetupFailed(
            f"expected WinRM's certificate with thumbprint {told or '(none told)'} over the serial port, saw "
            f"{len(raw)} bytes with {seen}; look at the serial log for lines that were mixed up"
        )
    return ssl.DER_cert_to_PEM_cert(raw)


def _installed_on(book: Book) -> date | None:
    """Return the day on which Setup began: the days of an evaluation are counted from there."""
    step = next((step for step in book.state.steps if step.name == "install"), None)
    return datetime.fromisoformat(step.started).date() if step else None
