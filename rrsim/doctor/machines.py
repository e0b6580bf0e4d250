"""Virtual machines: libvirt answers, its Python binding fits it, QEMU's tools work."""

from __future__ import annotations

import json
import shlex
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim.doctor import boot, programs
from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place, Tried, attempt, last_words, trouble
from rrsim.report.phrases import plural

LIBVIRT: Final = ("libvirt-daemon-system", "libvirt-clients")
BINDING_PACKAGES: Final = ("libvirt-dev", "pkg-config", "gcc", "python3-dev")
BINDING: Final = 'pip install "libvirt-python==$(pkg-config --modversion libvirt)"'
IMAGE_TOOL: Final = ("qemu-utils",)
ASK_S: Final = 60.0
"""A libvirt that has just been started, or forgets what it learns, takes up to thirty seconds to say what it can do."""
MOCK: Final = "test:///default"
"""libvirt's built-in driver, which needs no daemon."""
OLDEST_QEMU: Final = (6, 2)
OLDEST_LIBVIRT: Final = (8, 0)
NO_ACCESS: Final = frozenset({45, 88})
"""libvirt's numbers for *authentication failed* and *access denied*."""
FORGETFUL_S: Final = 1.0
"""What libvirt remembers it answers in milliseconds, also from another computer. One that has to ask QEMU again at
every call answers nothing else meanwhile, and calls of several machines time out behind each other."""


def emulator(place: Place) -> Seen:
    """Ask QEMU for its version."""
    return programs.version(
        place, boot.EMULATOR, ("--version",), r"version (\d+)\.(\d+)", boot.PACKAGES, oldest=OLDEST_QEMU
    )


def image_tool(place: Place) -> Seen:
    """Make a disk on top of another, and have it checked."""
    base, over = place.scratch / "base.qcow2", place.scratch / "over.qcow2"
    steps: tuple[tuple[str | Path, ...], ...] = (
        ("create", "-q", "-f", "qcow2", base, "8M"),
        ("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", over),
        ("check", "-q", over),
    )
    for step in steps:
        bad = trouble(attempt(place, "qemu-img", *step, limit_s=15), IMAGE_TOOL, place)
        if bad is not None:
            return bad
    if not over.is_file():
        return Seen("broken", "qemu-img ended with 0 and made no disk",
                    place.sudo("apt-get install --reinstall -y qemu-utils"))
    return Seen("ok", "a disk on top of another")


def ask(place: Place) -> tuple[dict[str, Any], Tried]:
    """Ask libvirt in a process of its own; what it told is empty if it did not come to that."""
    here = Path(__file__).resolve().parents[2]
    tried = attempt(
        place, sys.executable, "-m", "rrsim.doctor.ask_libvirt", place.uri, limit_s=ASK_S,
        more={"PYTHONPATH": str(here)},
    )
    try:
        told = json.loads(last_line(tried.text)) if tried.well else {}
    except ValueError:
        told = {}
    return (told if isinstance(told, dict) else {}), tried


def last_line(text: str) -> str:
    """Return the last line that is not empty, whole."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def binding(place: Place) -> Seen:
    """Look whether libvirt's Python binding is there and of the same version as its library."""
    told, tried = ask(msgspec.structs.replace(place, uri=MOCK))  # a host that hangs is not the binding's fault
    return judge_binding(told, tried.story, place)


def judge_binding(told: dict[str, Any], story: str, place: Place) -> Seen:
    """Say what the answer means for the binding; ``story`` is what happened if there is none."""
    lacking = lacking_for_binding(place)
    whole = (place.sudo(f"apt-get install -y {' '.join(lacking)}") + " && " if lacking else "") + BINDING
    if not told:
        return Seen("broken", story, BINDING)
    have, library = str(told.get("binding", "")), str(told.get("library", ""))
    if not library:
        said = str(told.get("error", ""))
        if "No module named" in said:
            return Seen("missing", said, whole, lacking)
        return Seen("broken", said, whole)
    if have.split(".")[:2] != library.split(".")[:2]:
        return Seen("old", f"binding {have}, library {library}: they have to be of one version", BINDING)
    return Seen("ok", f"binding {have}, library {library}")


def lacking_for_binding(place: Place, include: str = "") -> tuple[str, ...]:
    """Return those packages that building the binding needs and this computer lacks.

    ``include`` is the folder of Python's headers; empty: that of this Python.
    """
    headers = Path(include or sysconfig.get_path("include")) / "Python.h"
    there = {
        "libvirt-dev": attempt(place, "pkg-config", "--exists", "libvirt", limit_s=10).well,
        "pkg-config": place.which("pkg-config") is not None,
        "gcc": place.which("gcc") is not None,
        "python3-dev": headers.is_file(),
    }
    return tuple(name for name in BINDING_PACKAGES if not there[name])


def libvirt(place: Place) -> Seen:
    """Connect to libvirt and read what it can do; nothing is started."""
    told, tried = ask(place)
    return judge_libvirt(told, tried.story, place)


def judge_libvirt(told: dict[str, Any], story: str, place: Place) -> Seen:
    """Say what the answer means for libvirt itself; ``story`` is what happened if there is none."""
    here = place.uri.startswith("qemu:///")
    said = f"{place.uri}: {last_words(str(told.get('error', story)))}"
    if here and "daemon" not in told and place.which("libvirtd") is None and place.which("virtqemud") is None:
        return Seen("missing", f"{said}; no program libvirtd on PATH",
                    place.sudo(f"apt-get install -y {' '.join(LIBVIRT)}"), LIBVIRT)
    if not told:
        return Seen("broken", said, _start(place))
    if "library" not in told:
        return Seen("skipped", "needs libvirt binding")
    if "error" in told:
        if told.get("code") in NO_ACCESS or "ermission denied" in said:
            return Seen("broken", said, f"{place.sudo('usermod -aG libvirt')} $USER, and sign in anew")
        return Seen("broken", said, _start(place))
    version = str(told["daemon"])
    seen = f"{place.uri}: libvirt {version}, {told['driver']}"
    if tuple(int(x) for x in version.split(".")[:2]) < OLDEST_LIBVIRT:
        wanted = ".".join(map(str, OLDEST_LIBVIRT))
        return Seen("old", f"{seen}; {wanted} or later is needed", "use a newer release of the host's system")
    if told["driver"] != "QEMU":
        return Seen("broken", f"{seen}: it runs no QEMU", "give the address of one that does with --uri")
    kinds = told["architectures"].get("x86_64", [])
    if "qemu" not in kinds and "kvm" not in kinds:
        return Seen("broken", f"{seen}: it can make no machine with an x86_64 processor",
                    place.sudo("apt-get install -y qemu-system-x86") + ", then " + _start(place, "restart"))
    again_s = float(told.get("second_answer_s", 0))
    if again_s > FORGETFUL_S:
        return Seen("broken", f"{seen}: the same question about QEMU took {again_s:.1f} s the second time too; it "
                    "forgets what it learns, as where its user cannot open /dev/kvm and QEMU could", _open_kvm(place))
    major, minor, *_ = str(told["hypervisor"]).split(".")
    return Seen("ok", f"{seen} {major}.{minor}, x86_64 by {' and '.join(sorted(set(kinds)))}")


def left_over(place: Place) -> Seen:
    """Ask what dead runs left on the host of virtual machines, and what is kept there for later runs."""
    command = (sys.executable, "-m", "rrsim", "reap", "--list", "--format", "json", "--uri", place.uri)
    here = Path(__file__).resolve().parents[2]
    tried = attempt(place, *command, limit_s=ASK_S, more={"PYTHONPATH": str(here)})
    try:
        told = json.loads(tried.text[tried.text.find("{"):])  # what it says besides comes before
    except ValueError:
        told = None
    return judge_left_over(told, tried.story, place)


def judge_left_over(told: Any, story: str, place: Place) -> Seen:
    """Say what ``rrsim reap --list`` means; ``story`` is what happened if it answered nothing that can be read."""
    at = "" if place.uri.startswith("qemu:///system") else f" --uri {shlex.quote(place.uri)}"
    if not isinstance(told, dict) or not isinstance(told.get("host"), dict):
        why = told.get("host_not_looked_at", story) if isinstance(told, dict) else story
        return Seen("broken", f"rrsim reap --list: {last_words(str(why))}", f"rrsim reap --list{at}")
    host = told["host"]
    kept = plural(len(host["images"]), "file") + " kept for later runs"
    dead = [*host["domains"], *host["volumes"]]
    if dead:
        return Seen("old", f"{plural(len(dead), 'thing')} of dead runs, the first: "
                    f"{dead[0]}; {kept}", f"rrsim reap{at}")
    busy = f"; {plural(len(host['left']), 'machine')} in use or kept" if host["left"] else ""
    return Seen("ok", f"nothing left over{busy}; {kept} (rrsim reap --images{at} frees them)")


def _open_kvm(place: Place) -> str:
    """The command that gives the device to its group, as udev does where it runs."""
    return ("" if place.uri.startswith("qemu:///") else "on that host: ") + (
        f"{place.sudo('chgrp kvm /dev/kvm')} && {place.sudo('chmod 0660 /dev/kvm')}"
    )


def _start(place: Place, verb: str = "start") -> str:
    if not place.uri.startswith("qemu:///system"):
        return f"look with: virsh -c {shlex.quote(place.uri)} version"
    if place.which("systemctl") is not None and Path("/run/systemd/system").is_dir():
        return place.sudo(f"systemctl {verb} libvirtd")
    return f"{place.sudo('virtlogd -d')} && {place.sudo('libvirtd -d')}"


def unpacking(place: Place) -> Seen:
    """Make a package and unpack it, as the build of the Wine guest unpacks Debian's; mint a key for its SSH."""
    tree = place.scratch / "package"
    (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: rrsim-doctor\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
        "Description: one word\n", encoding="ascii",
    )
    (tree / "word").write_text("rrsim", encoding="ascii")
    package, key, out = place.scratch / "one.deb", place.scratch / "key", place.scratch / "unpacked"
    key.unlink(missing_ok=True)
    steps: tuple[tuple[tuple[str, ...], tuple[str | Path, ...]], ...] = (
        (("apt",), ("apt-get", "--version")),
        (("dpkg",), ("dpkg-deb", "--build", "--root-owner-group", tree, package)),
        (("dpkg", "tar"), ("dpkg-deb", "--extract", package, out)),
        (("openssh-client",), ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)),
    )
    for packages, command in steps:
        bad = trouble(attempt(place, *command, limit_s=15), packages, place)
        if bad is not None:
            return bad
    if not (out / "word").is_file() or not key.is_file():
        return Seen("broken", "dpkg-deb or ssh-keygen ended with 0 and made nothing",
                    place.sudo("apt-get install --reinstall -y dpkg tar openssh-client"))
    return Seen("ok", "packages are unpacked, keys are made")


def make_disk(place: Place) -> Seen:
    """Make a file system from a folder, without mounting it."""
    folder, disk = place.scratch / "tree", place.scratch / "tree.img"
    folder.mkdir(exist_ok=True)
    (folder / "word").write_text("rrsim", encoding="ascii")
    tried = attempt(place, "mke2fs", "-q", "-t", "ext4", "-d", folder, disk, "8M", limit_s=20)
    bad = trouble(tried, ("e2fsprogs",), place)
    if bad is not None:
        return bad
    read = attempt(place, "debugfs", "-R", "cat /word", disk, limit_s=20)
    bad = trouble(read, ("e2fsprogs",), place)
    if bad is not None:
        return bad
    if "rrsim" not in read.text.splitlines()[-1:]:
        return Seen("broken", f"the disk does not hold what was put in: {last_words(read.text)!r}",
                    place.sudo("apt-get install --reinstall -y e2fsprogs"))
    return Seen("ok", "a disk with a file in it, without mounting")


def windows_tools(place: Place) -> Seen:
    """Look for what only images of Windows itself need: a maker of CDs, a TPM, UEFI firmware."""
    wanted = {"xorriso": "xorriso", "swtpm": "swtpm", "swtpm_setup": "swtpm-tools"}
    lacking = [(program, package) for program, package in wanted.items() if place.which(program) is None]
    firmware = Path("/usr/share/OVMF")
    if not firmware.is_dir():
        lacking.append((str(firmware), "ovmf"))
    if not lacking:
        return Seen("ok", f"{', '.join(wanted)}, UEFI firmware")
    packages = tuple(dict.fromkeys(package for _, package in lacking))
    return Seen("missing", f"not found: {', '.join(name for name, _ in lacking)}",
                place.sudo(f"apt-get install -y {' '.join(packages)}"), packages)
