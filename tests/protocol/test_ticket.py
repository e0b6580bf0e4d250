"""Tickets and keys (rule 5): bound to what they are for, sealed, worthless elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.protocol.ticket import NoFresh, derive, matches, seal

FIELDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4)


@given(st.text(min_size=1, max_size=8), FIELDS, FIELDS)
def test_a_seal_matches_its_own_binding_only(secret: str, binding: list[str], other: list[str]) -> None:
    made = seal(secret, *binding)
    assert matches(made, secret, *binding)
    assert matches(made, secret, *other) == (binding == other)
    assert not matches(made, secret + "x", *binding)


def test_fields_do_not_run_into_each_other() -> None:
    assert seal("t", "ab", "c") != seal("t", "a", "bc")
    assert seal("t", "a") != seal("t", "a", "")


def test_session_machine_and_number_are_bound() -> None:
    made = seal("t", "session-1", "machine-1", 1)
    assert not matches(made, "t", "session-2", "machine-1", 1)
    assert not matches(made, "t", "session-1", "machine-2", 1)
    assert not matches(made, "t", "session-1", "machine-1", 2)


def test_an_empty_seal_matches_nothing() -> None:
    assert not matches("", "", "session-1")
    assert not matches("", "t", "session-1")


def test_a_seal_does_not_show_its_secret() -> None:
    assert "secret" not in seal("secret", "a")
    assert len(seal("secret", "a")) == 64


def test_purposes_and_fresh_strings_give_different_secrets() -> None:
    made = {derive(fresh, purpose) for fresh in ("f1", "f2") for purpose in ("ticket", "live key")}
    assert len(made) == 4
    assert derive("f1", "ticket") == derive("f1", "ticket")


def test_no_secret_comes_from_nothing() -> None:
    with pytest.raises(NoFresh, match="fresh"):
        derive("", "ticket")
