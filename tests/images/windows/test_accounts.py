"""Passwords: drawn or taken by reference, kept for the owner only, and shown nowhere."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rrsim.images.windows import accounts, recipe
from rrsim.images.windows.accounts import PasswordsUnsafe
from rrsim.machine.adapters import AdapterError

ROOT = Path(__file__).parents[3] / "vm_images"


def test_each_account_has_a_password_of_its_own() -> None:
    draws = iter("ab" * 32 if turn % 2 else "cd" * 32 for turn in range(9))
    minted = accounts.mint(recipe.read(ROOT, "windows-11"), lambda: next(draws))
    assert set(minted) == {"rradmin", "customer"}
    assert len(set(minted.values())) == 2
    for password in minted.values():
        kinds = [any(map(test, password)) for test in (str.isupper, str.islower, str.isdigit)]
        assert all(kinds)
        assert len(password) >= 20
        assert password.isalnum()


def test_servers_have_the_built_in_account_too() -> None:
    minted = accounts.mint(recipe.read(ROOT, "windows-server-2022"), lambda: "ef" * 32)
    assert set(minted) == {"rradmin", "customer", "Administrator"}


def test_a_password_is_taken_by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    one = recipe.read(ROOT, "windows-11")
    first, second = one.description.accounts
    own = msgspec.structs.replace(one, description=msgspec.structs.replace(
        one.description, accounts=(msgspec.structs.replace(first, password="env:RRSIM_TEST_PW"), second)
    ))  # fmt: skip
    with pytest.raises(AdapterError, match="RRSIM_TEST_PW"):
        accounts.mint(own, lambda: "ab" * 32)
    monkeypatch.setenv("RRSIM_TEST_PW", "My-Own-Word-1")
    assert accounts.mint(own, lambda: "ab" * 32)["rradmin"] == "My-Own-Word-1"


def test_the_file_is_its_owner_s_only_and_replaced_as_a_whole(tmp_path: Path) -> None:
    accounts.keep(tmp_path, {"a": "1"})
    path = accounts.keep(tmp_path, {"a": "2", "b": "3"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert accounts.load(tmp_path) == {"a": "2", "b": "3"}
    assert [one.name for one in tmp_path.iterdir()] == [accounts.FILE]


def test_a_file_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PasswordsUnsafe, match="No such file"):
        accounts.load(tmp_path)
    path = accounts.keep(tmp_path, {"a": "1"})
    path.chmod(0o640)
    with pytest.raises(PasswordsUnsafe, match="saw mode 640"):
        accounts.load(tmp_path)
    path.chmod(0o600)
    path.write_text("[1]")
    with pytest.raises(PasswordsUnsafe, match="no such JSON"):
        accounts.load(tmp_path)
