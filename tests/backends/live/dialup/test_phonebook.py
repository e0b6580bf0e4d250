"""Windows' phonebook entry, and what rasdial's exit codes say."""

from __future__ import annotations

import configparser
from typing import get_args

import pytest

from rrsim.backends.live.dialup import phonebook
from rrsim.backends.live.dialup.exchange import WhyEnded


def test_the_entry_is_the_one_that_was_seen_to_work() -> None:
    text = phonebook.entry("Provider", port="COM3", number="0,5551234")
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    read = configparser.ConfigParser(strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign] -- the names keep their capitals
    read.read_string(text)
    assert read.sections() == ["Provider"]
    assert dict(read["Provider"]) == {
        "Encoding": "1", "Type": "1", "AutoLogon": "0", "BaseProtocol": "1", "LcpExtensions": "1", "MEDIA": "serial",
        "Port": "COM3", "DEVICE": "modem", "PhoneNumber": "0,5551234",
    }
    keys = [line.split("=")[0] for line in text.splitlines() if "=" in line]
    assert keys.index("MEDIA") < keys.index("Port") < keys.index("DEVICE") < keys.index("PhoneNumber")
    assert "\r\n\r\nMEDIA=serial\r\n" in text
    assert "\r\n\r\nDEVICE=modem\r\n" in text


@pytest.mark.parametrize(("part", "wrong"), [
    ("name", ""), ("name", "a]b"), ("name", "two\r\nlines"), ("name", "x" * 300), ("name", ".hidden"),
    ("port", "COM"), ("port", "COM0"), ("port", "LPT1"), ("port", "COM2\nDEVICE=null"),
    ("number", ""), ("number", "555\r\nX=1"), ("number", "call me"),
])
def test_what_would_break_the_file_is_refused(part: str, wrong: str) -> None:
    with pytest.raises(phonebook.NotAnEntry, match=f"expected the {part} of a dial-up connection"):
        phonebook.entry(**{"name": "Internet", part: wrong})


def test_the_commands() -> None:
    assert phonebook.dial_command(r"C:\rr\rrsim.pbk") == ("rasdial", "Internet", r"/phonebook:C:\rr\rrsim.pbk")
    assert phonebook.hang_up_command("Internet") == ("rasdial", "Internet", "/disconnect")


@pytest.mark.parametrize(("code", "phase", "ended"), [
    (676, "busy", "busy"), (678, "no carrier", "no answer"), (679, "no carrier", "no carrier"),
    (680, "no dial tone", "no dial tone"), (628, "dropped", "the line was cut"),
    (629, "dropped", "the provider hung up"), (631, "dropped", "the caller hung up"),
])
def test_codes_agree_with_the_modem(code: int, phase: str, ended: WhyEnded) -> None:
    assert phonebook.phase(code) == phase
    assert phonebook.EXPECTED[ended][0] == code
    assert phonebook.agrees(code, ended)
    assert not phonebook.agrees(0, ended)


def test_every_end_but_one_has_codes_and_every_code_a_meaning() -> None:
    assert set(phonebook.EXPECTED) == set(get_args(WhyEnded)) - {"the machine went down"}
    for codes in phonebook.EXPECTED.values():
        assert set(codes) <= set(phonebook.RAS_CODES)
    assert {650, 681, 719}.isdisjoint(phonebook.RAS_CODES)  # deprecated since Vista
    assert phonebook.meaning(676) == "the line is busy"
    assert "999" in phonebook.meaning(999)
    assert phonebook.phase(999) == phonebook.phase(623) == "not possible"
    assert phonebook.phase(0) == "connected"
    assert not phonebook.agrees(0, "the machine went down")
