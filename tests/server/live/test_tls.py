"""Certificates of a run: agents trust them and nothing else, and a server that comes back keeps them."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from rrsim.server.live import tls
from tests.server.live.rig import running


def test_they_are_made_once_and_anew_for_other_names(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path)
    pem = first.cert.read_bytes()
    assert tls.ensure(tmp_path) == first
    assert first.cert.read_bytes() == pem
    tls.ensure(tmp_path, ("localhost", "10.0.2.2"))
    assert first.cert.read_bytes() != pem
    assert first.key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in first.ca.read_bytes() + first.cert.read_bytes()


def test_an_agent_that_trusts_another_authority_does_not_connect(tmp_path: Path) -> None:
    async def story() -> None:
        other = tls.ensure(tmp_path / "other")
        async with running(tmp_path / "state") as server:
            agent = server.agent()
            await (await agent.connect()).hang_up()
            agent.ca = other.ca
            with pytest.raises(ssl.SSLCertVerificationError):
                await agent.connect()

    asyncio.run(story())
