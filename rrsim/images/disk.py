"""The guest's disk: an ext4 file system made from a folder without mounting anything, in a qcow2 file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from rrsim.images.errors import ImageError

NEEDED: Final = ("mke2fs", "debugfs", "qemu-img")
FIXED_ID: Final = "5ca1ab1e-0000-4000-8000-727273696d31"
"""Identity and hash seed of the file system, the same in every build."""
LIMIT_S: Final = 600


def program(name: str) -> str:
    """Return where a program is; users' paths may lack the administrators' folders.

    Raises:
        ImageError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise ImageError(f"the programs {', '.join(NEEDED)}", f"no {name}", "apt-get install e2fsprogs qemu-utils")
    return found


def call(*words: str | Path, epoch_s: int, standard_input: str | None = None) -> str:
    """Run a program with the clock standing still for it.

    Raises:
        ImageError: it failed or did not end in time.
    """
    env = {**os.environ, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(epoch_s), "E2FSPROGS_FAKE_TIME": str(epoch_s)}
    try:
        done = subprocess.run(
            [str(one) for one in words], env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S,
            input=standard_input or "",
        )
    except subprocess.TimeoutExpired:
        raise ImageError(
            f"{words[0]} to end within {LIMIT_S} s", "it did not", "looking at this computer's load"
        ) from None
    if done.returncode:
        raise ImageError(
            f"{' '.join(map(str, words))[:200]} to succeed", done.stderr.strip()[-500:], "the same by hand"
        )
    return done.stdout


def make(tree: Path, owners: dict[str, int], size_gib: int, raw: Path, epoch_s: int) -> None:
    """Make a file system with the files of ``tree``; all are root's but those below the paths in ``owners``.

    Raises:
        ImageError: a program is missing or failed; a tree that is too big for the disk is one reason.
    """
    _still(tree, epoch_s)
    with raw.open("wb") as file:
        file.truncate(size_gib << 30)
    call(
        program("mke2fs"), "-q", "-t", "ext4", "-L", "rrsim-guest", "-U", FIXED_ID, "-E",
        f"hash_seed={FIXED_ID},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", "-m", "0",
        "-O", "^metadata_csum_seed,^orphan_file", "-d", tree, raw, epoch_s=epoch_s,
    )
    _set_owners(tree, owners, raw, epoch_s)


def _still(tree: Path, epoch_s: int) -> None:
    """Give every file and folder one time of last change at most: that of the build's sources."""
    for folder, folders, files in os.walk(tree, topdown=False):
        for name in (*files, *folders):
            path = os.path.join(folder, name)  # noqa: PTH118 -- thousands of files: a string is quicker than a path
            if os.lstat(path).st_mtime > epoch_s:
                os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)
    os.utime(tree, (epoch_s, epoch_s))


def _set_owners(tree: Path, owners: dict[str, int], raw: Path, epoch_s: int) -> None:
    """Set owners and the times that cannot be set on a folder's files, inside the file system."""
    commands: list[str] = []
    own_id = os.getuid()
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = Path(folder, name)
            inside = "/" + path.relative_to(tree).as_posix()
            owner = next((number for top, number in owners.items() if inside == top or inside.startswith(top + "/")), 0)
            if path.lstat().st_nlink > 1 and path.is_file():
                owner = 0  # shared with a package's file
            quoted = f'"{inside}"'
            if owner != own_id:
                commands += [f"sif {quoted} uid {owner}", f"sif {quoted} gid {owner}"]
            commands += [f"sif {quoted} {field} @{epoch_s}" for field in ("ctime", "atime", "crtime")]
    call(program("debugfs"), "-w", "-f", "-", raw, epoch_s=epoch_s, standard_input="\n".join(commands) + "\n")


def to_qcow2(raw: Path, target: Path, epoch_s: int) -> None:
    """Write the disk as qcow2; what is empty takes no space."""
    call(program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1,lazy_refcounts=off", raw, target,
         epoch_s=epoch_s)
