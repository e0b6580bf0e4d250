"""Shared building blocks of the scenario format: durations, and how field names become YAML keys."""

from __future__ import annotations

import msgspec


class Duration(int):
    """A span of time in microseconds. In YAML it reads ``9m``, ``600s``, ``1h30m``, ``9m59.999s`` or ``250ms``."""

    __slots__ = ()


def yaml_key(field: str) -> str:
    """Turn a Python field name into its YAML key: no unit suffix, no trailing underscore, spaces between words."""
    return field.removesuffix("_us").removesuffix("_").replace("_", " ")


class Words(msgspec.Struct, frozen=True, gc=False, cache_hash=True, forbid_unknown_fields=True, rename=yaml_key):
    """Base of everything a scenario file can hold."""
