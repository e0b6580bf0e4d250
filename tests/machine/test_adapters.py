"""The interfaces of plug-ins: the bundled agent and server have everything that is asked of one."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest

from rrsim.agent.adapter import BundledAgent
from rrsim.machine import adapters
from rrsim.machine.adapters import AgentAdapter, ServerAdapter, Watch
from rrsim.machine.observations import HostVerb
from rrsim.protocol.messages import AgentMode
from rrsim.server.adapter import BundledServer

PAIRS = [(AgentAdapter, BundledAgent), (ServerAdapter, BundledServer)]


@pytest.mark.parametrize(("interface", "bundled"), PAIRS)
def test_the_bundled_adapters_are_complete(interface: Any, bundled: Any) -> None:
    for name in interface.__annotations__:
        assert hasattr(bundled, name), f"{bundled.__name__} does not say its {name}"
    methods = {name: one for name, one in vars(interface).items() if inspect.isfunction(one) and name[0] != "_"}
    assert methods
    for name, wanted in methods.items():
        there = getattr(bundled, name)
        assert list(inspect.signature(there).parameters) == list(inspect.signature(wanted).parameters), name
        waits = inspect.iscoroutinefunction(wanted), inspect.isasyncgenfunction(there)
        assert inspect.iscoroutinefunction(there) == waits[0] or waits[1], name


def test_what_they_say_of_themselves_can_be_understood() -> None:
    assert BundledAgent().modes <= set(get_args(AgentMode))
    assert BundledServer().observes <= {"server", "wire", "console"}
    assert all(name == name.lower() and name.endswith(".exe") for name in BundledAgent.executables)


@pytest.mark.parametrize("mode", get_args(AgentMode))
def test_every_watch_tells_of_calls_that_checks_know(mode: AgentMode) -> None:
    for watch in BundledAgent().watches(mode):
        assert watch.kind in ("file", "value", "key")
        verbs = {watch.appears, watch.goes, watch.changes, watch.marked} - {None}
        assert verbs
        assert verbs <= set(get_args(HostVerb))
        assert bool(watch.marker) == (watch.marked is not None)
        assert (r"\\" in watch.path) == (watch.kind == "value")  # two backslashes stand before a value's name


def test_a_watch_of_nothing_tells_nothing() -> None:
    watch = Watch("file", r"C:\x")
    assert {watch.appears, watch.goes, watch.changes, watch.marked} == {None}


def test_an_adapter_that_fails_is_the_harnesss_error_and_no_verdict() -> None:
    assert issubclass(adapters.AdapterError, RuntimeError)
