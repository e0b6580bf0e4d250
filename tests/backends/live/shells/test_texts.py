"""Command lines that arrive as they were meant, host keys, and text in the encodings of Windows programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.backends.live.shells.decoding import decode, powershell_errors
from rrsim.backends.live.shells.detached import detached_line, started_pid
from rrsim.backends.live.shells.host_keys import KnownKey, PinOnFirstUse, fingerprint, parse
from rrsim.backends.live.shells.interface import Result, ShellFault, WrongMachine
from rrsim.backends.live.shells.quoting import argv, cmd_line, powershell, powershell_text, shell_line
from tests.backends.live.shells.ssh_rig import make_key
from tests.backends.live.shells.winrm_rig import decoded

WORDS = st.lists(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=8), min_size=1)


def split_as_cmd(line: str) -> str:
    """What cmd.exe leaves of a line that it is given: carets go, and nothing unescaped may be special to it."""
    left, taken = "", False
    for character in line:
        if character == "^" and not taken:
            taken = True
            continue
        assert taken or character not in '()%!"<>&|', f"{character} is special to cmd in {line}"
        left, taken = left + character, False
    assert not taken
    return left


@settings(deadline=None, max_examples=60)
@given(WORDS)
def test_cmd_hands_on_what_windows_programs_split_again(words: list[str]) -> None:
    assert split_as_cmd(cmd_line(["program", *words])) == subprocess.list2cmdline(["program", *words])


@settings(deadline=None, max_examples=60)
@given(WORDS)
def test_a_posix_shell_gives_every_word_as_it_was(words: list[str]) -> None:
    import shlex

    assert shlex.split(shell_line(["program", *words], "linux")) == ["program", *words]


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_powershell_literal_ends_where_it_should(text: str) -> None:
    quotes = "'\u2018\u2019\u201a\u201b"
    literal = powershell_text(text)[1:-1]
    at = 0
    back = ""
    while at < len(literal):
        if literal[at] in quotes:
            assert literal[at + 1] == literal[at], "a quote that is not doubled ends the literal"
            at += 1
        back += literal[at]
        at += 1
    assert back == text


def test_lines_and_lists_for_each_system() -> None:
    assert argv("a | b", "linux") == ["/bin/sh", "-c", "a | b"]
    assert argv("a | b", "windows") == ["cmd.exe", "/d", "/c", "a | b"]
    assert argv(["a", "|"], "windows") == ["a", "|"]
    assert shell_line("a | b", "windows") == "a | b"


@pytest.mark.parametrize("bad", [[], [""], ["a", "b\0c"]])
def test_what_is_no_command_is_refused(bad: list[str]) -> None:
    for call in (lambda: argv(bad, "linux"), lambda: shell_line(bad, "linux"), lambda: cmd_line(bad)):
        with pytest.raises(ValueError, match="command"):
            call()


def test_a_line_break_would_end_a_command_of_cmd_and_a_long_script_has_no_room() -> None:
    with pytest.raises(ValueError, match="line break"):
        cmd_line(["echo", "one\ntwo"])
    with pytest.raises(ValueError, match="put it into a file"):
        powershell("#" * 4000)


@pytest.mark.parametrize(("data", "text"), [
    ("größer\r\n".encode(), "größer\n"),
    (b"\xef\xbb\xbfwith a mark", "with a mark"),
    ("größer".encode("cp1252"), "größer"),
    ("Event 12\r\n".encode("utf-16"), "Event 12\n"),
    ("Event 12\r\n".encode("utf-16-le"), "Event 12\n"),
    (b"twice\r\r\n", "twice\n"),
    (b"a\0b", "a\0b"), (b"\0\0\0\0", "\0\0\0\0"), (b"", ""), (b"\x81\x8d", "\ufffd\ufffd"),
])
def test_output_is_decoded_whatever_wrote_it(data: bytes, text: str) -> None:
    assert decode(data) == text


@pytest.mark.parametrize("text", ["plain", "#< CLIXML", "#< CLIXML\n<not closed"])
def test_what_is_no_xml_of_powershell_stays_as_it_is(text: str) -> None:
    assert powershell_errors(text) == text


def test_detached_commands_say_what_they_started() -> None:
    assert started_pid("linux", Result(0, "pid=12\n", "")) == 12
    line = detached_line("linux", ["a b", "c"])
    assert line == "setsid sh -c ''\"'\"'a b'\"'\"' c' </dev/null >/dev/null 2>&1 & echo pid=$!"
    script = decoded(" ".join(detached_line("windows", "echo it's & more")))
    assert "CommandLine='cmd.exe /d /c echo it''s & more'" in script
    for system, result in (("windows", Result(0, "pid=12\n", "")), ("linux", Result(1, "pid=12\n", "no")),
                           ("linux", Result(0, "pid=\n", "")), ("windows", Result(0, "returned=9\npid=\n", ""))):
        with pytest.raises(ShellFault, match="was not started"):
            started_pid(system, result)


# --- host keys ------------------------------------------------------------------------------------------------------


def test_fingerprints_are_as_openssh_writes_them(tmp_path: Path) -> None:
    _, blob = parse(make_key(tmp_path / "key"))
    said = subprocess.run(["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True)
    assert fingerprint(blob) in said.stdout


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA"])
def test_what_is_no_public_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="public key"):
        KnownKey(line)


def test_a_damaged_pin_is_never_taken_for_no_pin(tmp_path: Path) -> None:
    pin = PinOnFirstUse(tmp_path, "build")
    kind, blob = parse(make_key(tmp_path / "key"))
    pin.path.write_text("")
    with pytest.raises(WrongMachine, match="holds no host key"):
        pin.check(kind, blob)


@pytest.mark.parametrize("build", ["", "../up", "a/b", ".hidden"])
def test_a_build_is_no_path(build: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="digest"):
        PinOnFirstUse(tmp_path, build)
