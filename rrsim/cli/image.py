"""``rrsim image``: images of virtual machines. What building takes is imported when it is used."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.report import json_out

image_app = typer.Typer(
    name="image",
    help="Images of virtual machines: what there is, and building them.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Name = Annotated[str, typer.Argument(help="Name of the image: a folder of vm_images/.")]
Format = Annotated[str, typer.Option("--format", help="text or json.")]


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@image_app.command("list", epilog=_examples("rrsim image list", "rrsim image list --format json"))
def list_command(format_: Format = "text") -> None:
    """List the images that are described, and what of them is built."""
    _check(format_)
    from rrsim.cli import image_windows
    from rrsim.images import loader, store

    titles = {name: _asked(loader.load, name).title for name in loader.names()} | dict(image_windows.variants())
    rows = []
    for name, title in sorted(titles.items()):
        rows.append({"name": name, "title": title, "built": [_row(one) for one in store.stored(name)]})
    if format_ == "json":
        print(json_out.dumps(rows))
        return
    for row in rows:
        print(f"{row['name']:<22} {row['title']}")
        for one in row["built"]:
            print(f"{'':<22} {one['digest'][:16]}  made {one['made']}  {one['bytes'] / 1e6:.0f} MB")
        if not row["built"]:
            print(f"{'':<22} not built: rrsim image build {row['name']}{_files(row['name'])}")
    for wrong in store.damaged():
        say(f"damaged: {wrong}")


@image_app.command("build", epilog=_examples(
    "rrsim image build wine-guest", "rrsim image build wine-guest --again",
    "rrsim image build windows-11 --iso Win11_Eval.iso --virtio virtio-win.iso --openssh OpenSSH-Win64.zip",
    "rrsim image build windows-server-2022 --iso Server2022_Eval.iso --virtio virtio-win.iso \\",
    "    --openssh OpenSSH-Win64.zip --sha256 windows=3e4fa6d8507b55…",
))
def build_command(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="Build it even if there is one of the same recipe.")] = False,
    iso: Annotated[str, typer.Option(help="Windows: its installation medium, an ISO file.")] = "",
    virtio: Annotated[str, typer.Option(help="Windows: the virtio-win medium, an ISO file.")] = "",
    openssh: Annotated[str, typer.Option(help="Windows: OpenSSH-Win64.zip.")] = "",
    phonebook: Annotated[str, typer.Option(help="Windows: dial-up entries, as rasphone.pbk; may be left out.")] = "",
    sha256: Annotated[
        list[str] | None, typer.Option(help="Windows: KIND=DIGEST, a checksum that must hold; may be repeated.")
    ] = None,
    uri: Annotated[str, typer.Option(help="Windows: libvirt's connection URI; default: this computer's.")] = "",
    accelerator: Annotated[str, typer.Option(help="Windows: kvm or tcg; default: KVM where it works.")] = "",
    format_: Format = "text",
) -> None:
    """Build an image, unless there is one of the same recipe and the same files; print its folder.

    One of Windows takes your own installation medium, and an hour or more; it may be stopped, and goes on when the same
    command is given again.
    """
    _check(format_)
    from rrsim.cli import image_windows

    given = image_windows.Given(
        iso=iso, virtio=virtio, openssh=openssh, phonebook=phonebook, sha256=tuple(sha256 or ()), uri=uri,
        accelerator=accelerator,
    )
    if image_windows.known(name):
        built = image_windows.build(name, given, again=again)
    elif given.anything:
        raise CommandError(
            "--iso and the options beside it with an image of Windows", f"{name!r}", f"rrsim image build {name}"
        )
    else:
        built = _build_wine_guest(name, again=again)
    print(json_out.dumps(_row(built)) if format_ == "json" else built.folder)


def _build_wine_guest(name: str, *, again: bool) -> Any:
    from rrsim.agent.freezing.errors import BuildError
    from rrsim.images import loader, wine_guest

    described = _asked(loader.load, name)
    try:
        return _asked(wine_guest.build, described, loader.folder_of(name), say, again=again)
    except BuildError as error:
        raise environment_error(error.expected, error.saw, error.try_) from None


@image_app.command(
    "verify", epilog=_examples("rrsim image verify wine-guest", "rrsim image verify windows-11 --format json")
)
def verify_command(
    name: Name,
    uri: Annotated[str, typer.Option(help="libvirt's connection URI; default: this computer's.")] = "",
    accelerator: Annotated[str, typer.Option(help="kvm or tcg; default: KVM where it works.")] = "",
    format_: Format = "text",
) -> None:
    """Find out what holds on a built image; print it and keep it beside the image.

    An image of Windows is asked what nobody could look up. One with Wine is held to the machine contract, which takes
    half an hour where the processor is emulated.

    Exit code 0: every question was answered, with yes or no, and the contract holds; 2: at least one answer is "could
    not tell"; 70: the contract does not hold.
    """
    _check(format_)
    from rrsim.cli import image_windows
    from rrsim.images.windows import verify

    report, file = image_windows.verify(name, uri, accelerator)
    print(json_out.dumps(report) if format_ == "json" else verify.table(report), end="\n" if format_ == "json" else "")
    say(f"kept in {file}")
    raise typer.Exit(image_windows.exit_code(report))


@image_app.command("show", epilog=_examples("rrsim image show wine-guest", "rrsim image show wine-guest --check"))
def show_command(
    name: Name,
    check: Annotated[bool, typer.Option("--check", help="Compare every file with its checksum.")] = False,
    format_: Format = "text",
) -> None:
    """Show what the newest build of an image consists of."""
    _check(format_)
    from rrsim.cli import image_windows
    from rrsim.images import loader, store

    if not image_windows.known(name):
        _asked(loader.load, name)
    one = _asked(store.find, name)
    if check:
        _asked(store.check, one)
    row = _row(one) | {"files": one.built.files, "versions": one.built.versions}
    if format_ == "json":
        print(json_out.dumps(row))
        return
    print(f"{one.built.description.title}\n  folder  {one.folder}\n  made    {one.built.made}")
    print(f"  recipe  {one.built.digest}\n  expires {one.built.expires or 'never'}")
    print(f"  size    {row['bytes'] / 1e6:.0f} MB")
    for file, digest in one.built.files.items():
        print(f"  {file:<14} {digest}{'  as built' if check else ''}")
    for what, version in one.built.versions.items():
        print(f"  {what} {version}")


@image_app.command("rm", epilog=_examples("rrsim image rm wine-guest", "rrsim image rm wine-guest --digest 0a1b2c3d"))
def remove_command(
    name: Name,
    digest: Annotated[str, typer.Option(help="Only the build whose digest begins so; default: every build.")] = "",
) -> None:
    """Remove builds of an image. Its description and the fetched packages stay."""
    from rrsim.images import store

    for folder in _asked(store.remove, name, digest):
        print(f"removed {folder}")


def _check(format_: str) -> None:
    if format_ not in {"text", "json"}:
        raise CommandError("--format text or --format json", repr(format_), "--format json")


def _files(name: str) -> str:
    """Return the options without which an image of this name is not built."""
    from rrsim.cli import image_windows

    return " --iso FILE --virtio FILE --openssh FILE" if image_windows.known(name) else ""


def _row(one: Any) -> dict[str, Any]:
    from rrsim.images import store

    return {
        "name": one.built.description.name, "digest": one.built.digest, "made": one.built.made,
        "folder": str(one.folder), "bytes": store.size_bytes(one.folder),
    }


def _asked(what: Any, *args: Any, **more: Any) -> Any:
    """Call something and turn an image's error into the command's."""
    from rrsim.images.errors import ImageError

    try:
        return what(*args, **more)
    except ImageError as error:
        raise environment_error(error.expected, error.saw, error.try_) from None
