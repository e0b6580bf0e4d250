"""A computer made of pretend programs: PATH leads nowhere else."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from rrsim.doctor.trial import Place

HANG = "exec /bin/sleep 60"
FAIL = "echo 'cannot open shared object file' >&2; exit 1"
GARBAGE = "echo 'Segmentation fault'"
BABBLE = "while :; do echo 'the same line again and again and again and again'; done"


class World(msgspec.Struct):
    """The pretend computer."""

    place: Place
    bin: Path

    def has(self, name: str, script: str) -> World:
        """Install a program that is a shell script."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return self

    def has_python(self, name: str, code: str) -> World:
        """Install a program that is written in Python."""
        code_file, path = self.bin.parent / f"{name}.py", self.bin / name
        code_file.write_text(f"{code}\n")
        # Not Python in the first line: a kernel ends the name of an interpreter at the first blank.
        path.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(code_file))} \"$@\"\n")
        path.chmod(0o755)
        return self

    def hasty(self) -> World:
        """Make every deadline so short that a program that hangs is found out at once."""
        self.place = msgspec.structs.replace(self.place, hasty=0.02)
        return self


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A computer on which nothing is installed."""
    programs, scratch = tmp_path / "bin", tmp_path / "scratch"
    programs.mkdir()
    scratch.mkdir()
    place = Place(
        environment={"PATH": str(programs), "HOME": str(tmp_path)}, scratch=scratch, sbin="",
        images=tmp_path / "vm_images", uri="test:///default",
    )
    return World(place, programs)


@pytest.fixture
def real_place(tmp_path: Path) -> Place:
    """This very computer."""
    return Place(environment=dict(os.environ), scratch=tmp_path, root=os.geteuid() == 0)
