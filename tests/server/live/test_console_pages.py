"""The console's pages as files and requests: the way in, what keeps them to themselves, and screenshots."""

from __future__ import annotations

import asyncio
import re
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.server.live.screens import MAX_BYTES, NotAPicture, Screens
from rrsim.server.live.shown import Outcome, outcome
from tests.server.live.console_kit import content_of, link_file, login_link, mode_of, png
from tests.server.live.rig import running

FILES = {file.name: file.read_text() for file in (resources.files("rrsim.server.live") / "console").iterdir()}


# --- the files --------------------------------------------------------------------------------------------------


def test_nothing_comes_from_elsewhere_and_no_markup_is_made_of_strings() -> None:
    for name, text in FILES.items():
        urls = set(re.findall(r"\b(?:https?|wss?):/?/?[^\s\"'`]*", text)) - {"http://www.w3.org/2000/svg"}
        assert urls <= {"ws://${location.host}/api/reps/${encodeURIComponent(this.rep)}/console"}, name
        assert not re.search(r"(inner|outer|insertAdjacent)HTML|document\.write|\beval\(|new Function", text), name
    page = FILES["index.html"]
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [""]


def test_no_file_is_long() -> None:
    assert max(len(text.splitlines()) for text in FILES.values()) <= 500


# --- the way in -------------------------------------------------------------------------------------------------


def test_pages_keep_to_themselves(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server, httpx.AsyncClient(base_url=server.base, trust_env=False) as stranger:
            assert (await stranger.get("/")).headers["location"] == "/console"
            for name in ("", *(f"/{file}" for file in FILES)):
                answer = await stranger.get(f"/console{name}")
                assert answer.status_code == 200
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert server.token not in answer.text
            for other in ("/console/../token", "/console/%2e%2e%2ftoken", "/console/pages.py"):
                assert (await stranger.get(other)).status_code == 404
            assert (await stranger.get("/console", headers={"Host": "evil.example"})).status_code == 401

    asyncio.run(story())


def test_a_login_code_works_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            address, _, code = login_link(server).partition("#code=")
            assert address == server.endpoints.console == f"{server.base}/console"
            assert mode_of(link_file(server)) == 0o600
            assert code not in content_of(tmp_path / "endpoints.json")

            async def log_in(secret: str, **headers: str) -> httpx.Response:
                async with httpx.AsyncClient(base_url=server.base, trust_env=False) as browser:
                    return await browser.post("/console/login", json={"secret": secret}, headers=headers)

            assert (await log_in("wrong")).status_code == 401
            assert (await log_in(code, Origin="http://127.0.0.1:9")).status_code == 401
            answer = await log_in(code, Origin=server.base)
            assert answer.status_code == 204
            cookie = answer.headers["set-cookie"].lower()
            assert f"rrsim_token={server.token}" in cookie
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            again = await log_in(code)
            assert again.status_code == 401
            assert "works once" in again.json()["detail"]
            assert code not in again.text
            fresh = login_link(server).partition("#code=")[2]
            assert fresh != code
            assert (await log_in(server.token)).status_code == 204
            assert login_link(server).endswith(fresh)

    asyncio.run(story())
    assert not (tmp_path / "console-login").exists()


def test_a_cookie_is_no_pass_for_pages_of_other_ports(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            cookie = {"Cookie": f"rrsim_token={server.token}"}
            for origin, status in ((server.base, 200), ("http://127.0.0.1:9", 401), ("null", 401)):
                async with httpx.AsyncClient(trust_env=False) as browser:
                    answer = await browser.get(f"{server.base}/api/sessions", headers={**cookie, "Origin": origin})
                assert answer.status_code == status
            url = server.base.replace("http", "ws") + "/api/reps/anna/console"
            with pytest.raises(InvalidStatus):
                await connect(url, proxy=None, additional_headers={**cookie, "Origin": "http://127.0.0.1:9"})
            async with connect(url, proxy=None, additional_headers={**cookie, "Origin": server.base}):
                pass

    asyncio.run(story())


# --- what is shown ----------------------------------------------------------------------------------------------


def test_a_console_is_shown_the_queue_and_its_own_sessions(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            for name, rep in (("a", ""), ("b", "anna"), ("c", "bert"), ("d", "anna")):
                await server.session(name)
                if rep:
                    await server.rep(name, msg.Take(), rep)
            await server.rep("d", msg.EndSession(), "anna")
            shown = await server.ask("GET", "/api/reps/anna/sessions")
            assert shown["queued"] == 1
            assert [(s["info"]["session"], s["end_reason"]) for s in shown["sessions"]] == [
                ("d", "representative: ended by the representative"), ("a", ""), ("b", ""),
            ]  # fmt: skip
            async with httpx.AsyncClient(base_url=server.base, trust_env=False) as stranger:
                assert (await stranger.get("/api/reps/anna/sessions")).status_code == 401

    asyncio.run(story())


S = "s"
ASKED = rec.RestartAsked(S, 2, "anna", "chat window", "safe", False)


@pytest.mark.parametrize(("after", "expected"), [
    ([], None),
    ([rec.RestartRefused(S, 2, "silence")], Outcome(2, "refused", "silence", "", "safe")),
    ([rec.RestartUndone(S, 2, "blocked")], Outcome(2, "refused", "blocked", "", "safe")),
    ([rec.RestartCancelled(S, 2, "customer", "declined")], Outcome(2, "cancelled", "declined", "customer", "safe")),
    ([rec.EndpointResumed(S, 2, "b", "k", False, "", "m")], Outcome(2, "resumed", "", "", "normal")),
    ([rec.EndpointResumed(S, 2, "b", "k", True, "", "m", late=True)], Outcome(2, "resumed", "late", "", "safe")),
    ([rec.SessionExpired(S, 2)], Outcome(2, "expired", "", "", "safe")),
    ([rec.WindowOpened(S, 2, "announcement"), rec.SessionEnded(S, "customer", "left")],
     Outcome(2, "lost", "left", "", "safe")),
    ([rec.RestartCancelled(S, 2, "representative", "session ended"), rec.SessionEnded(S, "representative", "over")],
     Outcome(2, "cancelled", "session ended", "representative", "safe")),
    ([rec.EndpointResumed(S, 2, "b", "k", True, "", "m"), rec.EndpointResumed(S, 0, "c", "k", False, "", "m")],
     Outcome(2, "resumed", "", "", "safe")),
])  # fmt: skip
def test_what_became_of_the_last_restart(after: list[Any], expected: Outcome | None) -> None:
    before = [
        rec.SessionRequested(S, "standard", Account()),
        rec.RestartAsked(S, 1, "anna", "chat window", "normal", False),
        rec.RestartRefused(S, 1, "an older one"),
    ]
    assert outcome([*before, ASKED, *after]) == expected


# --- screenshots ------------------------------------------------------------------------------------------------


def test_screenshots(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            await server.session()
            path = "/api/sessions/session-1/screenshot"
            assert (await server.http.get(path)).status_code == 404
            picture = png(8, 6)
            put = await server.http.put(path, content=picture)
            assert put.json() == {"number": 1, "size_bytes": len(picture)}
            shown = await server.http.get(path)
            assert (shown.content, shown.headers["content-type"]) == (picture, "image/png")
            assert shown.headers["cache-control"] == "no-store"
            sessions = (await server.ask("GET", "/api/reps/anna/sessions"))["sessions"]
            assert sessions[0]["screenshot"]["number"] == 1
            for bad, status in ((b"GIF89a", 400), (b"", 400), (png(20_000, 1), 400), (png(8, 6, MAX_BYTES), 413)):
                answer = await server.http.put(path, content=bad)
                assert answer.status_code == status, answer.text
            large = png(8, 6, MAX_BYTES - 1000)
            assert (await server.http.put(path, content=large)).json()["number"] == 2
            assert (await server.http.put("/api/sessions/none/screenshot", content=picture)).status_code == 404
            async with httpx.AsyncClient(base_url=server.base, trust_env=False) as stranger:
                assert (await stranger.get(path)).status_code == 401
                assert (await stranger.put(path, content=picture)).status_code == 401

    asyncio.run(story())


def test_all_pictures_together_are_bounded() -> None:
    screens = Screens(keep_bytes=3000)
    for name in ("a", "b", "a", "c"):
        screens.put(name, png(4, 4, 1000))
    assert screens.latest("b") is None
    assert (screens.latest("a") or screens.put("", b"")).number == 2
    assert screens.latest("c") is not None
    with pytest.raises(NotAPicture):
        screens.put("a", b"no picture")
    assert screens.latest("a") is not None
