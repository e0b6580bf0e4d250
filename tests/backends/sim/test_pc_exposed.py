"""The modelled PC sees a ticket that lies in plain sight, whoever put it there (rule 5, SE-03, SE-04)."""

from __future__ import annotations

from rrsim.agent import host
from rrsim.backends.sim import pc
from rrsim.backends.sim.pc.inventory import exposed
from rrsim.backends.sim.pc.state import Autostart, Disk
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.protocol.messages import AgentSettings
from rrsim.scenario.model import PcSetup

RECORD = host.Saved(
    session="session-1", machine="machine-1", order=1, ticket="open sesame", boot="boot-1", boot_mode="normal",
    intent=True, safe_key=False, settings=AgentSettings(),
)
PLAIN = Autostart("HKCU", "RunOnce", "!*rragent", "rragent", "customer")
TELLTALE = Autostart("HKCU", "RunOnce", "!*rragent", "rragent --ticket 'open sesame'", "customer")


def test_a_protected_record_is_not_exposed() -> None:
    assert exposed(Disk(record=RECORD, entries=(PLAIN,))) == ()


def test_a_readable_record_is_exposed() -> None:
    assert exposed(Disk(record=RECORD, readable=True)) == ("file:ticket",)


def test_a_ticket_on_a_command_line_is_exposed() -> None:
    assert exposed(Disk(record=RECORD, entries=(TELLTALE,))) == ("command line of registry:HKCU/RunOnce/!*rragent",)


def test_without_a_record_there_is_nothing_to_expose() -> None:
    assert exposed(Disk(readable=True, entries=(TELLTALE,))) == ()


def test_the_pc_says_so_once_for_each_place() -> None:
    turn = Turn(pc.initial(PcSetup(), "application", "windows", "machine-1"))
    turn.disk(record=RECORD)
    turn.disk(readable=True)
    turn.disk(program=True)
    turn.disk(entries=(TELLTALE,))
    said = [effect.what for effect in turn.effects if hasattr(effect, "what")]
    assert said == [
        seen.SecretSeen("file:ticket"), seen.SecretSeen("command line of registry:HKCU/RunOnce/!*rragent"),
    ]
