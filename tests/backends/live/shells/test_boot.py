"""To which boot a shell belongs: marks, nonces, and what a machine prints about them."""

from __future__ import annotations

import pytest

from rrsim.backends.live.shells.boot_mark import (
    echo_command,
    identity_command,
    mark_query,
    parse_identity,
    parse_mark_query,
)
from rrsim.backends.live.shells.interface import Boot, OldBoot, Result, ShellFault
from rrsim.machine.identity import New, Same, compare
from tests.backends.live.shells.winrm_rig import decoded

NONCE = "0123456789abcdef"
MARK = "00112233445566778899aabbccddeeff"
BOOT_ID = "0a1b2c3d-0000-4000-8000-00000000000f"


def windows(nonce: str = NONCE, mark: str = MARK, ticks: str = "638700000000000000") -> str:
    return f"nonce={nonce}\r\nmark={mark}\r\nticks={ticks}\r\n"


def test_windows_ticks_become_microseconds_since_1970() -> None:
    identity = parse_identity("windows", windows(), NONCE)
    assert identity.mark == MARK
    assert identity.boot_time_us == 1_734_403_200_000_000  # 2024-12-17 02:40:00 UTC
    assert identity.tolerance_us == 5_000_000
    assert (identity.host_resets, identity.agent_boots) == (None, None)


def test_linux_gives_its_boot_id_and_its_boot_time() -> None:
    identity = parse_identity("linux", f"nonce={NONCE}\nmark={BOOT_ID}\nbtime=1700000000\n", NONCE)
    assert (identity.mark, identity.boot_time_us) == (BOOT_ID, 1_700_000_000_000_000)


@pytest.mark.parametrize("text", ["", "nonce=\n", windows(nonce="fedcba9876543210"), f"mark={MARK}", NONCE])
def test_an_answer_without_the_nonce_is_another_commands(text: str) -> None:
    with pytest.raises(ShellFault, match=f"expected an answer with the nonce {NONCE}"):
        parse_identity("windows", text, NONCE)


@pytest.mark.parametrize(("mark", "ticks"), [
    ("", ""), ("True", "later"), ("<garbled>", "-5"), (MARK[:10], "621355968000000000"), (MARK + "!", "\u0661"),
])
def test_a_witness_that_is_missing_or_garbled_is_none_and_never_guessed(mark: str, ticks: str) -> None:
    identity = parse_identity("windows", windows(mark=mark, ticks=ticks), NONCE)
    assert (identity.mark, identity.boot_time_us) == (None, None)


def test_two_readings_say_whether_the_boot_is_the_same() -> None:
    before = parse_identity("windows", windows(), NONCE)
    corrected = parse_identity("windows", windows(ticks=str(638700000000000000 + 40_000_000)), NONCE)
    assert isinstance(compare(before, corrected), Same), "the clock was corrected by four seconds, and nothing else"
    later = parse_identity("windows", windows(mark=MARK[::-1], ticks=str(638700000000000000 + 600_000_000)), NONCE)
    assert isinstance(compare(before, later), New)


def test_the_windows_script_makes_a_volatile_key_below_a_stable_one_and_fits_a_command_line() -> None:
    command = identity_command("windows", NONCE, MARK)
    script = decoded(command[-2] + " " + command[-1])
    assert script.index(r"CreateSubKey('SOFTWARE\rrsim')") < script.index(r"CreateSubKey('SOFTWARE\rrsim\Boot',")
    assert "RegistryOptions]::Volatile" in script
    assert f"SetValue('mark','{MARK}')" in script
    assert "{" not in script.replace("{$key.", "")


@pytest.mark.parametrize("bad", ["", "short", "0123456789abcdef'; rm -rf /", "0123456789ABCDEF" * 8, NONCE + "\n"])
def test_a_nonce_is_nothing_but_digits(bad: str) -> None:
    for call in (lambda: echo_command("linux", bad), lambda: identity_command("windows", bad, MARK),
                 lambda: identity_command("windows", NONCE, bad)):
        with pytest.raises(ValueError, match="expected a nonce"):
            call()


def test_the_mark_is_also_read_without_powershell() -> None:
    printed = f"\nHKEY_LOCAL_MACHINE\\SOFTWARE\\rrsim\\Boot\n    mark    REG_SZ    {MARK}\n\n"
    assert parse_mark_query(Result(0, printed, "")) == MARK
    assert parse_mark_query(Result(1, printed, "ERROR: unable to find the key")) is None
    assert parse_mark_query(Result(0, printed.replace(MARK, "something"), "")) is None
    assert mark_query()[:3] == ["reg.exe", "query", r"HKLM\SOFTWARE\rrsim\Boot"]


def test_the_first_mark_is_kept_and_another_one_ends_the_boot_for_all() -> None:
    boot = Boot()
    ended: list[str] = []
    boot.on_end(lambda: ended.append("one"))
    forgotten = ended.clear
    boot.on_end(forgotten)
    boot.forget(forgotten)
    boot.confirm(MARK)
    boot.confirm(MARK)
    assert ended == []
    with pytest.raises(OldBoot, match=f"its mark was {MARK}, and {BOOT_ID} was read"):
        boot.confirm(BOOT_ID)
    with pytest.raises(OldBoot):
        boot.confirm(MARK)  # never again, even if the old mark should turn up
    boot.end("once more")
    assert ended == ["one"]
    assert boot.ended.startswith("its mark was")
    boot.on_end(lambda: ended.append("late"))
    assert ended == ["one", "late"]


def test_a_boot_is_young_for_a_while() -> None:
    assert Boot().young
    assert not Boot(young_s=0).young
