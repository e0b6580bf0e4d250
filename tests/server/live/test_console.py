"""The representative's console in a real browser: what is shown, what is offered, and what becomes of a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from tests.server.live.browser import Stage, Window, customer, restarted, stage
from tests.server.live.rig import Handle

__all__ = ["stage"]

pytestmark = pytest.mark.browser

ASKING = "Waiting for the customer\N{RIGHT SINGLE QUOTATION MARK}s answer"
ATTACK = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"


def _asked(server: Handle) -> list[rec.RestartAsked]:
    assert server.server is not None
    return [e.event for e in server.server.registry.history.since(0) if isinstance(e.event, rec.RestartAsked)]


def test_take_and_chat(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await expect(window("#n-queue")).to_have_text("1")
        await expect(window("#queue .name")).to_have_text("Maria Keller")
        await window.take()
        await expect(window("#n-queue")).to_have_text("0")
        await expect(window(".session h1")).to_have_text("Maria Keller")
        await expect(window(".name-row .badge")).to_have_text("active")
        await agent.say(msg.AgentChat(1, "Hello?"))
        await expect(window(".line.theirs .text")).to_have_text("Hello?")
        await window("textarea").fill("Good day!\nHow can I help?")
        await window("textarea").press("Enter")
        assert (await agent.expect(msg.ServerChat)).text == "Good day!\nHow can I help?"
        await expect(window(".line.own:not(.sending) .text")).to_have_text("Good day!\nHow can I help?")
        await expect(window(".line.sending")).to_have_count(0)
        await agent.say(msg.AgentChat(2, "The printer."))
        await expect(window(".line .text")).to_have_text(["Hello?", "Good day!\nHow can I help?", "The printer."])
        await agent.hang_up()

    stage.run(story, tmp_path)


@pytest.mark.parametrize("place", ["chat window", "viewer toolbar", "tools menu"])
def test_a_restart_from_each_place(stage: Stage, tmp_path: Path, place: str) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        if place == "tools menu":
            await window(".top-item", has_text="Tools").click()
            await window(".popup button", has_text="Reboot and Reconnect").click()
            await window(".popup .popup button", has_text="Normal restart").click()
        else:
            await window(f".{place.split(maxsplit=1)[0]}-restart").click()
        await expect(window("#confirm")).to_be_visible()
        assert await window.focused() == "No"
        await window("#confirm-yes").click()
        order = await agent.expect(msg.Order)
        assert (order.boot_mode, order.forced) == ("normal", False)
        assert [asked.place for asked in _asked(server)] == [place]
        await window.banner_says("Preparing the restart")
        await agent.say(msg.Armed(1))
        await window.banner_says("The PC is about to restart")
        await agent.say(msg.Restarting(1))
        await agent.hang_up()
        await window.banner_says("Rebooting")
        await expect(window("#announce")).to_contain_text("Rebooting")
        await expect(window(".restart")).to_have_count(0)
        agent.boot = "boot-2"
        await agent.connect()
        await agent.resume()
        await window.banner_says("Resumed", "same session")
        await expect(window(".name-row .badge")).to_have_text("active")
        await expect(window("#announce")).to_contain_text("Resumed")
        await window("button.dismiss").click()
        await expect(window(".banner")).to_be_hidden()
        await expect(window(".chat-restart")).to_be_visible()
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_by_keyboard_alone(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, mode="service")
        await expect(window("#queue .take")).to_be_visible()
        await window.tab_to("Take Maria Keller")
        await window.press("Enter")
        await expect(window(".compose")).to_be_visible()
        assert await window.focused() == "Maria Keller"
        await expect(window(".chat-restart")).to_be_visible()
        await window.tab_to("Tools")
        await window.press("ArrowRight")
        assert await window.focused() == "Session"
        await window.press("ArrowLeft", "ArrowDown")
        assert await window.focused() == "Reboot and Reconnect"
        await window.press("ArrowRight")
        assert await window.focused() == "Normal restart…"
        await window.press("Escape")
        assert await window.focused() == "Reboot and Reconnect"
        await window.press("Escape")
        assert await window.focused() == "Tools"
        await expect(window("[role=menu]")).to_have_count(0)
        await window.press("Enter", "ArrowRight", "s")
        assert await window.focused() == "Safe mode with networking…"
        await window.press("Enter")
        await expect(window("#confirm-title")).to_have_text("Restart into safe mode with networking?")
        assert await window.focused() == "No"
        await window.press("Tab", "Enter")
        assert (await agent.expect(msg.Order)).boot_mode == "safe"
        await window.banner_says("Preparing the restart")
        await window.tab_to("Message to the customer")
        await window.page.keyboard.type("one moment")
        await window.press("Enter")
        assert (await agent.expect(msg.ServerChat)).text == "one moment"
        await agent.hang_up()

    stage.run(story, tmp_path)


@pytest.mark.parametrize("how", ["click", "Enter", "Escape"])
def test_no_leaves_the_session_untouched(stage: Stage, tmp_path: Path, how: str) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        before = await server.show()
        await window(".chat-restart").click()
        await expect(window("#confirm")).to_be_visible()
        if how == "click":
            await window("#confirm-no").click()
        else:
            await window.press(how)
        await expect(window("#confirm")).to_be_hidden()
        await window.banner_says("Restart cancelled", "The session is as it was.")
        assert await window.focused() == "Restart the PC and reconnect"
        assert await server.show() == {**before, "restarts": 1}
        await agent.say(msg.Heartbeat())
        await agent.expect(msg.HeartbeatReply)
        assert not [m for m in agent.seen if isinstance(m, msg.Order | msg.Ask | msg.Withdraw)]
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_a_question_that_nobody_answers_goes_away(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, account={"prompt_timeout_us": 700_000})
        await window.take()
        await window(".viewer-restart").click()
        await expect(window("#confirm")).to_be_visible()
        await window.banner_says("Restart refused", "not answered in time")
        await expect(window("#confirm")).to_be_hidden()
        await agent.hang_up()

    stage.run(story, tmp_path)


async def _menu(window: Window) -> list[str]:
    """Return what the Tools menu and what opens from it hold; open it if there is one."""
    tools = window(".top-item", has_text="Tools")
    if await tools.count():
        await tools.click()
        reboot = window(".popup button", has_text="Reboot and Reconnect")
        if await reboot.count():
            await reboot.click()
    found = await window(".popup button").all_inner_texts()
    if await window(".popup").count():
        await window.press("Escape", "Escape")
    return [text.strip() for text in found]


def test_safe_mode_only_where_the_agent_is_a_service(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        service = await customer(server, 1, mode="service")
        application = await customer(server, 2, "Jonas Weber")
        await window.take("session-1")
        await expect(window(".chat-restart")).to_be_visible()
        assert "Safe mode with networking…" in await _menu(window)
        await window.take("session-2")
        await expect(window(".session h1")).to_have_text("Jonas Weber")
        await expect(window(".chat-restart")).to_be_visible()
        items = await _menu(window)
        assert "Normal restart…" in items
        assert "Safe mode with networking…" not in items
        await service.hang_up()
        await application.hang_up()

    stage.run(story, tmp_path)


@pytest.mark.parametrize("case", ["mac", "queued", "other kind"])
def test_the_feature_is_absent(stage: Stage, tmp_path: Path, case: str) -> None:
    """R10, R1: no control at all, not one that is merely disabled; its name is nowhere in the page."""

    async def story(server: Handle, window: Window) -> None:
        agent = await server.agent(platform="mac" if case == "mac" else "windows").connect()
        kind = "unattended" if case == "other kind" else "standard"
        await agent.join(await server.session(customer="Tim", kind=kind))
        if case == "queued":
            await window("#queue .card").click()
            await expect(window(".session h1")).to_have_text("Tim")
        else:
            await window.take()
            await expect(window(".tool.share")).to_be_visible()
        items = await _menu(window)
        assert not [text for text in items if "restart" in text.lower() or "reboot" in text.lower()]
        await expect(window(".restart")).to_have_count(0)
        page = (await window("#console").inner_html()).lower()
        assert "reboot" not in page
        assert "restart the pc" not in page
        # Forced past the console, the server refuses, and the console says so.
        shown = await server.rep("session-1", msg.AskRestart("tools menu"), rep="anna")
        assert shown["restart"] is None
        if case == "mac":
            await window.banner_says("Restart refused", "Not available for mac customers.")
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_the_countdown_runs_and_hits_expired(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, account={"resume_window_us": 4_000_000})
        await window.take()
        await restarted(window, agent)
        clock = window(".clock")
        await expect(clock).to_have_text("0:03")
        await expect(window("#mine .badge")).to_have_text("0:03")
        await expect(clock).to_have_text("0:02")
        first = float(await window("progress").evaluate("bar => bar.value / bar.max"))
        assert 0 < first < 1
        await expect(clock).to_have_text("0:01")
        await window.banner_says("Expired", "ask for support again")
        await expect(window(".name-row .badge")).to_have_text("expired")
        await expect(window("#closed li")).to_have_count(1)
        await expect(window(".compose")).to_have_count(0)
        await expect(window(".restart")).to_have_count(0)

    stage.run(story, tmp_path)


def test_refused_with_the_reason(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        await window(".chat-restart").click()
        await window("#confirm-yes").click()
        await agent.expect(msg.Order)
        await agent.say(msg.ArmFailed(1, "ticket", f"the disk is full {ATTACK}"))
        await window.banner_says("Restart refused", f"the disk is full {ATTACK}")
        await expect(window(".lines .note").last).to_contain_text(ATTACK)
        await expect(window(".name-row .badge")).to_have_text("active")
        await expect(window(".chat-restart")).to_be_visible()
        await agent.hang_up()

    stage.run(story, tmp_path)


@pytest.mark.parametrize(("answer", "headline", "detail"), [
    ("no", "Restart cancelled", "The customer said No."),
    ("silence", "Restart refused", "The customer did not answer in time."),
    ("yes", "Preparing the restart", ""),
])  # fmt: skip
def test_the_customer_is_asked(stage: Stage, tmp_path: Path, answer: msg.Answer, headline: str, detail: str) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, account={"ask_before_restart": True})
        await window.take()
        await window(".chat-restart").click()
        await expect(window("#confirm-text")).to_contain_text("The customer is asked first.")
        await window("#confirm-yes").click()
        asked = await agent.expect(msg.Ask)
        await window.banner_says(ASKING)
        await agent.say(msg.ConsentAnswer(asked.ask, answer, human=answer != "silence"))
        await window.banner_says(headline, detail)
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_force_is_chosen_for_one_restart(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        await expect(window(".chat-restart")).to_be_visible()
        await window(".top-item", has_text="Tools").click()
        await window(".popup button", has_text="Reboot and Reconnect").click()
        await window("[role=menuitemcheckbox]").click()
        await window(".viewer-restart").click()
        await expect(window("#confirm-text .warning")).to_be_visible()
        await window("#confirm-yes").click()
        assert (await agent.expect(msg.Order)).forced is True
        await agent.say(msg.ArmFailed(1, "ticket", "no"))
        await window.banner_says("Restart refused")
        await window(".viewer-restart").click()
        await expect(window("#confirm")).to_be_visible()
        await expect(window("#confirm-text .warning")).to_have_count(0)
        await window("#confirm-yes").click()
        assert (await agent.expect(msg.Order)).forced is False
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_what_comes_from_outside_is_text(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await server.agent().connect()
        agent.machine = ATTACK
        await agent.join(await server.session(customer=ATTACK[:64], account={}))
        await window.take()
        await expect(window(".session h1")).to_have_text(ATTACK[:64])
        await agent.say(msg.AgentChat(1, ATTACK))
        await expect(window(".line.theirs .text")).to_have_text(ATTACK)
        await window("textarea").fill(ATTACK)
        await window("textarea").press("Enter")
        await expect(window(".line.own:not(.sending) .text")).to_have_text(ATTACK)
        await agent.say(msg.HelperState("visible", ATTACK))
        await expect(window(".facts")).to_contain_text(ATTACK)
        await window(".chat-restart").click()
        await expect(window("#confirm-text")).to_contain_text(ATTACK[:64])
        await window("#confirm-yes").click()
        await agent.expect(msg.Order)
        await agent.say(msg.NotRestarting(1, ATTACK))
        await window.banner_says("Restart refused", ATTACK)
        await agent.say(msg.Leave(ATTACK))
        await window.banner_says("Session ended by the customer", ATTACK)
        assert await window.page.evaluate("window.hacked === undefined")
        assert await window.page.locator("img[src='x']").count() == 0
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_a_lost_session(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, account={"resume_window_us": 1_500_000})
        await window.take()
        agent.break_off()
        await window.banner_says("Connection to the customer lost")
        await window.banner_says("Lost", "ask for support again")

    stage.run(story, tmp_path)
