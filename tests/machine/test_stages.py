"""Readiness stages and the machine interface."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rrsim.machine.interface import Machine, MissingCapability, all_capabilities, require
from rrsim.machine.stages import ABOUT, ORDER, Progress, StageOutOfOrder, not_reached, note, reach


def test_stages_are_reached_in_order() -> None:
    progress = Progress()
    for stage in ORDER:
        assert progress.waiting_for == stage
        assert not progress.ready
        progress = reach(progress, stage)
    assert progress.ready
    assert progress.waiting_for is None
    assert set(ABOUT) == set(ORDER)


def test_an_answering_port_is_no_new_boot() -> None:
    with pytest.raises(StageOutOfOrder, match="'transport answers' was reported while 'new boot' is still awaited"):
        reach(Progress(), "transport answers")


def test_a_stage_counts_once() -> None:
    once = reach(Progress(), "new boot", "mark changed")
    assert reach(once, "new boot") == once
    assert once.last_seen == "mark changed"


def test_a_stage_that_does_not_come_says_what_was_seen_last() -> None:
    error = not_reached(note(reach(Progress(), "new boot"), "connection refused"), 12_500_000)
    for part in ("waited 12.5 s", "'transport answers'", "reached: new boot", "last seen: connection refused"):
        assert part in str(error)


class _Wired:
    name = "vm-1"
    capabilities = frozenset({"restart", "reset"})


def test_a_missing_capability_is_named() -> None:
    machine = cast(Machine, cast(Any, _Wired()))
    require(machine, "restart")
    with pytest.raises(MissingCapability, match="vm-1 cannot do: dial, safe mode; it can: reset, restart"):
        require(machine, "safe mode", "dial", "restart")
    assert _Wired.capabilities < all_capabilities()
