"""Boot identity: two witnesses or an error, never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rrsim.machine.identity import (
    BeforeUnreadable,
    BootIdentity,
    Disagree,
    New,
    Same,
    TooFewWitnesses,
    compare,
    require_readable,
)

BEFORE = BootIdentity(mark="a", boot_time_us=1_000_000, host_resets=3, host_reason="guest reset", agent_boots=5)
AFTER = BootIdentity(mark="b", boot_time_us=90_000_000, host_resets=4, host_reason="guest reset", agent_boots=6)


def test_all_witnesses_agree() -> None:
    assert compare(BEFORE, AFTER) == New(("mark", "kernel boot time", "host", "agent counter"))
    assert compare(BEFORE, BEFORE) == Same(("mark", "kernel boot time", "host", "agent counter"))


def test_drift_within_the_tolerance_is_the_same_boot() -> None:
    edge = replace(BEFORE, boot_time_us=2_000_000)
    assert isinstance(compare(BEFORE, edge), Same)
    beyond = compare(BEFORE, replace(BEFORE, boot_time_us=2_000_001))
    assert beyond == Disagree(new=("kernel boot time",), same=("mark", "host", "agent counter"))
    assert "kernel boot time say new" in str(beyond)


def test_fast_startup_is_the_same_boot_although_the_host_saw_a_power_on() -> None:
    after = replace(BEFORE, host_resets=4, host_reason="power on")
    assert compare(BEFORE, after) == Same(("mark", "kernel boot time", "agent counter"))


def test_host_reset_without_a_new_kernel_is_a_contradiction() -> None:
    assert isinstance(compare(BEFORE, replace(BEFORE, host_resets=4)), Disagree)


def test_a_counter_that_went_back_says_nothing() -> None:
    assert compare(BEFORE, replace(AFTER, agent_boots=0)) == New(("mark", "kernel boot time", "host"))


@pytest.mark.parametrize(
    "before",
    [
        BootIdentity(),
        BootIdentity(mark="a"),
        BootIdentity(host_resets=1, agent_boots=1),
    ],
)
def test_unreadable_before_is_refused(before: BootIdentity) -> None:
    with pytest.raises(BeforeUnreadable, match="needs two witnesses"):
        require_readable(before)
    with pytest.raises(BeforeUnreadable):
        compare(before, AFTER)


@pytest.mark.parametrize(
    "after",
    [BootIdentity(), BootIdentity(mark="b"), BootIdentity(host_resets=4, host_reason="guest reset", agent_boots=6)],
)
def test_too_few_witnesses_afterwards_prove_nothing(after: BootIdentity) -> None:
    with pytest.raises(TooFewWitnesses, match="two witnesses are needed"):
        compare(BEFORE, after)


identities = st.builds(
    BootIdentity, mark=st.sampled_from([None, "a", "b"]), boot_time_us=st.sampled_from([None, 0, 9_000_000]),
    host_resets=st.sampled_from([None, 1, 2]), host_reason=st.sampled_from(["guest reset", "power on"]),
    agent_boots=st.sampled_from([None, 1, 2]),
)


@given(identities, identities)
def test_two_agreeing_witnesses_or_a_named_outcome(before: BootIdentity, after: BootIdentity) -> None:
    try:
        outcome = compare(before, after)
    except (BeforeUnreadable, TooFewWitnesses):
        return
    if isinstance(outcome, Disagree):
        assert outcome.new
        assert outcome.same
    else:
        assert len(outcome.witnesses) >= 2
        assert {"mark", "kernel boot time"} & set(outcome.witnesses)
    if isinstance(outcome, New) and before.mark is not None and after.mark is not None:
        assert before.mark != after.mark
