"""The named models, one file each."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Model
from rrsim.explore.models.application import APPLICATION
from rrsim.explore.models.safe_mode import SAFE_MODE

MODELS: Final[dict[str, Model]] = {model.name: model for model in (APPLICATION, SAFE_MODE)}
"""All models by name."""


class UnknownModel(KeyError):
    """No model has this name."""


def named(name: str) -> Model:
    """Return the model of this name.

    Raises:
        UnknownModel: there is none; the message lists those there are.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModel(f"no model named {name!r}; models: {', '.join(MODELS)}") from None
