"""The score: each hunter finds bugs that are its kind, says after how much, and admits what it missed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rrsim.broken.catalogue import BUGS
from rrsim.cli import score as command
from rrsim.cli.errors import CommandError
from rrsim.explore import score
from rrsim.explore.models import named

BY_NAME = {bug.name: bug for bug in BUGS}


def test_the_search_counts_the_states_of_all_models_up_to_the_bug() -> None:
    bug = BY_NAME["ticket left behind"]
    alone = score.by_search(bug, [named("application")])
    assert (alone.found, alone.where, alone.what) == (True, "application", "I7")
    after = score.by_search(bug, [named("mac"), named("application")])
    assert after.found
    assert after.effort > alone.effort > 0


def test_a_search_of_the_wrong_models_finds_nothing() -> None:
    found = score.by_search(BY_NAME["ticket left behind"], [named("mac")])
    assert not found.found
    assert found.line() == "search: not found"


def test_a_swarm_tells_the_median_of_its_starts_and_a_short_scenario() -> None:
    found = score.by_swarm(BY_NAME["safe-boot flag left"], starts=3, most_seeds=200)
    assert (found.found, found.what, found.starts) == (True, "I6", 3)
    assert 1 <= found.effort <= 200
    assert 1 <= found.steps <= 3
    assert found.where.startswith("seed ")


def test_a_swarm_that_misses_says_so_and_stops_early() -> None:
    found = score.by_swarm(BY_NAME["claims before the flag is cleared"], starts=20, most_seeds=3)
    assert (found.found, found.starts, found.missed, found.effort) == (False, 3, 3, 3)


def test_what_fails_without_the_bug_too_is_no_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = score.failures
    monkeypatch.setattr(score, "failures", lambda result: (*seen(result), score.Failure("I7", "always")))
    assert not score.by_swarm(BY_NAME["claims before the flag is cleared"], starts=1, most_seeds=3).found


def test_the_command_fails_where_nobody_found_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = command.Wanted(by="swarm", keyword="claims before", starts=1, seeds=2, jobs=1)
    assert command.run(wanted) == 1
    assert "MISSED  claims before the flag is cleared" in capsys.readouterr().out
    table = command.Wanted(by="swarm", keyword="ticket left", starts=1, seeds=50, jobs=1, format="markdown")
    assert command.run(table) == 0
    assert "| ticket left behind | 1 (I7, 1) |" in capsys.readouterr().out


def test_what_was_kept_is_not_hunted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "score.jsonl"
    wanted = command.Wanted(by="swarm", keyword="ticket left", starts=1, seeds=50, jobs=1, keep=str(kept))
    assert command.run(wanted) == 0
    with kept.open("ab") as file:
        file.write(b'{"bug":"half a li')  # it was killed here
    monkeypatch.setattr(command, "_hunted", lambda bugs, hunters, wanted: iter(()) if not bugs else 1 / 0)
    assert command.run(wanted) == 0
    assert "1 of 1 bugs were hunted before" in capsys.readouterr().err
    assert b"half" not in kept.read_bytes()
    with pytest.raises(CommandError, match="of this code and this hunt"):
        command.run(msgspec.structs.replace(wanted, seeds=51))
    kept.write_bytes(b"something else")
    with pytest.raises(CommandError, match="a file that --keep made"):
        command.run(wanted)


@pytest.mark.parametrize("wrong", [{"by": "luck"}, {"by": ","}, {"format": "csv"}, {"keyword": "no such bug"}])
def test_bad_wishes_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        command.run(command.Wanted(**{"by": "swarm", **wrong}))
