"""What a live run is worth as evidence: no stand-in may carry the decision under test."""

from __future__ import annotations

import pytest

from rrsim.backends.live import mac
from rrsim.backends.live.wine import parts
from rrsim.scenario.grading import DECIDES, PREFIX, decided_by, grade, short_name

CARRIED = tuple(parts.STAND_INS[name] for name in ("sign-in", "shutdown API", "service controls", "eyes", "watcher"))
SAFE_BOOT = (*CARRIED, parts.STAND_INS["boot options"], parts.STAND_INS["safe boot"])


@pytest.mark.parametrize("id_", ["R1", "R3", "R4", "R5", "R6", "R7", "R9", "R11", "R13", "R14", "I1", "rule 3"])
def test_what_only_carries_spoils_nothing(id_: str) -> None:
    """Power, sign-in, restart requests and eyes are stand-ins of every run: agent, server and clicks decide."""
    assert grade(id_, "wine", CARRIED, service=False) == "real"
    assert grade(id_, "sim", (), service=False) == "modelled"


@pytest.mark.parametrize("id_", ["R2", "I6", "I7", "I10", "rule 7"])
def test_a_safe_boot_decides_what_is_about_the_boot_flag(id_: str) -> None:
    """The same ids are real where no boot option was touched, such as a safe mode that is refused."""
    assert grade(id_, "wine", SAFE_BOOT, service=True) == "stand-in"
    assert grade(id_, "wine", CARRIED, service=False) == "real"


def test_who_starts_the_agent_after_a_restart() -> None:
    """Application mode: the stand-in runs autostart entries. Service mode: Wine's own service manager does."""
    assert grade("R8", "wine", CARRIED, service=False) == "stand-in"
    assert grade("R8", "wine", CARRIED, service=True) == "real"


def test_a_mac_that_is_a_process() -> None:
    """The server's refusal is real; that nothing restarts the Mac is no merit of anybody's."""
    assert grade("R10", "wine", (mac.STAND_IN,), service=False) == "real"
    assert decided_by("I8", (mac.STAND_IN,), service=False) == ("Mac",)


def test_dial_up_is_played() -> None:
    """R12 is decided by the relay, R13 by the server's clock."""
    used = (*CARRIED, "stand-in: dial-up (phases of the relay)")
    assert grade("R12", "wine", used, service=False) == "stand-in"
    assert grade("R13", "wine", used, service=False) == "real"


def test_a_stand_in_that_is_not_known_decides_everything() -> None:
    """A new stand-in has to be thought about first."""
    assert grade("R1", "wine", ("stand-in: whole Windows (a puppet)",), service=False) == "stand-in"


def test_every_stand_in_there_is_has_been_thought_about() -> None:
    """Names in reports and names in the table are the same."""
    names = [*parts.STAND_INS.values(), mac.STAND_IN]
    assert [n for n in names if n.startswith(PREFIX) and short_name(n) not in DECIDES] == []
