"""The account under which a scenario runs. Pure."""

from __future__ import annotations

import msgspec

from rrsim.protocol.settings import Account, profile
from rrsim.scenario.model import Given
from rrsim.scenario.words import Duration


def account_of(given: Given) -> Account:
    """Return the account's settings: the named profile with the scenario's own changes."""
    changes = {}
    for field in given.account.__struct_fields__:
        value = getattr(given.account, field)
        if value is not None:
            changes[field] = int(value) if isinstance(value, Duration) else value
    return msgspec.structs.replace(profile(given.profile), **changes)
