"""Broken agents for real: ``rragent-broken.exe`` on a Wine machine, and the ordinary scenario case that catches each.

Nothing is arranged for the bugs: the cases are those of ``scenarios/``, run and judged as for a sound agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim.agent.adapter import BundledAgent
from rrsim.broken.agent_bugs import BUGS
from rrsim.broken.hunt import Catch, HuntResult
from rrsim.broken.rragent_broken import NAME_FILE
from rrsim.machine.adapters import Address, Progress
from rrsim.protocol.messages import AgentMode
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

PLAN: Final[tuple[tuple[str, str], ...]] = (
    ("ticket left behind", "same-user"),
    ("autostart left behind", "same-user"),
    ("safe-boot flag left", "restart-into-safe-mode[place=chat window]"),
    ("safe boot key left", "restart-into-safe-mode[place=chat window]"),
    ("roll-back forgotten", "no-shutdown-privilege[agent=application]"),
    ("silence taken as yes by the agent", "customer-silent[timeout=60s]"),
    ("chat closed by customer ignored", "closed-without-a-restart"),
    ("unconfirmed close taken as leaving", "close-not-answered[agent=application]"),
    ("agent's own close taken for the customer's", "agent-closes-it[agent=application]"),
    ("helper death taken as leaving", "logs-off-in-the-session[agent=service, session=active]"),
    ("screen captured at once after the restart", "sharing-accepted[agent=application]"),
    ("cancel offered outside phone mode", "only-in-phone-mode"),
    ("restart announcement forgotten", "window-opens-at-the-announcement[agent=service]"),
)
"""Bug and the case that has to catch it, both by name."""


class NotPlanned(ValueError):
    """A bug or a case of the plan is not there."""


class BrokenAgent(BundledAgent):
    """The adapter of an agent with one deliberate bug, installed under the sound one's name."""

    def __init__(self, bug: str) -> None:
        """``bug`` is its name in the catalogue."""
        super().__init__()
        self._bug = bug

    async def prepare(self, progress: Progress) -> str:
        """Freeze the broken program, or find it frozen; return its digest and the bug."""
        from rrsim.agent.build import ensure_agent

        built = await asyncio.to_thread(ensure_agent, with_broken=True, progress=progress)
        self._built = built.path
        return f"{built.digest} with the bug {self._bug!r}"

    async def install(self, machine: Any, mode: AgentMode, address: Address, language: str) -> None:
        """Install it like the sound one, with the broken program in the sound one's place."""
        assert self._built is not None, "prepare() comes first"
        await super().install(_Swapped(machine, self._bug), mode, address, language)


class _Swapped:
    """A machine on which the broken program gets the sound one's place."""

    def __init__(self, machine: Any, bug: str) -> None:
        self._machine, self._bug = machine, bug

    async def copy_in(self, folder: Path, target: str, beside: Mapping[str, bytes]) -> None:
        """Copy the folder with the programs' names exchanged."""
        broken = await asyncio.to_thread((folder / "rragent-broken.exe").read_bytes)
        named = {"rragent.exe": broken, NAME_FILE: self._bug.encode()}
        await self._machine.copy_in(folder, target, {**beside, **named})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)


def planned(scenarios: Sequence[Scenario], keyword: str = "") -> tuple[tuple[str, Scenario], ...]:
    """Return the plan's bugs whose names contain the keyword, with the case of each.

    Raises:
        NotPlanned: a bug or a case has another name now.
    """
    by_id = {scenario.id: scenario for scenario in scenarios}
    names = {bug.name for bug in BUGS}
    wrong = [bug for bug, _ in PLAN if bug not in names] + [case for _, case in PLAN if case not in by_id]
    if wrong:
        raise NotPlanned(f"expected the bugs and cases of the plan, saw none named: {', '.join(wrong)}; mend the plan")
    return tuple((bug, by_id[case]) for bug, case in PLAN if keyword.casefold() in bug.casefold())


async def hunt_on(
    bench: Any, plan: Sequence[tuple[str, Scenario]], root: Path, jobs: int = 2,
    each: Callable[[HuntResult], None] = lambda _: None,
) -> list[HuntResult]:
    """Run each broken agent against its case, some at a time; ``bench`` is a live bench, whose agent is exchanged.

    The sound agent runs every case first: only a check that fails with the bug and not without it is a catch. An error
    of the harness is no catch, and is said.
    """
    from rrsim.backends.live.runner import run_case

    gate = asyncio.Semaphore(jobs)
    about = {bug.name: bug for bug in BUGS}
    cases = {case.id: case for _, case in plan}

    async def run(case: Scenario, agent: BundledAgent | None, folder: str) -> RunResult:
        async with gate:
            used = bench
            if agent is not None:
                used = msgspec.structs.replace(bench, agent=agent, build=await agent.prepare(lambda _: None))
            return await run_case(case, 1, used, root / folder)

    async def one(number: int, name: str, case: Scenario) -> HuntResult:
        without = await sound[case.id]
        if without.outcome in ("error", "skipped"):
            found = _found(about[name], without, without)
        else:
            found = _found(about[name], await run(case, BrokenAgent(name), f"broken-{number}"), without)
        each(found)
        return found

    async with asyncio.TaskGroup() as tasks:
        sound = {
            name: tasks.create_task(run(case, None, f"sound-{number}"))
            for number, (name, case) in enumerate(cases.items())
        }
        hunts = [tasks.create_task(one(number, *row)) for number, row in enumerate(plan)]
    return [hunt.result() for hunt in hunts]


def _failed(result: RunResult) -> tuple[str, ...]:
    return tuple(check.check for check in result.checks if check.outcome == "failed")


def _found(bug: Any, result: RunResult, sound: RunResult) -> HuntResult:
    anyway = _failed(sound)
    failed = tuple(check for check in _failed(result) if check not in anyway)
    broke = result.outcome in ("error", "skipped")
    about = f"{result.outcome}: {result.reason}" if broke else bug.about
    catches = (Catch(result.scenario.id, failed),) if failed and not broke else ()
    return HuntResult(name=bug.name, about=about, where="agent", catches=catches, cases=2, errors=int(broke))
