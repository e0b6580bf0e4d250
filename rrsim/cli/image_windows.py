"""``rrsim image build`` and ``verify`` for images of Microsoft's Windows: what the user gave, checked, and errors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.cli.exit_codes import HARNESS, OK, UNKNOWN, USAGE
from rrsim.cli.vm_options import ACCELERATORS

if TYPE_CHECKING:
    from rrsim.images.description import Built
    from rrsim.images.store import Stored
    from rrsim.images.windows.media import Inputs
    from rrsim.images.windows.recipe import Recipe
    from rrsim.images.windows.verify import Report

EMULATED_PATIENCE: Final = 6.0
"""How many times longer the steps of a build may take where the processor is emulated."""
BUILDS: Final = "image-builds"
"""Folder of builds that are under way, below the state folder."""
KINDS: Final = ("windows", "virtio", "openssh", "phonebook")
CHECKSUM_DIGITS: Final = 64


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the user gave to build from; empty: not given."""

    iso: str = ""
    virtio: str = ""
    openssh: str = ""
    phonebook: str = ""
    sha256: tuple[str, ...] = ()
    """``KIND=DIGEST`` each, with a kind of :data:`KINDS`."""
    uri: str = ""
    accelerator: str = ""

    @property
    def anything(self) -> bool:
        """Whether anything was given at all."""
        return self != Given()


def known(name: str) -> bool:
    """Whether there is a Windows image of this name, as a folder of ``vm_images/`` or as a variant in one."""
    from rrsim.images import loader
    from rrsim.images.windows import recipe

    try:
        return name in recipe.names(loader.images_dir())
    except recipe.RecipeWrong as error:
        raise _recipe_error(error) from None


def variants() -> tuple[tuple[str, str], ...]:
    """Return name and title of the Windows images that are no folder of their own."""
    from rrsim.images import loader
    from rrsim.images.windows import recipe

    root = loader.images_dir()
    try:
        names = [name for name, folder in recipe.names(root).items() if folder.name != name]
        return tuple((name, recipe.read(root, name).description.title) for name in sorted(names))
    except recipe.RecipeWrong as error:
        raise _recipe_error(error) from None


def build(name: str, given: Given, *, again: bool = False) -> Stored:
    """Build a Windows image from the reader's own medium, or take its build up where it was; return it.

    Raises:
        CommandError: exit code 64 for files that were not given or are not what they should be, 70 for all else. The
            build can be taken up again in either case.
    """
    from rrsim.backends.live.state import state_home
    from rrsim.images import loader, store
    from rrsim.images.windows import build as builder
    from rrsim.images.windows import build_state, machine, media, recipe

    _check(given)
    try:
        wanted = recipe.read(loader.images_dir(), name)
    except recipe.RecipeWrong as error:
        raise _recipe_error(error) from None
    inputs = media.Inputs(
        windows=Path(given.iso).absolute(), virtio=Path(given.virtio).absolute(),
        openssh=Path(given.openssh).absolute(), phonebook=Path(given.phonebook).absolute() if given.phonebook else None,
        sha256=_checksums(given.sha256),
    )
    folder = state_home() / BUILDS / name

    try:
        built = asyncio.run(_build(wanted, inputs, folder, given, again=again))
    except KeyboardInterrupt:
        raise environment_error(
            f"the build of {name} to end", "it was stopped; what is done is kept, and a machine at work goes on",
            f"the same command again, or rrsim reap to end the machine; {folder}",
        ) from None
    except builder.BuildFailed as error:
        raise _failed(name, folder, error) from error
    except machine.HostAway as error:
        raise environment_error(
            "libvirt to answer while the machine is at work", str(error),
            f"rrsim doctor --for vm; then the same command again, which takes the machine up as it is; {folder}",
        ) from error
    except build_state.BuildBusy as error:
        raise environment_error(f"to be the only one who builds {name}", str(error), "waiting for the other") from None
    return store.read(store.place(name, built.digest))


async def _build(wanted: Recipe, inputs: Inputs, folder: Path, given: Given, *, again: bool) -> Built:
    from rrsim.backends.live.vm.errors import VmError
    from rrsim.backends.live.vm.workshop import Workshop
    from rrsim.images import store
    from rrsim.images.windows import build as builder

    try:
        workshop = await Workshop.open(folder, given.uri, forced=given.accelerator, progress=say)
    except VmError as error:
        raise environment_error("virtual machines on this computer", str(error), "rrsim doctor --for vm") from error
    try:
        say(f"building in {folder}; machines run with {workshop.acceleration.text()}")
        patience = 1.0 if workshop.acceleration.kind == "kvm" else EMULATED_PATIENCE
        order = builder.Order(
            recipe=wanted, inputs=inputs, folder=folder, patience=patience, again=again,
            place=lambda digest: store.place(wanted.description.name, digest),
        )  # fmt: skip
        return await builder.build(order, builder.surroundings(workshop, say))
    finally:
        await workshop.close()


def verify(name: str, uri: str = "", accelerator: str = "") -> tuple[Report, Path]:
    """Ask a built Windows image the open questions, or hold one with Wine to the machine contract.

    Returns:
        The report, and the file that it was kept in.

    Raises:
        CommandError: there is no such image, its evaluation is over, or machines cannot be made.
    """
    from rrsim.backends.live.vm.errors import VmError
    from rrsim.images import current
    from rrsim.images.errors import ImageError
    from rrsim.images.windows import accounts

    _check_accelerator(accelerator)
    try:
        stored = current.find(name, current.recipe_now(name))  # as a run takes it
        if stored.built.description.windows != "windows":
            from rrsim.cli import image_contract  # the questions are about Microsoft's Windows and nothing else

            return image_contract.verify(stored, uri, accelerator)
        return asyncio.run(_verify(stored, uri, accelerator))
    except ImageError as error:
        raise environment_error(error.expected, error.saw, error.try_) from error
    except accounts.PasswordsUnsafe as error:
        raise environment_error("the image's passwords", str(error), f"rrsim image build {name}") from error
    except VmError as error:
        raise environment_error("virtual machines that work", str(error), "rrsim doctor --for vm") from error


async def _verify(stored: Stored, uri: str, forced: str) -> tuple[Report, Path]:
    from rrsim import live_clock
    from rrsim.backends.live.vm import image, subject, subject_windows, tpm_state, workshop_acceleration
    from rrsim.backends.live.vm.host import Host
    from rrsim.backends.live.vm.pool import Pool
    from rrsim.images.windows import expiry
    from rrsim.images.windows import verify as asking

    now = live_clock.wall_time()
    ends_soon = expiry.require_usable(stored.built, now.date())
    if ends_soon:
        say(ends_soon)
    loaded = image.load(stored.folder)
    host = await Host.open(uri, progress=say)
    try:
        tpm_state.require_own(host)
        offered = await workshop_acceleration.choose(host, progress=say)
        chosen = await workshop_acceleration.choose(host, forced, progress=say) if forced else offered
        say(f"machines run with {chosen.text()}")
        one = subject.VmSubject(subject.Surroundings(
            host=host, pool=await Pool.open(host), image=loaded, acceleration=chosen,
            kvm_offered=offered.kind == "kvm", entrances=subject_windows.WindowsEntrances(loaded),
            person=subject_windows.WindowsPerson(loaded), folder=stored.folder, say=say,
        ))  # fmt: skip
        try:
            report = await asking.verify(
                one, stored.built, now.isoformat(timespec="seconds"), pictures=stored.folder / "pictures", say=say,
                contract=no_contract,
            )
        finally:
            await one.close()
    finally:
        await host.close()
    return report, asking.keep(report, stored.folder)


async def no_contract() -> Any:
    """Say why the machine contract cannot be run on Microsoft's Windows yet.

    Raises:
        NoGuestDaemon: always.
    """
    from rrsim.backends.live.vm.bench import NoGuestDaemon

    raise NoGuestDaemon(
        "the machine contract drives its machines through rrsim's guest daemon, which is in the Wine guest and not in "
        "an image of Microsoft's Windows: no driver of this version plays scenarios there"
    )


def exit_code(report: Report) -> int:
    """Return the exit code of a verification: 70 if the contract does not hold, 2 if a question was not answered."""
    outcomes = {row.outcome for row in report.contract}
    if outcomes & {"failed", "error"}:
        return HARNESS
    told_nothing = outcomes and "passed" not in outcomes
    return UNKNOWN if told_nothing or any(one.answer == "could not tell" for one in report.findings) else OK


def _check(given: Given) -> None:
    _check_accelerator(given.accelerator)
    missing = [option for option in ("iso", "virtio", "openssh") if not getattr(given, option)]
    if missing:
        raise CommandError(
            "the files that a Windows image is made from: --iso FILE --virtio FILE --openssh FILE",
            f"no {', no '.join('--' + option for option in missing)}",
            "docs/windows-images.md, which says where each comes from",
        )


def _check_accelerator(accelerator: str) -> None:
    if accelerator and accelerator not in ACCELERATORS:
        raise CommandError(f"--accelerator {' or '.join(ACCELERATORS)}", repr(accelerator), "--accelerator tcg")


def _checksums(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        kind, _, digest = one.partition("=")
        digest = digest.strip().lower()
        if kind not in KINDS or len(digest) != CHECKSUM_DIGITS or not set(digest) <= set("0123456789abcdef"):
            raise CommandError(
                f"--sha256 KIND=DIGEST with a kind of {', '.join(KINDS)} and {CHECKSUM_DIGITS} hexadecimal digits",
                repr(one), "--sha256 windows=3e4fa6d8…",
            )
        found[kind] = digest
    return found


def _failed(name: str, folder: Path, error: Any) -> CommandError:
    from rrsim.images.windows.media import InputWrong

    if isinstance(error.__cause__, InputWrong):
        return CommandError(
            f"files that {name} can be built from", str(error.__cause__), "docs/windows-images.md", USAGE
        )
    return environment_error(
        f"the step {error.step!r} of building {name} to succeed", str(error.__cause__ or error),
        f"the same command again, which keeps finished steps; pictures and serial logs are in {folder}",
    )


def _recipe_error(error: Exception) -> CommandError:
    return environment_error("a recipe that can be read", str(error), "a whole checkout, or RRSIM_IMAGES=FOLDER")
