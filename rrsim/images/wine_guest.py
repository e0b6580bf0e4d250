"""Builds the Wine guest. Each step says what it does; what is fetched or prepared is kept and not done again."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

import msgspec

from rrsim import live_clock
from rrsim.agent.freezing.places import file_sha256, left_behind, only_builder, put_in_place, scratch_dir
from rrsim.backends.live.wine import parts, template
from rrsim.images import disk, initramfs, recipe, store, tree
from rrsim.images.description import GUEST_PORT, Built, Description
from rrsim.images.errors import ImageError, Progress
from rrsim.images.packages import Archive, Package, unpack

SUITE: Final = "bookworm"
SCREEN: Final = (1024, 768)
FREE_BYTES: Final = 6 << 30
KERNEL: Final = "linux-image-amd64"
WANTED: Final = (
    "base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "fonts-dejavu-core",
    "fonts-liberation", "libgnutls30", "libxcomposite1", "libxcursor1", "libxfixes3", "libxi6",
    "libxinerama1", "netbase", "openssh-server", "ppp", "python3", "wine", "wine64", "xserver-xorg-core",
    "xserver-xorg-input-evdev", KERNEL,
)
LEFT_OUT: Final = (
    "adduser", "debconf", "dpkg", "init-system-helpers", "initramfs-tools", "iso-codes", "keyboard-configuration",
    "libasound2", "libbpf1", "libcap2-bin", "libcapi20-3", "libcups2", "libcurl4", "libdw1", "libdrm-amdgpu1",
    "libdrm-intel1", "libdrm-nouveau2", "libdrm-radeon1", "libegl-mesa0", "libelf1", "libfido2-1", "libgd3",
    "libgl1-mesa-dri", "libglib2.0-0", "libglx-mesa0", "libgphoto2-6", "libgphoto2-port12",
    "libgstreamer-plugins-base1.0-0", "libgstreamer1.0-0", "libicu72", "libldap-2.5-0", "libllvm15", "libmpg123-0",
    "libpam-modules", "libpam-modules-bin", "libpam-runtime", "libproc2-0", "libpulse0", "libsane1",
    "libsemanage2", "libsensors5", "libusb-1.0-0", "libv4l-0", "libvulkan1", "libxml2", "libz-mingw-w64", "linux-base",
    "logsave", "lsb-base", "media-types", "ocl-icd-libopencl1", "passwd", "perl", "perl-base", "perl-modules-5.36",
    "procps", "runit-helper", "sensible-utils", "sysvinit-utils", "tar", "ucf", "udev", "usrmerge", "x11-common",
)
"""What the packages name as needed and the guest has no use for: installers' tools, sound, cameras, 3D drivers."""
MODULES: Final = (
    "virtio_pci", "virtio_blk", "ext4", "virtio_console", "virtio_rng", "virtio_net", "bochs", "evdev", "psmouse",
    "virtio_input", "crc32c_generic", "ppp_generic", "ppp_async", "hid_generic", "usbhid", "xhci_pci", "uhci_hcd",
    "ehci_pci", "e1000", "e1000e",
)
KEYS: Final = "keys"


def prefix_word() -> str:
    """Return a word that changes with the prepared prefix, without making it.

    Raises:
        ImageError: Wine or another program that it takes is not installed.
    """
    try:
        parts.require_programs()
        return asyncio.run(parts.digest())
    except parts.WineMissing as error:
        raise ImageError("the programs that prepare Windows", str(error), parts.INSTALL) from None


def sources(described: Description, folder: Path) -> str:
    """Return the word of the recipe as it stands on this computer."""
    return recipe.sources(described, folder, prefix_word())


def build(described: Description, folder: Path, progress: Progress, *, again: bool = False) -> store.Stored:
    """Return the built image; build it unless there is one of this recipe and these packages. ``again``: in any case.

    Raises:
        ImageError: something is missing, cannot be reached or failed; nothing half is left.
        BuildError: another builder does not end.
    """
    word = sources(described, folder)
    home = store.images_home()
    with only_builder(home, progress):
        for path in left_behind(home):
            progress(f"removing {path}, which an interrupted build left")
            shutil.rmtree(path, ignore_errors=True)
        archive = Archive(parts.cache_home() / "debian" / SUITE, SUITE)
        archive.refresh(LEFT_OUT, progress)
        chosen = archive.choose(WANTED)
        digest = recipe.digest(word, chosen)
        place = store.place(described.name, digest)
        if (place / store.MANIFEST).is_file() and not again:
            progress(f"built before, and nothing of its recipe has changed: {place}")
            return store.read(place)
        _require_space(home)
        _same_wine(chosen)
        with scratch_dir(home, described.name) as scratch:
            _Build(described, folder, scratch, progress).make(archive, chosen, word, digest)
            put_in_place(scratch / "image", place)
        return store.read(place)


def _require_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES:
        raise ImageError(
            f"{FREE_BYTES >> 30} GiB free under {home}", f"{free / (1 << 30):.1f} GiB",
            "rrsim image rm NAME for an image no longer needed, or XDG_STATE_HOME on another disk",
        )


def _same_wine(chosen: tuple[Package, ...]) -> None:
    """The prefix is prepared by this computer's Wine, and the guest's may not differ from it."""
    guest = next(one.version for one in chosen if one.name == "wine64")
    here = asyncio.run(parts.call("wine", "--version")).strip()
    if guest not in here:
        raise ImageError(
            f"this computer's Wine to be the guest's, {guest}", here,
            f"a Debian {SUITE} computer or container with the packages wine and wine64",
        )


class _Build:
    """One build, in a scratch folder."""

    def __init__(self, described: Description, folder: Path, scratch: Path, progress: Progress) -> None:
        self._described, self._folder, self._scratch, self._say = described, folder, scratch, progress
        self._root, self._kernel, self._image = scratch / "root", scratch / "kernel", scratch / "image"

    def make(self, archive: Archive, chosen: tuple[Package, ...], word: str, digest: str) -> None:
        """Make the image's files and its manifest in ``scratch/image``."""
        began_us = live_clock.monotonic_us()
        for path in (self._root, self._kernel, self._image):
            path.mkdir()
        debs = archive.fetch(WANTED, chosen, self._say)
        versions = {one.name: one.version for one in chosen}
        self._unpack(debs)
        self._say("preparing Windows: the same prefix as on a Wine machine without a VM")
        try:
            prepared = asyncio.run(template.prepare(SCREEN))
        except parts.WineMissing as error:
            raise ImageError(
                "a prepared prefix", str(error), "rrsim run --backend wine, to see whether Wine works"
            ) from None
        config = {
            "keyboard": self._described.keyboard, "screen": list(SCREEN), "port": GUEST_PORT,
            "versions": {"wine": versions["wine64"], "kernel": versions[KERNEL], "recipe": digest},
        }
        tree.finish(self._root, self._folder / "files", config)
        tree.require_libraries(self._root)
        tree.add_prefix(self._root, prepared)
        epoch_s = archive.date_s()
        self._boot_files()
        self._say(f"making the disk ({self._described.hardware.disk_gib} GiB, empty parts take no space)")
        raw = self._scratch / "disk.raw"
        customer = f"/home/{tree.CUSTOMER}"
        disk.make(self._root, {customer: tree.CUSTOMER_ID}, self._described.hardware.disk_gib, raw, epoch_s)
        disk.to_qcow2(raw, self._image / "disk.qcow2", epoch_s)
        raw.unlink()
        self._manifest(versions, word, digest)
        self._say(f"built in {(live_clock.monotonic_us() - began_us) / 1e6:.0f} s")

    def _unpack(self, debs: dict[str, Path]) -> None:
        self._say(f"unpacking {len(debs)} packages")
        tree.begin(self._root)
        for name, path in sorted(debs.items()):
            if name.startswith("linux-image-"):
                unpack(path, self._kernel)
            else:
                unpack(path, self._root, tree.KEPT_OUT)

    def _boot_files(self) -> None:
        self._say("making the kernel's first files")
        (kernel,) = (self._kernel / "boot").glob("vmlinuz-*")
        (self._image / "vmlinuz").write_bytes(initramfs.unpacked_kernel(kernel.read_bytes()))
        modules = initramfs.modules_in_order(self._kernel / "lib" / "modules", MODULES)
        script = (self._folder / "files" / "initramfs-init").read_bytes()
        first = initramfs.first_files((self._root / "usr/bin/busybox").read_bytes(), script, modules)
        (self._image / "initrd.img").write_bytes(first + initramfs.key_files(self._mint_keys()))

    def _mint_keys(self) -> dict[str, bytes]:
        """Mint the image's SSH keys: the host's own stays in the guest, the other is for whoever drives it."""
        keys = self._image / KEYS
        keys.mkdir(mode=0o700)
        if shutil.which("ssh-keygen") is None:
            raise ImageError("the program ssh-keygen", "it is not installed", "apt-get install openssh-client")
        for name in ("ssh_host_ed25519_key", "id_ed25519"):
            comment = f"rrsim {self._described.name}"
            disk.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", keys / name, epoch_s=0)
        host = (keys / "ssh_host_ed25519_key.pub").read_text(encoding="ascii").split()
        (keys / "known_host").write_text(" ".join(host[:2]) + "\n", encoding="ascii")
        return {
            "ssh_host_ed25519_key": (keys / "ssh_host_ed25519_key").read_bytes(),
            "authorized_keys": (keys / "id_ed25519.pub").read_bytes(),
        }

    def _manifest(self, versions: dict[str, str], word: str, digest: str) -> None:
        self._say("writing checksums")
        names = ("disk.qcow2", "vmlinuz", "initrd.img")
        built = Built(
            description=self._described, digest=digest, sources=word, versions=versions,
            made=live_clock.wall_time().strftime("%Y-%m-%dT%H:%M:%SZ"),
            files={name: file_sha256(self._image / name) for name in names},
        )
        for name in names:
            (self._image / name).chmod(0o444 if name != "initrd.img" else 0o400)
        text = msgspec.json.format(msgspec.json.encode(built), indent=1)
        (self._image / store.MANIFEST).write_bytes(text + b"\n")

