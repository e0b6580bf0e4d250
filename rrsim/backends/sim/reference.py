"""The three reference scenarios that speed is measured on (``rrsim bench``). Fixed: changing one changes figures."""

from __future__ import annotations

from typing import Final

from rrsim.scenario.actions import CustomerChats, RepChats, RepRestarts
from rrsim.scenario.model import (
    AccountSettings,
    CustomerHabits,
    Expect,
    Given,
    Moment,
    PcSetup,
    Scenario,
    Step,
)
from rrsim.scenario.words import Duration

_SECOND: Final = 1_000_000


def _at(seconds: int) -> Moment:
    return Moment(at_us=Duration(seconds * _SECOND))


APPLICATION: Final = Scenario(
    name="reference-application",
    about="Application mode: the representative restarts from the chat window, the customer logs on, all goes on.",
    covers=("R1", "R4", "R7", "R8", "R9"),
    given=Given(account=AccountSettings(ask_before_restart=True, ask_before_sharing=True)),
    steps=(
        Step(_at(5), RepChats(text="I have to restart your PC.")),
        Step(_at(20), RepRestarts()),
        Step(Moment(when="endpoint resumed", delay_us=Duration(20 * _SECOND)), CustomerChats(text="I am back.")),
    ),
    expect=Expect(verdict="resumed", session="active", sharing=True),
)

SAFE_MODE: Final = Scenario(
    name="reference-safe-mode",
    about="Service mode: into safe mode with networking and, by a second restart, out of it again.",
    covers=("R1", "R2", "I6", "I10"),
    given=Given(agent="service"),
    steps=(
        Step(_at(5), RepRestarts(mode="safe", from_="tools menu")),
        Step(Moment(when="endpoint resumed", delay_us=Duration(30 * _SECOND)), RepRestarts(from_="viewer toolbar")),
    ),
    expect=Expect(session="active"),
)

DIAL_UP: Final = Scenario(
    name="reference-dial-up",
    about="Dial-up: the line is busy first, the customer dials again and the session goes on; long chat around it.",
    covers=("R1", "R12", "I12"),
    given=Given(
        pc=PcSetup(network="dial-up"),
        customer=CustomerHabits(dials_after_us=Duration(60 * _SECOND), redials=3),
        account=AccountSettings(ask_before_restart=True),
    ),
    steps=(
        *(Step(_at(5 + 6 * i), CustomerChats(text=f"line {i} of the customer")) for i in range(6)),
        *(Step(_at(8 + 6 * i), RepChats(text=f"line {i} of the representative")) for i in range(6)),
        Step(_at(60), RepRestarts()),
        Step(Moment(when="endpoint resumed", delay_us=Duration(10 * _SECOND)), CustomerChats(text="dialled in again")),
    ),
    expect=Expect(verdict="resumed", session="active"),
)

REFERENCES: Final = (APPLICATION, SAFE_MODE, DIAL_UP)
