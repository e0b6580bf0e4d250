"""``rrsim serve``: runs a server until it is stopped, and says what is wrong with its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rrsim.cli import serve
from rrsim.cli.errors import CommandError
from rrsim.server.live import main
from rrsim.server.live.journal import InUse

app = typer.Typer()
app.command()(serve.serve_command)


def test_options_reach_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[main.ServerOptions] = []

    async def serves(options: main.ServerOptions) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(main, "serve", serves)
    words = ["--state", str(tmp_path), "--api-port", "1234", "--profile", "rescue", "--name", "a.test", "--name", "::1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (seen[0].state, seen[0].api_port, seen[0].profile) == (tmp_path, 1234, "rescue")
    assert {"localhost", "127.0.0.1", "a.test", "::1"} <= set(seen[0].names)


def test_state_goes_where_the_system_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib/somebody")
    assert serve.default_state() == Path("/var/lib/somebody/rrsim/server")


@pytest.mark.parametrize(("option", "word"), [("--profile", "nonsense"), ("--log-level", "loud")])
def test_bad_options(option: str, word: str) -> None:
    done = CliRunner().invoke(app, [option, word])
    assert isinstance(done.exception, CommandError)
    assert (done.exception.saw, done.exception.code) == (word, 64)


def test_a_journal_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serves(_: main.ServerOptions) -> int:
        raise InUse("locked")

    monkeypatch.setattr(main, "serve", serves)
    done = CliRunner().invoke(app, ["--state", str(tmp_path)])
    assert isinstance(done.exception, CommandError)
    assert done.exception.code == 70
