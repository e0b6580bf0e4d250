"""What a scenario needs of a machine: nothing that can happen is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from rrsim.machine.interface import Capability
from rrsim.protocol.settings import MINUTE_US, Account
from rrsim.scenario import actions, needs
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import CustomerHabits, Expect, ExpectedEvent, Given, Moment, PcSetup, Scenario, Step
from rrsim.scenario.words import Duration

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = get_args(actions.AnyAction)
PC_NEEDS_NOTHING = {
    "prompts_to_dial": "matters with dial-up only, which is a need of its own",
    "wifi_returns_after_us": "matters with Wi-Fi only, which is a need of its own",
}
"""Settings of a PC that need nothing of a machine, and why."""
OTHER_VALUES: dict[str, tuple[Any, ...]] = {
    "network": ("wifi", "vpn", "dial-up"), "updates": ("short", "long", "second restart"),
    "bitlocker": ("pin", "asks after boot change"),
    "logon": ("automatic", "automatic but ignored", "automatic with wrong password"),
    "wifi_returns_after_us": (Duration(1),),
}


ORDINARY, AT_ONCE = Given(), Moment()


def case(*steps: Any, given: Given = ORDINARY, moment: Moment = AT_ONCE, **more: Any) -> Scenario:
    """Return a scenario with these actions."""
    return Scenario(name="a case", given=given, steps=tuple(Step(moment, one) for one in steps), **more)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: str(action.__struct_config__.tag))
def test_every_action_needs_something_or_says_why_not(action: type) -> None:
    entry, reason = needs._ACTIONS.get(action, ()), needs.NEED_NOTHING.get(action, "")
    assert bool(entry) != bool(reason), "add the capability to _ACTIONS, or a reason to NEED_NOTHING"
    assert set(entry) <= set(get_args(Capability))
    assert len(reason) == 0 or len(reason) > 10


@pytest.mark.parametrize("said", ["message hello", "message welcome"])
def test_what_is_said_before_a_session_is_claimed_can_be_no_moment_on_a_real_connection(said: str) -> None:
    assert "exact trigger" in needs.needs(case(actions.CarrierLost(), moment=Moment(when=said)))
    assert "exact trigger" in needs.needs(case(expect=Expect(events=(ExpectedEvent(event=said, times=1),))))
    assert "exact trigger" not in needs.needs(case(actions.CarrierLost(), moment=Moment(when="message resume")))


def test_a_block_screen_that_nobody_answers_has_to_give_up_by_itself() -> None:
    waits = CustomerHabits(at_block_screen="wait")
    found = needs.needs(case(actions.AppBlocks(), actions.RepRestarts(), given=Given(customer=waits)))
    assert "block screen that gives up" in found
    cancels = CustomerHabits(at_block_screen="cancel")
    assert "block screen that gives up" not in needs.needs(case(actions.AppBlocks(), given=Given(customer=cancels)))
    ended = needs.needs(case(actions.AppBlocks(), actions.AppLetsGo(), given=Given(customer=waits)))
    assert "block screen that gives up" not in ended


@pytest.mark.parametrize("network", ["lan", "wifi"])
def test_an_agent_that_is_back_at_once_leaves_no_time_to_cancel(network: str) -> None:
    pc = msgspec.structs.replace(PcSetup(), network=network)
    assert "exact trigger" in needs.needs(case(actions.CustomerCancelsReconnect(), given=Given(pc=pc)))


def test_an_installers_work_that_waits_through_safe_mode_is_more_than_a_file_to_rename() -> None:
    assert "installer faults" in needs.needs(case(actions.InstallerRuns(), actions.RepRestarts(mode="safe")))
    assert "installer faults" not in needs.needs(case(actions.InstallerRuns(), actions.RepRestarts()))


def test_no_entry_is_for_an_action_that_is_gone() -> None:
    assert set(needs._ACTIONS) | set(needs.NEED_NOTHING) == set(ACTIONS)


@pytest.mark.parametrize("name", PcSetup.__struct_fields__)
def test_every_setting_of_a_pc_needs_something_or_says_why_not(name: str) -> None:
    default = getattr(PcSetup(), name)
    for value in OTHER_VALUES.get(name, (not default,) if isinstance(default, bool) else ()) or pytest.fail(name):
        found = needs.needs(case(given=Given(pc=msgspec.structs.replace(PcSetup(), **{name: value}))))
        assert bool(found) != (name in PC_NEEDS_NOTHING), f"pc {name}: {value!r}"
        assert set(found) <= set(get_args(Capability))


def test_an_ordinary_case_needs_nothing() -> None:
    assert needs.needs(case(actions.RepTakes(), actions.RepRestarts(), actions.Wait())) == {}


@pytest.mark.parametrize(("given", "capability"), [
    (Given(platform="mac"), "mac customer"), (Given(platform="linux"), "linux customer"),
    (Given(customer=CustomerHabits(logs_on="other user")), "other user"),
    (Given(customer=CustomerHabits(logs_on="temporary profile")), "temporary profile"),
    (Given(customers=2), "several customers"), (Given(durations={"pc firmware": Duration(1)}), "fixed boot times"),
])  # fmt: skip
def test_what_is_given_is_needed(given: Given, capability: Capability) -> None:
    assert set(needs.needs(case(given=given))) == {capability}


def test_a_duration_that_is_not_the_pcs_is_no_need() -> None:
    assert needs.needs(case(given=Given(durations={"person reacts": Duration(1)}))) == {}


@pytest.mark.parametrize(("action", "more"), [
    (actions.RepRestarts(mode="safe"), "safe mode"), (actions.CustomerLogsOn(how="other user"), "other user"),
    (actions.CustomerLogsOn(how="temporary profile"), "temporary profile"),
    (actions.InstallerRuns(deletes_agent=True), "installer faults"),
    (actions.InstallerRuns(survives_boots=2), "installer faults"),
    (actions.InstallerRuns(shows_dialog=False), "silent installer"),
])  # fmt: skip
def test_how_an_action_is_done_can_need_more(action: Any, more: Capability) -> None:
    assert more in needs.needs(case(action))
    assert more not in needs.needs(case(type(action)()))


def test_the_reason_names_the_step_and_the_first_one_is_told() -> None:
    found = needs.needs(case(actions.Wait(), actions.PowerCut(), actions.PowerReturns()))
    assert found == {"power cut": "step 2: power is cut"}


@pytest.mark.parametrize("when", ["agent does", "host call"])
def test_a_fault_right_after_an_act_of_the_agents_needs_an_exact_machine(when: str) -> None:
    assert "exact trigger" in needs.needs(case(actions.Wait(), moment=Moment(when=when)))
    assert needs.needs(case(actions.Wait(), moment=Moment(when="boot began"))) == {}


def test_what_is_expected_can_be_a_need() -> None:
    assert set(needs.needs(case(expect=Expect(left_behind=("file:ticket",))))) == {"security tool"}


def test_a_moment_too_close_to_a_deadline_is_named() -> None:
    account = Account(resume_window_us=10 * MINUTE_US)
    late = case(actions.Wait(), moment=Moment(delay_us=Duration(10 * MINUTE_US - 1_000_000)))
    found = needs.too_close(late, account, 100_000, 20)
    assert found == "step 1 is 599 s, the resume window 600 s"
    assert needs.too_close(late, account, 100_000, 10) == ""
    assert needs.too_close(case(actions.WallClockJumps(by_us=Duration(10 * MINUTE_US))), account, 100_000, 20) == ""
    for given in (Given(customer=CustomerHabits(logs_on_after_us=Duration(10 * MINUTE_US))),
                  Given(durations={"customer reacts": Duration(10 * MINUTE_US)})):  # fmt: skip
        assert needs.too_close(case(given=given), account, 100_000, 1)
    cut = actions.PowerCut(returns_after_us=Duration(10 * MINUTE_US))
    assert needs.too_close(case(cut), account, 1, 1).startswith("step 1, returns after is 600 s")


def test_lines_of_the_chat_that_come_too_close_are_named() -> None:
    account, step = Account(resume_window_us=10 * MINUTE_US), Moment(delay_us=Duration(2_000_000))
    lines = case(
        actions.CustomerChats(text="hello"), actions.RepChats(text="hi"), actions.RepChats(text="welcome"), moment=step,
    )
    assert needs.too_close(lines, account, 1_500_000, 30) == "two lines of the chat are 2 s apart"
    assert needs.too_close(lines, account, 1_500_000, 1) == ""
    alone = case(actions.RepChats(text="hi"), actions.RepChats(text="welcome"), moment=step)
    assert needs.too_close(alone, account, 1_500_000, 30) == ""


def test_every_scenario_of_ours_can_be_asked() -> None:
    asked = [needs.needs(one) for one in load_paths([str(ROOT / "scenarios")]).scenarios]
    assert any(not found for found in asked)
    assert {name for found in asked for name in found} <= set(get_args(Capability))
