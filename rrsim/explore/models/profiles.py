"""Every named profile of account settings (rule 10), each with one restart and one misfortune of any kind."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Model
from rrsim.explore.models.common import CALAMITIES, ENDINGS, LEFT_OUT, ONE_OF_ANY, RESTARTS, WINDOWS
from rrsim.protocol.settings import PROFILES, Account

_ENDS_OFFLINE: Final = ("session offline", "resumed late", "session ended")
_ALSO: Final[dict[str, tuple[str, ...]]] = {
    "setme": ("resumed from a foreign boot",), "auto-accept": ("silence accepted",),
    "remote-access": ("screen shared again",),
}  # fmt: skip


def _model(account: Account) -> Model:
    ends = ENDINGS if account.expiry_final else _ENDS_OFFLINE
    return Model(
        name=f"profile-{account.profile}",
        about=f"The profile {account.profile} in application mode, one restart, one misfortune of any kind.",
        account=account,
        sharing=account.needs_viewer,
        budget=ONE_OF_ANY,
        must_reach=(*RESTARTS, *ends, *CALAMITIES, *WINDOWS, *_ALSO.get(account.profile, ())),
        left_out=(
            "what the profile says about queued sessions and about durations (those alone make no other states)",
            "two misfortunes together, a second restart", *LEFT_OUT,
        ),
    )  # fmt: skip


PROFILE_MODELS: Final = tuple(_model(account) for account in PROFILES.values())
"""One model a profile, in their order."""
