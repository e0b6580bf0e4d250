"""Small scenario files and a way to call the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rrsim.cli.main import run

GOOD = """\
rrsim: 1
name: comes-back
about: The representative restarts the PC and the session goes on.
covers: [R1, R8]
meta: {owner: team}
steps:
  - do: rep restarts
expect:
  verdict: resumed
"""

MATRIX = """\
rrsim: 1
name: three-places
covers: [R3]
matrix:
  place: [chat window, viewer toolbar, tools menu]
steps:
  - do: rep restarts
    from: ${place}
expect:
  verdict: resumed
"""

WRONG = """\
rrsim: 1
name: wrong-hope
covers: [R13]
steps:
  - do: rep restarts
expect:
  verdict: expired
"""

BROKEN = """\
rrsim: 1
name: misspelt
covers: [R1]
stepps:
  - do: rep restarts
expect: {verdict: resumed}
"""


class Answer(msgspec.Struct):
    """What a command line came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with good scenarios in ``scenarios/area/``; the current directory of the test."""
    monkeypatch.chdir(tmp_path)
    area = tmp_path / "scenarios" / "area"
    area.mkdir(parents=True)
    (area / "comes-back.yaml").write_text(GOOD)
    (area / "three-places.yaml").write_text(MATRIX)
    return area


@pytest.fixture
def wrong(scenarios: Path) -> Path:
    """The same with one scenario that expects the wrong verdict."""
    (scenarios / "wrong-hope.yaml").write_text(WRONG)
    return scenarios


@pytest.fixture
def misspelt(scenarios: Path) -> Path:
    """The same with one file that cannot be used."""
    (scenarios / "misspelt.yaml").write_text(BROKEN)
    return scenarios


@pytest.fixture
def rrsim_cli(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command line and return exit code and both outputs."""

    def call(*argv: str) -> Answer:
        code = run(list(argv))
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
