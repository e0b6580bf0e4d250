"""The cache: where it is, one builder at a time, nothing half made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rrsim.agent.freezing import places
from rrsim.agent.freezing.errors import BuildError


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places.cache_dir() == tmp_path / "rrsim"


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_a_cache_that_is_not_absolute_is_not_used(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert places.cache_dir() == Path.home() / ".cache" / "rrsim"


def test_a_digest_knows_where_a_part_ends() -> None:
    assert places.digest_of(["ab", "c"]) != places.digest_of(["a", "bc"])
    assert places.digest_of(["ab", b"c"]) == places.digest_of([b"ab", "c"])
    assert places.digest_of([]) != places.digest_of([""])


def test_a_scratch_folder_in_use_is_left_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with places.scratch_dir(tmp_path, "agent") as scratch:
        (scratch / "file").write_text("x")
        assert places.left_behind(tmp_path) == []
        assert scratch.is_dir()
    assert list(scratch.parent.iterdir()) == []


def test_a_scratch_folder_in_use_by_another_process_is_left_alone_until_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from rrsim.agent.freezing import places",
        "with places.scratch_dir(Path(sys.argv[1]), 'prefix') as made: print(made, flush=True); sys.stdin.read()",
    )
    other = subprocess.Popen([sys.executable, "-c", "\n".join(program), str(tmp_path)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        made = Path(other.stdout.readline().strip())
        assert places.left_behind(tmp_path) == []
        os.kill(other.pid, signal.SIGKILL)
        other.wait(30)
        assert places.left_behind(tmp_path) == [made]
    finally:
        other.kill()
        other.wait(30)
        other.stdin.close()
        other.stdout.close()


def test_a_finished_folder_replaces_an_unfinished_one(tmp_path: Path) -> None:
    made, place = tmp_path / "made", tmp_path / "cache" / "place"
    made.mkdir()
    (made / "new").touch()
    place.mkdir(parents=True)
    (place / "old").touch()
    places.put_in_place(made, place)
    assert [path.name for path in place.iterdir()] == ["new"]


def test_the_folders_used_last_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(("c", "a", "b")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    places.forget_oldest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


def test_a_second_builder_gives_up_and_says_who_builds(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        places.only_builder(tmp_path, said.append),
        pytest.raises(BuildError) as caught,
        places.only_builder(tmp_path, said.append, wait_s=0.05),
    ):
        pass
    assert said == [f"waiting for the builder with process id {os.getpid()}"]
    assert f"process {os.getpid()} still builds" in caught.value.saw
    with places.only_builder(tmp_path, said.append, wait_s=5):
        pass


def test_a_second_builder_goes_on_when_the_first_was_killed(tmp_path: Path) -> None:
    hold = ("import sys; from pathlib import Path; from rrsim.agent.freezing.places import only_builder\n"
            "with only_builder(Path(sys.argv[1]), print): print('in', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, cwd=Path(__file__).parents[3]) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        said: list[str] = []

        def note(line: str) -> None:
            said.append(line)
            first.send_signal(signal.SIGKILL)

        with places.only_builder(tmp_path, note, wait_s=30):
            assert said == [f"waiting for the builder with process id {first.pid}"]
