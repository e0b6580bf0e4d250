"""The lock file: what it says, and what is wrong with a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.agent.freezing.errors import BuildError
from rrsim.agent.freezing.pins import Pin, pin_of, read_pins

HASH = "0123456789abcdef" * 4


def test_the_lock_file_pins_what_the_agent_is_made_of() -> None:
    pins = read_pins()
    names = {pin.name for pin in pins}
    assert {"panda3d", "msvc-runtime", "msgspec", "websockets", "pywin32", "pyinstaller"} <= names
    for pin in pins:
        assert pin.file_name.startswith(f"{pin.name.replace('-', '_')}-{pin.version}-")
        assert pin.requirement == f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}"


def test_comments_and_empty_lines_are_left_out(tmp_path: Path) -> None:
    lock = tmp_path / "windows.lock"
    lock.write_text(f"# why\n\nsome-thing==1.2  some_thing-1.2-py3-none-any.whl  {HASH}\n")
    assert read_pins(lock) == (Pin("some-thing", "1.2", "some_thing-1.2-py3-none-any.whl", HASH),)


@pytest.mark.parametrize("line", [
    "thing",
    "thing==1.2",
    f"thing>=1.2  thing-1.2-py3-none-any.whl  {HASH}",
    f"thing==1.2  thing-1.2.tar.gz  {HASH}",
    f"thing==1.2  thing-1.2-py3-none-any.whl  {HASH[:-1]}",
    f"thing==1.2  thing-1.2-py3-none-any.whl  {HASH.upper()}",
    f"thing==1.2  thing-1.2-py3-none-any.whl  {HASH}  more",
])
def test_a_line_that_pins_nothing_is_named(line: str, tmp_path: Path) -> None:
    lock = tmp_path / "windows.lock"
    lock.write_text(f"# first\n{line}\n")
    with pytest.raises(BuildError) as caught:
        read_pins(lock)
    assert "windows.lock:2" in caught.value.saw


def test_no_package_comes_twice(tmp_path: Path) -> None:
    lock = tmp_path / "windows.lock"
    lock.write_text(f"thing==1.2  thing-1.2-py3-none-any.whl  {HASH}\n" * 2)
    with pytest.raises(BuildError, match="once"):
        read_pins(lock)


def test_a_package_that_is_not_pinned() -> None:
    with pytest.raises(BuildError) as caught:
        pin_of(read_pins(), "left-pad")
    assert caught.value.expected == "left-pad in the lock file"
