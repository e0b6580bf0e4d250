"""The control API keeps to its own OpenAPI document, lets nobody in without the token, and says what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from rrsim.protocol.settings import PROFILES
from tests.server.live.rig import ROOT, running

LEFT_OUT = {"/api/restart"}
"""Would take the server away for as long as the fuzzer likes; it is tested in test_story.py."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server in a process of its own: its endpoints and token."""
    state = tmp_path_factory.mktemp("api") / "state"
    with (state.parent / "server.log").open("wb") as log, subprocess.Popen(
        [sys.executable, "-m", "rrsim.server.live", "--state", str(state)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            endpoints = json.loads(process.stdout.readline())
            endpoints["token"] = Path(endpoints["token_file"]).read_text().strip()
            endpoints["log"] = state.parent / "server.log"
            yield endpoints
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_it_keeps_to_its_openapi_document(served: dict[str, Any]) -> None:
    base = f"http://127.0.0.1:{served['api_port']}"
    headers = {"Authorization": f"Bearer {served['token']}"}
    schema = schemathesis.openapi.from_url(f"{base}/schema/openapi.json")
    seen = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        seen.add((operation.method.upper(), operation.path))
        if operation.path in LEFT_OUT:
            continue

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def fuzz(case: Any) -> None:
            answer = case.call(base_url=base, headers=headers)
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"
            if answer.status_code < 300:
                case.validate_response(answer)

        fuzz()
    assert {("POST", "/api/sessions"), ("POST", "/api/faults"), ("PUT", "/api/account")} <= seen
    assert len(seen) >= 16
    assert served["token"] not in served["log"].read_text()
    assert "Traceback" not in served["log"].read_text()


def test_nobody_without_the_token(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            async with httpx.AsyncClient(base_url=server.base, trust_env=False) as stranger:
                for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {server.token}"}):
                    answer = await stranger.get("/api/sessions", headers=headers)
                    assert answer.status_code == 401
                    assert "token file" in answer.json()["detail"]
                assert (await stranger.get("/api/health")).json()["status"] == "up"
                cookie = {"Cookie": f"rrsim_token={server.token}"}
                assert (await stranger.get("/api/sessions", headers=cookie)).status_code == 200
                rebound = {"Host": "evil.example", **cookie}
                assert (await stranger.get("/api/sessions", headers=rebound)).status_code == 401
            for path in ("/api/stream", "/api/reps/rep-1/console"):
                with pytest.raises(InvalidStatus):
                    await connect(server.base.replace("http", "ws") + path, proxy=None)
            token.append(server.token)

    token: list[str] = []
    asyncio.run(story())
    for private in (tmp_path / "token", tmp_path / "tls" / "server-key.pem"):
        assert private.stat().st_mode & 0o777 == 0o600
    assert token[0] not in (tmp_path / "endpoints.json").read_text()


def test_accounts_and_profiles(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, profile="realvnc") as server:
            assert set(await server.ask("GET", "/api/profiles")) == set(PROFILES)
            account = await server.ask("PUT", "/api/account", {"ask_before_restart": True})
            assert (account["profile"], account["resume_window_us"]) == ("realvnc", 1_200_000_000)
            await server.session("a")
            shown = await server.show("a")
            assert shown["account"] == account
            await server.session("b", account={"profile": "rescue", "language": "de"}, customer="customer-7")
            shown = await server.show("b")
            assert (shown["account"]["expiry_final"], shown["account"]["language"]) == (False, "de")
            assert (shown["account"]["ask_before_restart"], shown["customer"]) == (False, "customer-7")
            for bad in ({"profile": "nonsense"}, {"resume_window_us": 0}, {"resume_window_us": -1}, {"nonsense": 1}):
                await server.ask("PUT", "/api/account", bad, status=400)
            made = await server.ask("POST", "/api/sessions", {})
            assert re.fullmatch(r"\d{9}", made["code"])

    asyncio.run(story())


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), [
    ("GET", "/api/sessions/none", None, 404, "list the sessions"),
    ("POST", "/api/sessions", {"session": "twice"}, 409, "exists"),
    ("POST", "/api/sessions/none/rep", {"rep": "rep-1", "message": {"type": "take"}}, 404, "none"),
    ("POST", "/api/sessions/twice/rep", {"rep": "rep-1", "message": {"type": "rep-chat", "text": "x" * 5000}}, 400,
     "at most 4000 characters"),
    ("POST", "/api/sessions/twice/rep", {"rep": "rep-1", "message": {"type": "nonsense"}}, 400, ""),
    ("POST", "/api/sessions", {"session": "no spaces please"}, 400, ""),
    ("POST", "/api/faults", {"kind": "nonsense"}, 400, ""),
])  # fmt: skip
def test_what_is_wrong_is_said(
    tmp_path: Path, method: str, path: str, body: Any, status: int, words: str
) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            await server.session("twice")
            problem = await server.ask(method, path, body, status=status)
            assert words in problem["detail"]

    asyncio.run(story())


def test_a_bounded_number_of_faults(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            for _ in range(64):
                await server.ask("POST", "/api/faults", {"kind": "lose"})
            problem = await server.ask("POST", "/api/faults", {"kind": "lose"}, status=409)
            assert "at most 64" in problem["detail"]

    asyncio.run(story())
