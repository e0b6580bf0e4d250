"""Every command's help ends with examples, and every example is a command line that exists."""

from __future__ import annotations

import shlex

import pytest

from rrsim.cli import app as cli_app
from rrsim.cli.examples import EXAMPLES

_ALL = [(command, line) for command, lines in EXAMPLES.items() for line in lines]


def test_every_command_has_examples() -> None:
    commands = {command.name for command in cli_app.app.registered_commands}
    assert commands == set(EXAMPLES)


@pytest.mark.parametrize(("command", "line"), _ALL, ids=[line for _, line in _ALL])
def test_an_example_is_shown_and_can_be_typed(command: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *argv = shlex.split(line)
    assert (program, argv[0]) == ("rrsim", command)
    assert cli_app.invoke([*argv, "--help"]) == 0
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("line", ["rrsim agent build", "rrsim agent build --format json"])
def test_an_example_of_a_group_is_shown_and_can_be_typed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_app.invoke([*shlex.split(line)[1:], "--help"]) == 0
    assert line in capsys.readouterr().out


def test_a_wrong_option_would_be_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_app.invoke(["run", "--sead", "1", "--help"]) == 64
    assert "--sead" in capsys.readouterr().err
