"""Credentials come by reference only, are masked in every spelling, and a search finds one that is not."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.backends.live.credentials import FEWEST_CHARS, MASK, Mask, find, forms, resolve
from rrsim.machine.adapters import AdapterError
from rrsim.machine.observations import HostCall
from rrsim.protocol.records import ChatLine
from rrsim.scenario.result import CheckResult

CANARY = "canary-Wr6/key+2b9f=\"q\" 7a"
HEX = "5ca1ab1e0ddba11feedf00dcafed00d5"
LONG = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=FEWEST_CHARS, max_size=40)


# --- references ---------------------------------------------------------------------------------------------------


def test_a_variable_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_PASSWORD", f" {CANARY}\n")
    assert resolve("env:VENDOR_PASSWORD") == CANARY


def test_a_file_holds_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n", encoding="utf-8")
    assert resolve(f"file:{tmp_path / 'key'}") == CANARY


def test_the_thing_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(AdapterError, match="expected a credential as env:NAME or file:PATH") as caught:
        resolve(CANARY)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "says"),
    [("env:NOT_THERE_AT_ALL", "the variable NOT_THERE_AT_ALL"), ("file:/nonexistent/key", "FileNotFoundError")],
)
def test_nothing_behind_a_reference_is_said(reference: str, says: str) -> None:
    with pytest.raises(AdapterError, match=says):
        resolve(reference)


def test_a_short_one_cannot_be_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "abc1234")
    with pytest.raises(AdapterError, match="8 characters or more, saw 7") as caught:
        resolve("env:SHORT")
    assert "abc1234" not in str(caught.value)


# --- masks --------------------------------------------------------------------------------------------------------


def test_events_and_results_lose_it_and_nothing_else() -> None:
    mask = Mask([CANARY])
    line = ChatLine("session-1", 1, "customer", f"my key is {CANARY}!")
    assert mask.value(line) == msgspec.structs.replace(line, text=f"my key is {MASK}!")
    result = CheckResult(check="I1", outcome="failed", message=CANARY)
    assert mask.value((result, {"a": [CANARY]}, 3)) == (msgspec.structs.replace(result, message=MASK), {"a": [MASK]}, 3)


def test_what_holds_none_is_the_same_object() -> None:
    event = HostCall("ticket saved", ok=True)
    assert Mask([CANARY]).value(event) is event
    assert Mask([]).value(event) is event


@pytest.mark.parametrize("name", forms(CANARY))
def test_every_form_is_masked(name: str) -> None:
    data = forms(CANARY)[name]
    assert data not in Mask([CANARY]).data(b"before" + data + b"after")


def test_a_key_in_hexadecimal_digits_is_masked_as_bytes_too() -> None:
    masked = Mask([HEX]).data(b"\x01" + bytes.fromhex(HEX) + b"\x02" + base64.b64encode(b"x" + bytes.fromhex(HEX)))
    assert bytes.fromhex(HEX) not in masked
    assert masked.count(MASK.encode()) == 2


# --- the search ---------------------------------------------------------------------------------------------------


@given(secret=LONG, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_of_something_longer_is_found_wherever_it_begins(secret: str, before: bytes, after: bytes) -> None:
    for data in (secret.encode(), secret.encode("utf-16-le")):
        text = base64.b64encode(before + data + after)
        assert any(form in text for form in forms(secret).values())
        assert Mask([secret]).data(text) != text


@pytest.mark.parametrize("name", forms(HEX))
def test_a_planted_secret_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "agent.log").write_bytes(b"\x00\xff log: " + forms(HEX)[name] + b"\r\n")
    (tmp_path / "result.json").write_text("{}", encoding="utf-8")
    found = find(tmp_path, HEX)
    assert f"evidence/agent.log: {name}" in found
    assert all(place.startswith("evidence/agent.log: ") for place in found)


def test_a_secret_in_a_files_name_is_found(tmp_path: Path) -> None:
    (tmp_path / f"log-{HEX}.txt").write_bytes(b"")
    assert any("in its name" in place for place in find(tmp_path, HEX))


def test_a_clean_folder_holds_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(Mask([HEX]).data(b"key " + HEX.encode()))
    assert find(tmp_path, HEX) == ()
