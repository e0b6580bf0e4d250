"""Trying a program: each way in which it can go wrong is told apart, and nothing stays behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rrsim.doctor.trial import MOST_OUTPUT_BYTES, Place, attempt, last_words, trouble
from rrsim.live_clock import monotonic_us
from tests.doctor.conftest import BABBLE, World
from tests.processes import ends


def test_a_program_that_works(world: World) -> None:
    """Both of its outputs are kept, and its exit code."""
    tried = attempt(world.has("tool", "echo one; echo two >&2; exit 3").place, "tool", limit_s=10)
    assert (tried.how, tried.code, tried.text) == ("ended", 3, "one\ntwo\n")
    assert not tried.well
    assert attempt(world.has("tool", "exit 0").place, "tool", limit_s=10).well


def test_a_program_that_is_not_there(world: World) -> None:
    tried = attempt(world.place, "tool", limit_s=10)
    assert tried.how == "absent"
    seen = trouble(tried, ("tool-package",), world.place)
    assert seen is not None
    assert (seen.state, seen.packages) == ("missing", ("tool-package",))
    assert seen.fix == "sudo apt-get install -y tool-package"


def test_a_program_that_cannot_be_started(world: World) -> None:
    """A file of the right name that is no program."""
    (world.bin / "tool").write_bytes(b"\x00\x01\x02")
    (world.bin / "tool").chmod(0o755)
    tried = attempt(world.place, "tool", limit_s=10)
    assert tried.how == "refused"
    assert "cannot be started" in tried.story


def test_a_program_that_hangs_is_ended_with_its_children(world: World, tmp_path: Path) -> None:
    """Its deadline ends it, and what it started in its own group."""
    script = f"/bin/sleep 60 & echo $! >{tmp_path}/child; echo working; wait"
    began = monotonic_us()
    tried = attempt(world.has("tool", script).place, "tool", limit_s=0.7)
    assert tried.how == "hung"
    assert "working" in tried.story
    assert monotonic_us() - began < 10_000_000
    child = int((tmp_path / "child").read_text())
    assert ends(child)


def test_a_program_that_prints_without_end(world: World) -> None:
    tried = attempt(world.has("tool", BABBLE).place, "tool", limit_s=30)
    assert tried.how == "babbled"
    assert tried.took_s < 20
    assert len(tried.text) <= MOST_OUTPUT_BYTES
    assert "printed more than" in tried.story


def test_a_background_process_holds_nothing_up(world: World) -> None:
    """A program that leaves something running has ended all the same."""
    tried = attempt(world.has("tool", "/bin/sleep 3 & echo done").place, "tool", limit_s=30)
    assert tried.how == "ended"
    assert tried.took_s < 2.5


def test_programs_for_the_administrator_are_found(world: World, tmp_path: Path) -> None:
    """They are often not on a user's PATH."""
    folder = tmp_path / "sbin"
    folder.mkdir()
    (folder / "daemon").write_text("#!/bin/sh\necho there\n")
    (folder / "daemon").chmod(0o755)
    place = Place(environment=world.place.environment, scratch=world.place.scratch, sbin=str(folder))
    assert attempt(place, "daemon", limit_s=10).well
    assert attempt(world.place, "daemon", limit_s=10).how == "absent"


def test_the_administrator_needs_no_sudo(world: World) -> None:
    place = Place(environment={}, scratch=world.place.scratch, root=True)
    assert place.sudo("x") == "x"
    assert world.place.sudo("x") == "sudo x"


@pytest.mark.parametrize(
    ("text", "words"), [("", ""), ("one\n\n  \n", "one"), ("a\nb  \n", "b"), ("x" * 999, "x" * 200)]
)
def test_last_words(text: str, words: str) -> None:
    assert last_words(text) == words


def test_its_input_is_empty(world: World) -> None:
    """A program that asks something gets no answer instead of ours."""
    reading, writing = os.pipe()
    os.write(writing, b"ours\n")
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        tried = attempt(world.has("tool", "read line || echo 'no answer'").place, "tool", limit_s=10)
    finally:
        os.dup2(before, 0)
        for handle in (before, reading, writing):
            os.close(handle)
    assert tried.text == "no answer\n"
