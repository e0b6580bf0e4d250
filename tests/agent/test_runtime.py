"""The asyncio shell around the agent's core: order, time, threads. For the network see test_runtime_net.py."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from pathlib import Path
from typing import Any

import pytest

from rrsim.agent import core, host, runtime
from rrsim.agent.outside import HostError
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from tests.agent.runtime_rig import FORGET, STARTED, Rig, State, held, in_thread, listening, running

TYPED = host.ChatTyped("begin")


def tell(story: Any, folder: Path, **options: Any) -> None:
    """Run a story with a server that listens."""
    async def told() -> None:
        async with listening(folder, **options) as rig:
            await story(rig)

    asyncio.run(told())


def test_effects_are_carried_out_in_their_order(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        effects = (host.Note("one"), host.OpenChat(), host.ShowChat("rep", "two"), host.Note("three"),
                   host.ShowPrompt(4, "restart"), host.Note("five"), host.CloseChat())  # fmt: skip
        rig.script.on(TYPED, *effects, host.Exit("done"))
        assert await rig.agent().run(STARTED, TYPED) == "done"
        wanted = ["one", host.OpenChat(), host.ShowChat("rep", "two"), "three", host.ShowPrompt(4, "restart"), "five",
                  host.CloseChat()]  # fmt: skip
        assert [one for one in rig.seen.done if not isinstance(one, tuple)] == wanted
        assert rig.script.heard == [STARTED, TYPED]

    tell(story, tmp_path)


def test_the_desk_knows_the_settings_before_it_shows_what_they_are_for(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.script.states = {TYPED: State(msg.AgentSettings(phone_mode=True))}
        rig.script.on(TYPED, host.OpenChat(), host.Exit("done"))
        await rig.agent().run(STARTED, host.NetworkChanged(), TYPED)
        assert rig.seen.done == [("en", False), ("en", True), host.OpenChat()]

    tell(story, tmp_path)


def test_the_desk_is_told_settings_that_change(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        german, phone = (State(msg.AgentSettings(language="de", phone_mode=on)) for on in (False, True))
        rig.script.states = {host.NetworkChanged(): german, host.HelperGone(): german, TYPED: phone}
        rig.script.on(TYPED, host.Exit("done"))
        await rig.agent().run(STARTED, host.NetworkChanged(), host.HelperGone(), TYPED)
        assert rig.seen.done == [("en", False), ("de", False), ("de", True)]

    tell(story, tmp_path)


def test_the_desk_forgets_a_session_that_is_over_and_only_then(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        idle, member = State(goal="idle"), State()
        rig.script.states = {STARTED: idle, host.CustomerStarts("1"): member, host.HelperGone(): idle}
        rig.script.on(host.HelperGone(), host.Note("over"))
        rig.script.on(TYPED, host.Exit("done"))
        first = (host.NetworkChanged(), host.CustomerStarts("1"), host.HelperGone(), host.NetworkChanged(), TYPED)
        await rig.agent().run(STARTED, *first)
        assert rig.seen.done == [("en", False), "over", FORGET]

    tell(story, tmp_path)


def test_what_the_core_refuses_changes_nothing(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.script.raises[host.HelperGone()] = core.NoConnection("no connection here")
        rig.script.on(TYPED, host.Exit("done"))
        assert await rig.agent().run(STARTED, host.HelperGone(), TYPED) == "done"
        assert rig.seen.lines == "ignored: no connection here"

    tell(story, tmp_path)


# --- time -----------------------------------------------------------------------------------------------------------


def test_timers_come_in_due_order_and_can_be_replaced_and_cancelled(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.script.on(
            TYPED, SetTimer("late", 30_000), SetTimer("early", 10_000), SetTimer("never", 15_000),
            SetTimer("moved", 1_000), SetTimer("moved", 20_000), CancelTimer("never"), CancelTimer("unknown"),
        )  # fmt: skip
        rig.script.on(TimerFired("late"), host.Exit("done"))
        await rig.agent().run(STARTED, TYPED)
        assert rig.script.heard[2:] == [TimerFired("early"), TimerFired("moved"), TimerFired("late")]

    tell(story, tmp_path)


def _spin(loop: asyncio.AbstractEventLoop, until: float) -> None:
    """Keep the loop from running, as a busy machine does."""
    while loop.time() < until:
        pass


def test_a_timer_that_is_due_comes_before_an_input_that_was_taken_up_later(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        loop, agent = asyncio.get_running_loop(), rig.agent()
        rig.script.on(TYPED, SetTimer("b", 50_000), SetTimer("a", 50_000), SetTimer("first", 20_000))
        async with running(rig, agent, TYPED):
            await rig.script.until_heard(TYPED)
            _spin(loop, loop.time() + 0.06)
            agent.put(host.NetworkChanged())
            agent.put(host.HelperGone())
            await rig.script.until_heard(host.HelperGone)
        wanted = [TimerFired("first"), TimerFired("b"), TimerFired("a"), host.NetworkChanged(), host.HelperGone()]
        assert rig.script.heard[2:] == wanted

    tell(story, tmp_path)


def test_an_input_taken_up_before_a_timer_was_due_comes_first_however_late_the_loop_is(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        loop, agent = asyncio.get_running_loop(), rig.agent()
        rig.script.on(TYPED, SetTimer("deadline", 200_000))
        async with running(rig, agent, TYPED):
            await rig.script.until_heard(TYPED)
            for event in (host.NetworkChanged(), host.HelperGone(), host.ChatTyped("in time")):
                agent.put(event)
            loop.call_soon(_spin, loop, loop.time() + 0.25)
            await rig.script.until_heard(TimerFired)
        wanted = [host.NetworkChanged(), host.HelperGone(), host.ChatTyped("in time"), TimerFired("deadline")]
        assert rig.script.heard[2:] == wanted

    tell(story, tmp_path)


@pytest.mark.parametrize("later", [host.NetworkChanged(), None])
def test_nothing_is_delivered_after_the_end(tmp_path: Path, later: host.Input | None) -> None:
    async def story(rig: Rig) -> None:
        loop, agent = asyncio.get_running_loop(), rig.agent()
        rig.script.on(TYPED, SetTimer("end", 20_000), SetTimer("after the end", 25_000))
        rig.script.on(TimerFired("end"), host.Exit("the timer's"))
        async with running(rig, agent, TYPED) as task:
            await rig.script.until_heard(TYPED)
            _spin(loop, loop.time() + 0.03)
            agent.stop("too late") if later is None else agent.put(later)
            assert await task == "the timer's"
        assert rig.script.heard[2:] == [TimerFired("end")]

    tell(story, tmp_path)


# --- requests to the operating system -------------------------------------------------------------------------------

REQUEST = host.Request(7, host.AbortRestart())


@pytest.mark.parametrize(("error", "reason"), [
    (HostError("Windows refused"), "Windows refused"),
    (HostError("x" * 1000), "x" * 256),
    (PermissionError(13, "Permission denied"), "AbortRestart: Permission denied"),
    (OSError("no number"), "AbortRestart: OSError"),
    (ValueError("holds ticket-1"), "AbortRestart: ValueError"),
    (KeyError("x"), "AbortRestart: KeyError"),
    (RecursionError(), "AbortRestart: RecursionError"),
    (NotImplementedError(), "AbortRestart: NotImplementedError"),
])  # fmt: skip
def test_a_request_that_raises_anything_has_failed(tmp_path: Path, error: Exception, reason: str) -> None:
    async def story(rig: Rig) -> None:
        def refuse(_: Any) -> str:
            raise error

        rig.seen.carry = refuse
        rig.script.on(TYPED, REQUEST)
        rig.script.on(host.Failed, host.Exit("done"))
        await rig.agent().run(STARTED, TYPED)
        assert rig.script.heard[-1] == host.Failed(7, reason)
        assert "AbortRestart failed" in rig.seen.lines

    tell(story, tmp_path)


def test_a_request_that_is_carried_out_returns_what_was_read(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.seen.carry = lambda what: type(what).__name__
        rig.script.on(TYPED, REQUEST)
        rig.script.on(host.Completed, host.Exit("done"))
        await rig.agent().run(STARTED, TYPED)
        assert rig.script.heard[-1] == host.Completed(7, "AbortRestart")

    tell(story, tmp_path)


def test_a_request_that_hangs_holds_up_nothing_else(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        with held() as released:
            def hang(what: Any) -> str:
                if isinstance(what, host.Erase):
                    released.wait()
                return threading.current_thread().name

            rig.seen.carry = hang
            rig.script.on(TYPED, host.Request(1, host.Erase()), REQUEST, SetTimer("soon", 0))
            async with running(rig, rig.agent(), TYPED):
                await rig.script.until_heard(host.Completed(7, "request 7"))
                await rig.script.until_heard(TimerFired("soon"))
            assert host.Completed(1, "request 1") not in rig.script.heard

    tell(story, tmp_path)


def test_an_answer_that_comes_after_the_end_harms_nobody(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []

    async def story(rig: Rig) -> None:
        def hang(_: Any) -> str:
            threads.append(threading.current_thread())
            released.wait()
            return ""

        rig.seen.carry = hang
        rig.script.on(TYPED, REQUEST, host.Exit("done"))
        await rig.agent().run(STARTED, TYPED)

    with held() as released:
        tell(story, tmp_path)
    for thread in threads:  # its loop is closed by now; an error in a thread would fail this test
        thread.join(10)
        assert not thread.is_alive()


# --- threads --------------------------------------------------------------------------------------------------------


def test_it_is_stopped_from_a_thread(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        agent = rig.agent()
        async with running(rig, agent) as task:
            await rig.script.until_heard(host.Started)
            await in_thread(agent.stop, "the service was stopped")
            assert await task == "the service was stopped"

    tell(story, tmp_path)


def test_what_comes_before_it_runs_is_kept_and_comes_after_its_start(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        agent = rig.agent()
        agent.put(host.HelperReady("visible", "ann"))
        agent.put(host.CustomerStarts("1234"))
        agent.stop("too early")
        assert await agent.run(STARTED, TYPED) == "too early"
        wanted = [STARTED, TYPED, host.HelperReady("visible", "ann"), host.CustomerStarts("1234")]
        assert rig.script.heard == wanted

    tell(story, tmp_path)


def test_nobody_waits_for_an_agent_that_has_ended(tmp_path: Path) -> None:
    agents: list[runtime.Agent] = []

    async def story(rig: Rig) -> None:
        agents.append(rig.agent())
        rig.script.on(TYPED, host.Exit("done"))
        await agents[0].run(STARTED, TYPED)
        await asyncio.wait_for(in_thread(agents[0].put_and_wait, host.SessionEnding(), True), 1)
        between: concurrent.futures.Future[None] = concurrent.futures.Future()
        agents[0]._enqueue(host.SessionEnding(), 0, between)  # put while it ran, taken up when it has ended
        assert between.done()
        assert rig.script.heard == [STARTED, TYPED]
        assert rig.seen.lines == ""

    tell(story, tmp_path)
    agents[0].put_and_wait(host.SessionEnding(), True)  # the loop is closed by now
    agents[0].put(TYPED)
    agents[0].stop("again")


def test_whoever_waits_while_it_ends_is_let_go(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        agent = rig.agent()
        rig.script.on(TYPED, host.Exit("done"))
        waits = asyncio.get_running_loop().create_task(in_thread(agent.put_and_wait, host.SessionEnding(), True))
        while not agent._early:
            await in_thread(lambda: None)
        async with running(rig, agent, TYPED):
            await asyncio.wait_for(waits, 1)
        assert rig.seen.lines == ""

    tell(story, tmp_path)


def test_without_a_wait_nobody_waits(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        loop, agent = asyncio.get_running_loop(), rig.agent()
        began = loop.time()
        agent.put_and_wait(host.SessionEnding(), False)
        async with running(rig, agent):
            await rig.script.until_heard(host.SessionEnding)
            agent.put_and_wait(TYPED, False)  # on the loop's own thread: nobody else could let it go
            await rig.script.until_heard(TYPED)
        assert loop.time() - began < runtime.FLUSH_TIMEOUT_S

    tell(story, tmp_path)
