"""``rrsim bench --live``: a small load on a real server, and what is said if the load cannot be put on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rrsim.cli import bench_live
from rrsim.server.live import load


def test_a_small_load(rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is lost, with and without a killed server; too few agents are beyond the floor for how many there are."""
    monkeypatch.setattr(bench_live, "ROUNDS", 1)
    monkeypatch.setattr(bench_live, "JOINS_A_ROUND", 10)
    answer = rrsim_cli("bench", "--live", "--agents", "20", "--format", "json")
    assert answer.code == 1, answer.err
    figures = {figure["name"]: figure for figure in json.loads(answer.out)["figures"]}
    for how in ("", ", kill -9"):
        assert figures[f"agents back in their session{how}"]["value"] == 20
        assert not figures[f"agents back in their session{how}"]["ok"]
        assert figures[f"lost, duplicated or mixed up{how}"] | {"value": 0, "ok": True} == (
            figures[f"lost, duplicated or mixed up{how}"]
        )
        assert figures[f"restart asked to last agent back{how}"]["ok"]
    join = figures["one join, agents and server together"]
    assert join["ratio"] > 0
    assert join["against"] == "a bare TLS WebSocket server"


def test_a_load_that_cannot_be_put_on(rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few open files, say: that is no figure, and not the product's fault."""

    async def measure(*_: Any) -> None:
        raise load.LoadFailed("expected room for 5200 open files, saw 1024")

    monkeypatch.setattr(load, "measure", measure)
    answer = rrsim_cli("bench", "--live")
    assert answer.code == 70
    assert "1024" in answer.err
    assert "ulimit" in answer.err
