"""The state of an emulated TPM: where libvirt keeps it, and taking it from there and putting it there.

libvirt 9.0 gives a domain no choice of the folder: it is named after the domain's UUID, below one place for all.
A TPM's state is a secret of its machine, so copies are made such that only their owner can read them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rrsim.backends.live.vm.errors import HostRefused, VmMissing
from rrsim.backends.live.vm.host import Host

SYSTEM: Final = Path("/var/lib/libvirt/swtpm")
"""libvirt's ``swtpmStorageDir`` for ``qemu:///system`` (src/qemu/qemu_conf.c)."""
LOCK: Final = ".lock"
"""swtpm's own, beside the state: never copied."""


def require_own(host: Host) -> None:
    """Check that this process can read and write what the host's hypervisor keeps: media, disks, TPM state.

    Raises:
        VmMissing: it is another computer's libvirt, or another user's.
    """
    system = urlsplit(host.uri).path.startswith("/system")
    if not host.is_local or host.is_mock or (system and os.geteuid() != 0):
        raise VmMissing(
            f"expected a libvirt of this computer whose files this user can read, saw {host.uri} as user "
            f"{os.geteuid()}; try --uri qemu:///session as an ordinary user, or qemu:///system as root"
        )


def home(uri: str) -> Path:
    """Return the place that holds a folder for each domain."""
    if urlsplit(uri).path.startswith("/system"):
        return SYSTEM
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "libvirt" / "qemu" / "swtpm"


def folder(uri: str, domain_uuid: str) -> Path:
    """Return the folder of one domain's state."""
    return home(uri) / domain_uuid / "tpm2"


def put(uri: str, domain_uuid: str, source: Path) -> None:
    """Give a domain that is off the state in ``source``; nothing there: libvirt makes a fresh TPM at the start.

    Raises:
        HostRefused: libvirt's place cannot be written to.
    """
    if not any(source.iterdir()):
        return
    target = folder(uri, domain_uuid)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        _copy(source, target)
    except OSError as error:
        raise _closed(target, error) from error


def fetch(uri: str, domain_uuid: str, target: Path) -> None:
    """Copy the state of a domain that is off to ``target``, in place of what is there.

    A domain that never ran has none: then ``target`` stays as it is.

    Raises:
        HostRefused: libvirt's place cannot be read.
    """
    source = folder(uri, domain_uuid)
    try:
        if not source.is_dir():
            return
        _copy(source, target)
    except OSError as error:
        raise _closed(source, error) from error


def remove(uri: str, domain_uuid: str) -> None:
    """Remove what libvirt keeps for a domain; harmless if there is nothing."""
    shutil.rmtree(home(uri) / domain_uuid, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; ``target`` is never half of one, even if this process is killed in between."""
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    for path in source.iterdir():
        if path.is_file() and path.name != LOCK:
            shutil.copyfile(path, beside / path.name)
            (beside / path.name).chmod(0o600)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)


def _closed(path: Path, error: OSError) -> HostRefused:
    return HostRefused(
        f"expected to get at the TPM's state in {path}, saw: {error.strerror or error}; use qemu:///session as an "
        "ordinary user, or qemu:///system as root", 0,
    )
