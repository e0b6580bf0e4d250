"""The Windows session: it comes up by itself, carries the helpers' lines, and goes down as Windows says."""

from __future__ import annotations

import os
from pathlib import Path

from rrsim.images.guest import session
from rrsim.images.guest.settings import POWER_OFF, RESTART
from tests.images.guest.guest_host import Guest


def test_windows_comes_up_without_a_host(guest: Guest) -> None:
    """Nobody has said hello, and the sign-in helper is there; its first lines are told to whoever asks later."""
    guest.daemon.begin()
    guest.until(lambda: "signin" in guest.daemon.session.lines)
    answer = guest.ask("hello")
    assert answer["signin"] is True
    assert answer["lines"] == ["signin"]
    guest.line("signin", "welcome")
    assert [one["event"] for one in guest.heard if "event" in one][:3] == ["announce", "daemon up", "kernel up"]


def test_hello_names_the_boot(up: Guest) -> None:
    """By the kernel's own random word."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert up.ask("hello")["boot_id"] == boot_id


def test_lines_go_both_ways(up: Guest) -> None:
    """What is said to the sign-in helper reaches it as a line, and its answer comes back under its name."""
    up.send(line="signin", text="mark\tabc")
    assert up.line("signin", "heard") == {"heard": "mark\tabc"}


def test_helpers_have_windows_environment_and_nothing_else(up: Guest) -> None:
    """The same as on a machine without a VM."""
    up.send(line="signin", text="environment")
    seen = up.line("signin", "environment")["environment"]
    expected = up.settings.environment()
    assert {name: seen[name] for name in expected} == expected
    assert set(seen) - set(expected) <= {"LC_CTYPE", "PWD", "__CF_USER_TEXT_ENCODING"}


def test_another_helper_is_opened_and_closed(up: Guest) -> None:
    """Each line has a name of its own; its end is told with the exit code."""
    assert up.ask("open", line="eyes", program=r"C:\windows\system32\rreyes.exe")["pid"] > 0
    assert "close it first" in up.ask("open", line="eyes", program="x")["error"]
    up.send(line="eyes", text="fail")
    ended = up.event("line ended")
    assert (ended["line"], ended["code"]) == ("eyes", 3)
    up.send(line="eyes", text="anybody?")
    assert "no line 'eyes'" in up.event("line not taken")["error"]
    assert "error" not in up.ask("open", line="eyes", program="x")
    assert up.ask("hello")["lines"] == ["eyes", "signin"]
    up.ask("close", line="eyes")
    up.until(lambda: "eyes" not in up.daemon.session.lines)


def test_a_restart_of_windows_ends_the_kernel_and_has_the_machine_restarted(up: Guest) -> None:
    """Windows' kernel is told to end first, as that writes the registry; then nothing of Windows is left."""
    kernel = up.daemon.session.processes.kernel()
    assert kernel is not None
    up.send(line="signin", text="begin\trestart")
    assert up.event("going down")["restart"] is True
    up.until(lambda: up.code is not None)
    assert up.code == RESTART
    assert up.daemon.session.processes.ended(kernel)
    assert up.daemon.session.processes.all_of_windows() == []
    assert up.event("down")["clean"] is True


def test_switching_off_is_told_from_a_restart(up: Guest) -> None:
    """The exit code says which."""
    up.send(line="signin", text="begin\toff")
    up.until(lambda: up.code is not None)
    assert up.code == POWER_OFF


def test_a_helper_has_its_last_look_before_the_kernel_ends(up: Guest) -> None:
    """What changed on the way down would otherwise be seen by nobody."""
    up.ask("open", line="watch", program="rrwatch.exe", args=["slow"], last_word="look\tlast")
    up.send(line="signin", text="begin\trestart")
    up.until(lambda: up.code is not None)
    assert (up.prefix / "looked").read_text(encoding="ascii") == "last\n"
    order = [one.get("event") or one.get("text") for one in up.heard]
    assert order.index('{"reply": "last"}') < order.index("down")


def test_a_helper_that_does_not_answer_holds_the_restart_up_for_a_limited_time(up: Guest) -> None:
    """Then the machine restarts all the same."""
    assert session.LAST_WORD_US <= 5_000_000
    up.ask("open", line="watch", program="rrwatch.exe", args=["deaf"], last_word="look\tlast")
    up.send(line="signin", text="begin\trestart")
    up.until(lambda: up.code is not None, session.LAST_WORD_US / 1e6 + 10)
    assert up.code == RESTART


def test_a_sign_in_helper_that_dies_is_no_restart(up: Guest) -> None:
    """The machine stays on, so that somebody can look; the host is told."""
    up.send(line="signin", text="fail")
    ended = up.event("line ended")
    assert (ended["line"], ended["code"]) == ("signin", 3)
    assert up.code is None


def test_a_kernel_that_ends_by_itself_is_told(up: Guest) -> None:
    """And is no restart either."""
    kernel = up.daemon.session.processes.kernel()
    assert kernel is not None
    os.kill(kernel, 9)
    up.event("kernel ended")
    assert up.code is None
