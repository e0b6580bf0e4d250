"""The console around a session: logging in, sharing, transfer, the end, lost connections, small screens."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from rrsim.protocol import messages as msg
from tests.server.live.browser import Stage, Window, customer, restarted, stage
from tests.server.live.console_kit import login_link, png
from tests.server.live.rig import Handle, process, running

__all__ = ["stage"]

pytestmark = pytest.mark.browser


def test_a_login_link_works_once(stage: Stage, tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server, stage.window(server, rep="") as window:
            link = login_link(server)
            requested: list[str] = []
            window.page.on("request", lambda request: requested.append(request.url))
            await window.log_in("anna", link)
            assert window.page.url == f"{server.base}/console"
            code = link.partition("code=")[2]
            assert not [url for url in requested if code in url or server.token in url]
            (cookie,) = await window.page.context.cookies()
            assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("rrsim_token", True, "Strict")
            await window.page.reload()
            await expect(window("#link")).to_have_text("Connected")
            await expect(window("#me")).to_have_text("anna")
            await window("#logout").click()
            await expect(window("#login")).to_be_visible()
            assert await window.page.context.cookies() == []
            await window.page.goto("about:blank")
            await window.page.goto(link)
            await window.page.get_by_label("Your name").fill("anna")
            await window.press("Enter")
            await expect(window("#login-error")).to_contain_text("works once")
            await window.page.get_by_label("Login code").fill(server.token)
            await window.press("Enter")
            await expect(window("#link")).to_have_text("Connected")

    stage.runner.run(story())


def test_the_viewer_shows_the_screen_while_it_is_shared(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        put = await server.http.put("/api/sessions/session-1/screenshot", content=png(40, 30))
        assert put.json()["number"] == 1
        await expect(window(".empty p")).to_have_text("The screen is not shared.")
        await expect(window(".shot")).to_be_hidden()
        await window(".tool.share").click()
        assert (await agent.expect(msg.Sharing)).on
        await expect(window(".shot")).to_be_visible()
        await expect(window(".shot")).to_have_attribute("src", "/api/sessions/session-1/screenshot?number=1")
        await window.picture_width_is(40)
        await server.http.put("/api/sessions/session-1/screenshot", content=png(64, 48))
        await window.picture_width_is(64)
        await window(".tool.share").click()
        assert not (await agent.expect(msg.Sharing)).on
        await expect(window(".shot")).to_be_hidden()
        assert await window(".shot").get_attribute("src") is None
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_a_customer_who_does_not_share(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, account={"ask_before_sharing": True})
        await window.take()
        await window(".tool.share").click()
        if (await agent.expect(msg.Sharing)).on:  # before a restart the account does not ask
            await restarted(window, agent)
        agent.boot = "boot-2"
        await agent.connect()
        await agent.resume()
        asked = await agent.expect(msg.Ask)
        assert asked.kind == "sharing"
        await expect(window(".sharing")).to_have_text("the customer is being asked")
        await agent.say(msg.ConsentAnswer(asked.ask, "no", human=True))
        await expect(window(".empty p")).to_have_text("The customer does not share the screen.")
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_transfer(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, anna: Window) -> None:
        agent = await customer(server)
        async with stage.window(server, "bert") as bert:
            await anna.take()
            await agent.say(msg.AgentChat(1, "Hello?"))
            await expect(bert("#queue li")).to_have_count(0)
            await anna(".top-item", has_text="Session").click()
            await anna(".popup button", has_text="Transfer").click()
            await anna("#transfer-to").select_option("bert")
            await anna("#transfer-go").click()
            await expect(anna("#mine li")).to_have_count(0)
            await expect(anna(".session")).to_have_count(0)
            await bert("#mine .card").click()
            await expect(bert(".line.theirs .text")).to_have_text("Hello?")
            await expect(bert(".chat-restart")).to_be_visible()
        await agent.hang_up()

    stage.run(story, tmp_path)


def test_ending_a_session_while_the_pc_restarts(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        await restarted(window, agent)
        await window(".top-item", has_text="Session").click()
        await window(".popup button", has_text="End session").click()
        await expect(window("#end-text")).to_contain_text("will not come back")
        await window.press("Enter")  # the focus is on keeping it
        await expect(window("#end")).to_be_hidden()
        await expect(window(".name-row .badge")).to_have_text("rebooting")
        await window(".top-item", has_text="Session").click()
        await window(".popup button", has_text="End session").click()
        await window("#end .danger").click()
        await window.banner_says("Session ended by the representative", "The restart: cancelled.")
        assert (await server.show())["state"] == "ended"

    stage.run(story, tmp_path)


def test_a_killed_server_and_a_console_that_comes_back_by_itself(stage: Stage, tmp_path: Path) -> None:
    async def story() -> None:
        async with process(tmp_path / "state") as server:
            handle = await server.start()
            async with stage.window(handle) as window:
                agent = await customer(handle)
                await window.take()
                await window("textarea").fill("before")
                await window("textarea").press("Enter")
                await expect(window(".line.own:not(.sending)")).to_have_count(1)
                await restarted(window, agent)
                await server.end(signal.SIGKILL)
                await expect(window("#link")).to_contain_text("Connection lost")
                handle = await server.start()
                await expect(window("#link")).to_have_text("Connected")
                await window.banner_says("Rebooting")
                await expect(window(".clock")).to_contain_text("9:")
                agent.boot = "boot-2"
                await agent.connect()
                await agent.resume()
                await window.banner_says("Resumed")
                await expect(window(".line .text")).to_have_text(["before"])
                await window("textarea").fill("after")
                await window("textarea").press("Enter")
                await expect(window(".line:not(.sending) .text")).to_have_text(["before", "after"])
                await agent.hang_up()
                await handle.http.aclose()

    stage.runner.run(story())


def test_a_window_that_is_opened_again_sees_where_things_stand(stage: Stage, tmp_path: Path) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server)
        await window.take()
        await window(".chat-restart").click()
        await expect(window("#confirm")).to_be_visible()
        await window.page.reload()
        await expect(window("#confirm")).to_be_visible()
        await window("#confirm-yes").click()
        await agent.expect(msg.Order)
        await agent.goes_down()
        await expect(window("#mine .badge")).to_contain_text("9:")
        await window.page.reload()
        await window("#mine .card").click()
        await window.banner_says("Rebooting")
        await expect(window(".clock")).to_contain_text("9:")

    stage.run(story, tmp_path)


OVERFLOW = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen(stage: Stage, tmp_path: Path, scheme: Any) -> None:
    async def story(server: Handle, window: Window) -> None:
        agent = await customer(server, customer="A customer with a name that is far too long for a narrow screen")
        await window.take()
        await expect(window("#lists")).to_be_hidden()
        assert not await window.page.evaluate(OVERFLOW)
        await window(".top-item", has_text="Tools").click()
        await window(".popup button", has_text="Reboot and Reconnect").click()
        assert not await window.page.evaluate(OVERFLOW)
        await window(".popup .popup button", has_text="Normal restart").click()
        await window("#confirm-yes").click()
        await agent.expect(msg.Order)
        await agent.goes_down()
        await expect(window(".clock")).to_be_in_viewport()
        await expect(window(".compose textarea")).to_be_in_viewport()
        assert not await window.page.evaluate(OVERFLOW)
        await window(".back").click()
        await expect(window("#lists")).to_be_visible()
        await expect(window(".session")).to_have_count(0)

    stage.run(story, tmp_path, viewport={"width": 390, "height": 760}, color_scheme=scheme)
