"""The account of a scenario: a profile, and the scenario's own changes."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.protocol.settings import PROFILES, Account
from rrsim.scenario.accounts import account_of
from rrsim.scenario.model import AccountSettings, Given
from rrsim.scenario.words import Duration

CHANGED: dict[str, Any] = {"window_opens": "order", "window_closes": "connected"}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_without_changes_it_is_the_profile(profile: str) -> None:
    assert account_of(Given(profile=profile)) == PROFILES[profile]


@pytest.mark.parametrize("name", AccountSettings.__struct_fields__)
def test_every_setting_of_a_scenario_arrives_in_the_account(name: str) -> None:
    assert name in Account.__struct_fields__
    before = getattr(PROFILES["gotoassist-corporate"], name)
    value = CHANGED[name] if name in CHANGED else not before if isinstance(before, bool) else Duration(before + 1)
    after = account_of(Given(account=AccountSettings(**{name: value})))
    assert getattr(after, name) == value != before
    assert type(getattr(after, name)) in (bool, int, str)  # a Duration is a word of scenarios, not of the protocol
    assert account_of(Given()) == PROFILES["gotoassist-corporate"]


def test_false_and_zero_are_changes_too() -> None:
    account = account_of(Given(account=AccountSettings(restart_allowed=False, idle_timeout_us=Duration(0))))
    assert account.restart_allowed is False
    assert account.idle_timeout_us == 0
