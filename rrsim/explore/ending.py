"""What must be true when nothing is left to happen: I9, I6, I7, and that both sides agree.

A search reaches the end of a behaviour in three stages: nothing is left to happen while faults were allowed; then the
faults stop and the representative ends the session; then the harness restarts the PC once, as every run of a scenario
does. Liveness is bounded: every timer that runs fires in the end, every message arrives or is lost, the right user
signs in. So a state in which nothing is due and the restart is undecided would stay undecided for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rrsim.agent.core import AgentState
from rrsim.backends.sim import pc
from rrsim.explore.monitor import LEFT, OUT, Broken, Watch
from rrsim.server.core import SessionState

FAULTS, CLOSING, PROBED = range(3)
"""Stages: faults may still happen; they have stopped and the session was ended; the PC was restarted once more."""

STAGES: Final = ("while faults may happen", "after the session was ended", "after the harness's own restart")


def quiet(
    stage: int, agent: AgentState | None, server: SessionState, machine: pc.PcState, watch: Watch,
    before: tuple[str, ...],
) -> Iterator[Broken]:
    """Yield what is wrong with a state in which nothing is due. ``before``: the PC's inventory at the beginning."""
    where = STAGES[stage]
    d = server.durable
    for rule, click in (("rule 12", LEFT), ("R11", OUT)):
        if click in watch.clicks and not server.over:
            yield Broken(rule, f"expected the session over, for the customer {_HOW[click]}; seen: {server.name}")
    # Where expiry is not final, a session past its window is offline until its PC comes, or an end (EX-05).
    offline = d.offline and not d.account.expiry_final
    if d.restart.number and not offline:
        yield Broken("I9", f"expected every restart decided; seen: restart {d.restart.number} is still "
                           f"{d.restart.stage}, {where}")
    if agent is not None and agent.restart is not None:
        yield Broken("I9", f"expected no order under way at the agent; seen: {agent.restart.stage}, {where}")
    member = agent is not None and agent.goal == "member" and agent.link.phase == "up"
    if not server.over and d.endpoint.present != member:
        yield Broken("I9", f"expected both sides to agree; seen: the server says present={d.endpoint.present}, the "
                           f"agent {_says(agent)}, {where}")
    if not server.over and not d.endpoint.present and not offline:
        yield Broken("I9", f"expected the session to be joined or over; seen: {server.name} with nothing to come")
    if stage != FAULTS and not server.over:
        yield Broken("I9", f"expected the session to be over; seen: {server.name}, {where}")
    yield from _residue(stage, server, machine, before)


_HOW: Final = {LEFT: "has left", OUT: "has cancelled the reconnect"}


def _says(agent: AgentState | None) -> str:
    return "is not there" if agent is None else f"is {agent.goal} and {agent.link.phase}"


def held(machine: pc.PcState) -> bool:
    """Say whether a security tool or a full disk may keep the agent from tidying up (SE-10)."""
    return bool(machine.faults.blocks) or machine.faults.disk_full


def _residue(stage: int, server: SessionState, machine: pc.PcState, before: tuple[str, ...]) -> Iterator[Broken]:
    """Rule 8 and R1 while the session lives, rule 7 at the latest after the next boot.

    In safe mode the key stays until the first normal boot. Where foreign restarts resume, the way back stands as long
    as the session does; an offline session's PC may still come back; and what a security tool holds fast cannot go.
    """
    left: tuple[Any, ...] = tuple(item for item in pc.items(machine) if item not in before)
    d = server.durable
    stays = server.over or machine.power.safe_mode or d.account.foreign_resumes or d.offline or held(machine)
    if left and (stage == PROBED or not stays):
        yield Broken("I7", f"expected nothing of ours on the PC; seen: {', '.join(left)}, {STAGES[stage]}")
    if machine.power.safe_mode and stage == PROBED:
        yield Broken("I6", "expected a normal boot after the session; seen: the PC in safe mode")
