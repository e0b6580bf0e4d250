"""The named models, one file a subject, in two sets: *standard* for every commit, *nightly* as deep as can be."""

from __future__ import annotations

from typing import Final, Literal

from rrsim.explore.model import Model
from rrsim.explore.models.application import APPLICATION, SECOND_RESTART, TWO_MISFORTUNES
from rrsim.explore.models.customers import TWO_CUSTOMERS, TWO_CUSTOMERS_DEEP
from rrsim.explore.models.dial_up import DIAL_UP
from rrsim.explore.models.duplicates import DUPLICATES
from rrsim.explore.models.mac import MAC
from rrsim.explore.models.phone import PHONE, PHONE_DEEP
from rrsim.explore.models.profiles import PROFILE_MODELS
from rrsim.explore.models.refusals import REFUSALS, SERVICE_REFUSALS, SERVICE_REFUSALS_DEEP
from rrsim.explore.models.safe_mode import SAFE_MODE, SAFE_MODE_CUT_SHORT, SAFE_MODE_DEEP
from rrsim.explore.models.service import SERVICE, SERVICE_DEEP, SERVICE_SECOND
from rrsim.explore.models.strangers import SECOND_MACHINE

SetName = Literal["standard", "nightly"]

MODELS: Final[dict[str, Model]] = {
    model.name: model
    for model in (
        APPLICATION, SECOND_RESTART, SERVICE, SERVICE_SECOND, SAFE_MODE, SAFE_MODE_CUT_SHORT, PHONE, DIAL_UP,
        TWO_CUSTOMERS, MAC, *PROFILE_MODELS, SECOND_MACHINE, DUPLICATES, REFUSALS, SERVICE_REFUSALS,
        TWO_MISFORTUNES, SERVICE_DEEP, SAFE_MODE_DEEP, PHONE_DEEP, TWO_CUSTOMERS_DEEP, SERVICE_REFUSALS_DEEP,
    )
}  # fmt: skip
"""All models by name, the standard ones first."""


class UnknownModel(KeyError):
    """No model has this name."""


def named(name: str) -> Model:
    """Return the model of this name; a space in it counts as a hyphen.

    Raises:
        UnknownModel: there is none; the message lists those there are.
    """
    try:
        return MODELS[name.replace(" ", "-")]
    except KeyError:
        raise UnknownModel(f"no model named {name!r}; models: {', '.join(MODELS)}") from None


def of_set(name: SetName) -> tuple[Model, ...]:
    """Return the models of a set: the standard ones, or those that are searched at night."""
    return tuple(model for model in MODELS.values() if model.nightly == (name == "nightly"))
