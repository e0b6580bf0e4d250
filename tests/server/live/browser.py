"""A real headless Chromium for the console's tests, one for each test module, and a server for each test."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from rrsim.protocol import messages as msg
from tests.server.live.console_kit import login_link
from tests.server.live.rig import Handle, running
from tests.server.live.scripted import ScriptedAgent

PATIENCE_MS = 10_000
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
BROKEN = ("Content Security Policy", "Trusted", "Uncaught", "TypeError", "ReferenceError")
"""What a browser's console must never say."""


class Window:
    """One representative's console in a browser window."""

    def __init__(self, page: Page, server: Handle) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.extend([said.text] * any(w in said.text for w in BROKEN)))

    async def log_in(self, rep: str, link: str) -> None:
        """Log in by the link."""
        await self.page.goto(link)
        await self.page.get_by_label("Your name").fill(rep)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator("#link")).to_have_text("Connected")

    def __call__(self, selector: str, **more: Any) -> Locator:
        """Return what a CSS selector finds."""
        return self.page.locator(selector, **more)

    async def take(self, session: str = "session-1") -> None:
        """Take a session from the queue with the mouse."""
        await self(f"#queue li[data-key='{session}'] .take").click()
        await expect(self(f"#mine li[data-key='{session}']")).to_have_count(1)
        await expect(self(".session .compose")).to_be_visible()

    async def banner_says(self, headline: str, detail: str = "") -> None:
        """Wait for the session's banner to say this."""
        await expect(self(".banner strong")).to_have_text(headline)
        if detail:
            await expect(self(".banner .detail")).to_contain_text(detail)

    async def focused(self) -> str:
        """Return the text, or else the label, of what has the focus."""
        return str(await self.page.evaluate(
            "(e => e.getAttribute('aria-label') || (e === document.body ? '' : e.textContent.trim()) || e.tagName)"
            "(document.activeElement)"
        ))  # fmt: skip

    async def tab_to(self, name: str) -> None:
        """Press Tab until the control of this name has the focus."""
        for _ in range(40):
            if await self.focused() == name:
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"expected to reach {name!r} with Tab, saw {await self.focused()!r} after 40 presses")

    async def picture_width_is(self, pixels: int) -> None:
        """Wait until the viewer shows a picture of this width."""
        await expect(self(".shot")).to_have_js_property("naturalWidth", pixels)

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await self.page.keyboard.press(key)


class Stage:
    """The browser, and the loop it lives in."""

    def __init__(self, runner: asyncio.Runner, browser: Browser) -> None:
        self.runner = runner
        self.browser = browser

    @contextlib.asynccontextmanager
    async def window(self, server: Handle, rep: str = "anna", **options: Any) -> AsyncIterator[Window]:
        """Open a window of its own, with cookies of its own, and log in."""
        context = await self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        try:
            window = Window(await context.new_page(), server)
            if rep:
                await window.log_in(rep, login_link(server))
            yield window
        finally:
            await context.close()
        assert window.complaints == []

    def run(self, story: Callable[[Handle, Window], Awaitable[None]], state: Path, **options: Any) -> None:
        """Run a story with a server and one logged-in window."""

        async def told() -> None:
            async with running(state) as server, self.window(server, **options) as window:
                await story(server, window)

        self.runner.run(told())


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A browser for a module's tests."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("expected Chromium, saw no program `chromium`; install it with: apt-get install -y chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with asyncio.Runner() as runner:
        playwright = runner.run(async_playwright().start())
        try:
            browser = runner.run(playwright.chromium.launch(executable_path=program, args=list(FLAGS)))
            yield Stage(runner, browser)
            runner.run(browser.close())
        finally:
            runner.run(playwright.stop())


async def customer(
    server: Handle, number: int = 1, customer: str = "Maria Keller", account: dict[str, Any] | None = None, **agent: Any
) -> ScriptedAgent:
    """Have a customer wait in the queue, with an agent that has joined."""
    joined = await server.agent(number, **agent).connect()
    await joined.join(await server.session(f"session-{number}", customer=customer, account=account or {}))
    return joined


async def restarted(window: Window, agent: ScriptedAgent) -> msg.Order:
    """Order a restart from the chat window and take it as far as the PC going down."""
    await window(".chat-restart").click()
    await window("#confirm-yes").click()
    order = await agent.expect(msg.Order)
    await agent.goes_down()
    await window.banner_says("Rebooting")
    return order
