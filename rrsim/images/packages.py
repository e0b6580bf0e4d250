"""Debian's packages for an image: chosen by apt, checked by apt, and unpacked without running any of their scripts.

apt works in folders of the build's own, as any user, and trusts nothing but Debian's archive keyring. Packages that an
image has no use for are told to apt as present, so that they and what they alone need stay out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import msgspec

from rrsim.images.errors import ImageError, Progress

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR: Final = "http://deb.debian.org/debian"
NEEDED: Final = ("apt-get", "dpkg-deb", "tar")
FETCH_LIMIT_S: Final = 900
_PRETENDED_VERSION: Final = "99:99"
_EMPTY_PARTS: Final = ("sourceparts", "parts", "preferencesparts", "trustedparts")


class Package(msgspec.Struct, frozen=True, order=True):
    """One package as the archive offers it."""

    name: str
    version: str
    file_name: str
    sha256: str
    size: int


class Archive:
    """Debian's archive as seen by a build, kept in a folder: what was fetched once is not fetched again."""

    def __init__(self, folder: Path, suite: str, mirror: str = "") -> None:
        """Use the archive of this suite (``bookworm``)."""
        self._folder, self._suite = folder, suite
        self._mirror = mirror or os.environ.get("RRSIM_DEBIAN_MIRROR") or MIRROR

    @property
    def packages_dir(self) -> Path:
        """The folder of fetched packages."""
        return self._folder / "cache" / "archives"

    def refresh(self, left_out: Sequence[str], progress: Progress) -> None:
        """Fetch the list of packages, with its signature.

        Raises:
            ImageError: a program or the keyring is missing, the archive cannot be reached or its signature is wrong.
        """
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if missing:
            raise ImageError(
                f"the programs {', '.join(NEEDED)}", f"no {', '.join(missing)}", "apt-get install apt dpkg tar"
            )
        if not KEYRING.is_file():
            raise ImageError(f"Debian's keys in {KEYRING}", "no such file", "apt-get install debian-archive-keyring")
        self._set_up(left_out)
        progress(f"reading the package list of {self._suite} from {self._mirror}")
        self._apt("update", "-o", "APT::Update::Error-Mode=any")

    def _set_up(self, left_out: Sequence[str]) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "etc/empty"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "etc" / "sources.list").write_text(
            f"deb [arch=amd64 signed-by={KEYRING}] {self._mirror} {self._suite} main\n", encoding="ascii"
        )
        (self._folder / "state" / "status").write_text("".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {_PRETENDED_VERSION}\nArchitecture: amd64\n"
            "Multi-Arch: same\nMaintainer: nobody <nobody@example.org>\nDescription: left out of the image\n\n"
            for name in left_out
        ), encoding="ascii")
        top = self._folder
        (top / "apt.conf").write_text("\n".join([
            f'Dir::State "{top}/state";', f'Dir::State::status "{top}/state/status";', f'Dir::Cache "{top}/cache";',
            f'Dir::Etc "{top}/etc";', f'Dir::Etc::sourcelist "{top}/etc/sources.list";',
            *(f'Dir::Etc::{part} "{top}/etc/empty";' for part in _EMPTY_PARTS),
            f'Dir::Etc::main "{top}/etc/none";', f'Dir::Etc::preferences "{top}/etc/none";',
            f'Dir::Log "{top}/state";', 'APT::Architecture "amd64";', 'APT::Architectures {"amd64";};',
            'APT::Install-Recommends "false";', 'APT::Install-Suggests "false";', 'APT::Sandbox::User "";',
            'Acquire::Languages "none";', 'Acquire::Retries "3";', 'APT::Get::AllowUnauthenticated "false";',
            'Acquire::AllowInsecureRepositories "false";', 'Dir::Cache::pkgcache "";', "",
        ]), encoding="ascii")

    def _apt(self, *words: str) -> str:
        env = {name: value for name, value in os.environ.items() if name == "PATH" or name.lower().endswith("_proxy")}
        env |= {"LC_ALL": "C.UTF-8", "APT_CONFIG": f"{self._folder}/apt.conf"}
        try:
            done = subprocess.run(
                [_program("apt-get"), "-q", "-y", *words], env=env, capture_output=True, text=True, check=False,
                timeout=FETCH_LIMIT_S, stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise ImageError(
                f"apt-get {words[0]} to end within {FETCH_LIMIT_S} s", "it did not",
                "again: what was fetched is kept; RRSIM_DEBIAN_MIRROR=URL names another mirror",
            ) from None
        if done.returncode:
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", "W:", " "))]
            raise ImageError(
                f"apt-get {words[0]} to succeed", " ".join(said)[-900:] or f"exit code {done.returncode}",
                "again, or RRSIM_DEBIAN_MIRROR=URL for another mirror",
            )
        return done.stdout

    def choose(self, wanted: Sequence[str]) -> tuple[Package, ...]:
        """Return the wanted packages with all they need, sorted; call :meth:`refresh` first.

        Raises:
            ImageError: they do not go together.
        """
        names = [
            line.split()[1:3] for line in self._apt("-s", "--no-install-recommends", "install", *wanted).splitlines()
            if line.startswith("Inst ")
        ]
        chosen = {name: version.lstrip("(") for name, version in names}
        return tuple(sorted(self._records(chosen)))

    def _records(self, chosen: dict[str, str]) -> list[Package]:
        """Look the chosen versions up in the signed list, for their checksums."""
        found: list[Package] = []
        for listing in sorted((self._folder / "state" / "lists").glob("*_Packages")):
            for block in listing.read_text(encoding="utf-8").split("\n\n"):
                name = block.partition("\n")[0].removeprefix("Package: ")
                if name not in chosen:
                    continue
                fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
                if fields["Version"] == chosen[name]:
                    found.append(Package(
                        name, fields["Version"], fields["Filename"], fields["SHA256"], int(fields["Size"])
                    ))
        unknown = set(chosen) - {one.name for one in found}
        if unknown:
            raise ImageError("every chosen package in the archive's list", f"none for {', '.join(sorted(unknown))}",
                             f"removing {self._folder}")
        return found

    def date_s(self) -> int:
        """Return when the archive's list was made, in seconds since 1970: the youngest time in an image.

        Raises:
            ImageError: the list does not say.
        """
        for release in sorted((self._folder / "state" / "lists").glob("*Release")):
            for line in release.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("Date: "):
                    return int(parsedate_to_datetime(line.removeprefix("Date: ")).timestamp())
        raise ImageError("a date in the package list", "none", f"removing {self._folder}")

    def fetch(self, wanted: Sequence[str], chosen: Sequence[Package], progress: Progress) -> dict[str, Path]:
        """Fetch the chosen packages and return their files by name. apt compares each with the signed list.

        Raises:
            ImageError: one cannot be fetched or is not the one in the list.
        """
        size_mb = sum(one.size for one in chosen) // 1_000_000
        progress(f"fetching {len(chosen)} packages ({size_mb} MB), what is in the cache aside")
        self._apt("--download-only", "--no-install-recommends", "install", *wanted)
        files: dict[str, Path] = {}
        for one in chosen:
            path = self.packages_dir / f"{one.name}_{one.version.replace(':', '%3a')}_{_architecture(one)}.deb"
            if not path.is_file() or path.stat().st_size != one.size:
                raise ImageError(f"{path.name} in {self.packages_dir}", "it is not there, or not whole", "again")
            files[one.name] = path
        return files


def _program(name: str) -> str:
    return shutil.which(name) or name


def _architecture(one: Package) -> str:
    return one.file_name.rpartition("_")[2].removesuffix(".deb")


def unpack(package: Path, root: Path, keep_out: Sequence[str] = ()) -> None:
    """Unpack the files of a package below ``root``, except paths that match a pattern. No script of it is run.

    Raises:
        ImageError: it cannot be unpacked.
    """
    reading = subprocess.Popen([_program("dpkg-deb"), "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
    writing = subprocess.run(
        [_program("tar"), "-x", "-C", str(root), "--keep-directory-symlink", "--no-same-owner", "-p",
         *(f"--exclude={pattern}" for pattern in keep_out), "-f", "-"],
        stdin=reading.stdout, capture_output=True, text=True, check=False,
    )
    if reading.stdout is not None:
        reading.stdout.close()
    if reading.wait() or writing.returncode:
        raise ImageError(
            f"{package.name} to be unpacked", writing.stderr[-300:] or "dpkg-deb failed", f"removing {package}"
        )
