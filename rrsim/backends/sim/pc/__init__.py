"""The modelled Windows PC: one pure step function over frozen, hashable, finite state.

What it claims about Windows is a model of published facts; every range and rule says where it comes from. The PC is
the witness outside the agent: it records what really happened to it, whoever asked for it.

Files, one concern each: ``state`` what a PC is; ``power`` electricity, sleep, crashes; ``boot`` from firmware to the
welcome screen; ``logon`` sign-in and autostart; ``profile`` the rules of ``Run`` and ``RunOnce``; ``shutdown``;
``hostcalls`` what the agent asks the system for; ``agentproc`` its process and helper; ``windows`` what is on the
desktop; ``tampering`` what others do, and healing; ``inventory`` what is left behind; ``draws`` durations.
"""

from __future__ import annotations

from rrsim.backends.sim.parts import PcEffect
from rrsim.backends.sim.pc.dispatch import PcInput, deliver
from rrsim.backends.sim.pc.draws import DRAWS
from rrsim.backends.sim.pc.inventory import items
from rrsim.backends.sim.pc.power import runs
from rrsim.backends.sim.pc.state import RIGHT, Disk, NotPossible, PcState, Session
from rrsim.backends.sim.pc.tampering import heal
from rrsim.backends.sim.pc.turn import Turn
from rrsim.protocol.messages import AgentMode, Platform
from rrsim.scenario.model import PcSetup

__all__ = ["DRAWS", "NotPossible", "PcInput", "PcState", "heal", "initial", "items", "runs", "step"]


def initial(setup: PcSetup, mode: AgentMode, platform: Platform, machine: str) -> PcState:
    """Return a running PC: booted as ``boot-1``, the right user at the desktop, the agent installed, no process.

    In both modes the first :class:`~rrsim.backends.sim.parts.StartSupport` starts the agent's process (in service mode
    the service, with its helper on the desktop) and delivers the code. An owner's safe-boot flag is set but not yet
    booted with. A temporary profile is for the next logon. On a Mac the same steps exist and every request to restart
    is honoured, so that a broken agent is caught by I8.
    """
    return PcState(
        setup=setup,
        mode=mode,
        platform=platform,
        machine=machine,
        disk=Disk(flag=setup.safe_boot_set_by_owner, service=mode == "service"),
        session=Session(user=RIGHT, desktop="visible", ready=True),
    )


def step(state: PcState, what: PcInput) -> tuple[PcState, tuple[PcEffect, ...]]:
    """Return the state after one input, and its effects in the order they are to run.

    Raises:
        NotPossible: the PC cannot do this now; the given state stands.
        TypeError: the input is not one the PC hears.
    """
    turn = Turn(state)
    deliver(turn, what)
    return turn.state, tuple(turn.effects)
