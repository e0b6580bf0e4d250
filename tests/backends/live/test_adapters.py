"""Adapters are found by their names in the entry points."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from rrsim.backends.live import adapters
from rrsim.machine.adapters import AdapterError


class Fine:
    """An adapter of another product."""


class Broken:
    """An adapter that cannot be made."""

    def __init__(self) -> None:
        raise KeyError("no licence")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pretend that these are installed."""
    here = {"fine": "Fine", "broken": "Broken", "gone": "Gone"}
    found: dict[str, list[EntryPoint]] = {
        adapters.AGENTS: [EntryPoint(name, f"{__name__}:{cls}", adapters.AGENTS) for name, cls in here.items()]
        + [EntryPoint("absent", "no_such_module_anywhere:Agent", adapters.AGENTS)],
    }
    monkeypatch.setattr(adapters, "entry_points", lambda group: found.get(group, []))
    monkeypatch.setattr(EntryPoint, "load", _load)
    adapters._installed.cache_clear()
    yield
    adapters._installed.cache_clear()


def _load(entry: EntryPoint) -> Any:
    if entry.module != __name__:
        raise ModuleNotFoundError(f"No module named {entry.module!r}")
    return globals()[entry.attr]


def test_each_run_gets_an_adapter_of_its_own() -> None:
    first = adapters.load(adapters.AGENTS, "fine")
    assert isinstance(first, Fine)
    assert adapters.load(adapters.AGENTS, "fine") is not first


def test_an_unknown_name_is_told_with_those_that_are_installed() -> None:
    with pytest.raises(AdapterError, match=r"'other' in the entry point group rrsim\.agents; installed: absent, "):
        adapters.load(adapters.AGENTS, "other")
    with pytest.raises(AdapterError, match=r"installed: none; .*docs/adapters\.md"):
        adapters.load(adapters.SERVERS, "rrsim")


@pytest.mark.parametrize(("name", "why"), [
    ("broken", "KeyError: 'no licence'"), ("gone", "KeyError: 'Gone'"),
    ("absent", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
])
def test_an_adapter_that_cannot_be_loaded_says_why(name: str, why: str) -> None:
    with pytest.raises(AdapterError) as caught:
        adapters.load(adapters.AGENTS, name)
    assert str(caught.value) == f"the adapter {name!r} of rrsim.agents cannot be loaded: {why}"
    assert caught.value.__cause__ is not None
