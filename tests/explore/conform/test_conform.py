"""Histories held against the model: what the real cores do is allowed, what broken ones do is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.sim import runner
from rrsim.backends.sim.compiled import REAL
from rrsim.broken.catalogue import BUGS
from rrsim.cli import conform as command
from rrsim.cli.errors import CommandError
from rrsim.explore.conform import follow, witnessed
from rrsim.machine import observations as seen
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.scenario import history_io
from rrsim.scenario.history import History
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario

ROOT = Path(__file__).parents[3]
KNOWN = {case.id: case for case in load_paths([str(ROOT / "scenarios")]).scenarios}
PLAYED = ("three-places", "customer-declines", "dialled-", "history-has-no-gap", "restart-into-safe-mode",
          "power-cut-while-going-down", "no-shutdown-privilege", "start-menu", "second-order",
          "typed-while-disconnected")  # fmt: skip
"""Beginnings of the names of cases that are played: both modes, safe mode, dial-up, consent, cuts, refusals."""
CASES = [case for name, case in KNOWN.items() if name.startswith(PLAYED)]


def _history(case: Scenario, parts: Any = REAL) -> History:
    history = runner.run(case, 1, parts).history
    assert history is not None
    return history


def _ask(history: History) -> follow.Followed:
    return follow.follow(witnessed.read(history), most_states=20_000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_the_real_cores_do_is_allowed(case: Scenario) -> None:
    found = _ask(_history(case))
    assert (found.outcome, found.matched) == ("allowed", found.of), (found.after, found.saw, found.offers)
    assert found.of >= 3


FOUND = {
    "armed reported before arming": "disk-fills-up-while-arming[agent=application]",
    "foreign restart resumed": "power-cut-while-arming[done=ticket saved, agent=application]",
    "foreign restart resumed by the server": "start-menu[agent=application]",
    "late agent resumed after expiry": "long-updates[agent=application]",
    "customer not asked": "answered-by-hand[with Yes]",
    "the representative's No taken as Yes": "rep-says-no",
    "sharing not returned": "sharing-accepted[agent=application]",
    "chat line doubled": "typed-while-disconnected[agent=application]",
    "double click restarts twice": "double-click[pause=0s, who=rep-1]",
    "helper death taken as leaving": "helper-dies",
}


@pytest.mark.parametrize(("bug", "case"), FOUND.items(), ids=FOUND)
def test_what_broken_cores_do_is_forbidden(bug: str, case: str) -> None:
    (parts,) = (one.parts() for one in BUGS if one.name == bug)
    found = _ask(_history(KNOWN[case], parts))
    assert found.outcome == "forbidden"
    assert found.saw
    assert found.matched < found.of
    assert _ask(_history(KNOWN[case])).outcome == "allowed", "the scenario itself is one that the model knows"


def _without(history: History, unwanted: Any) -> History:
    kept = [(t_us, source, event, -1) for t_us, source, event, _ in history.entries if not unwanted(event)]
    return History(history.header, kept)


SAME_USER = KNOWN["three-places[place=chat window, agent=application]"]


@pytest.mark.parametrize(
    "unwanted",
    [
        lambda event: isinstance(event, rec.OrderArmed),
        lambda event: isinstance(event, rec.WindowOpened),
        lambda event: isinstance(event, seen.BootBegan | seen.WentDown),
        lambda event: isinstance(event, rec.EndpointResumed),
    ],
    ids=["armed", "window", "boot", "resumed"],
)
def test_a_history_with_a_gap_is_forbidden(unwanted: Any) -> None:
    assert _ask(_without(_history(SAME_USER), unwanted)).outcome == "forbidden"


def test_a_record_in_another_order_is_forbidden() -> None:
    history = _history(SAME_USER)
    at = next(n for n, entry in enumerate(history.entries) if isinstance(entry[2], rec.EndpointResumed))
    opened = next(n for n, entry in enumerate(history.entries) if isinstance(entry[2], rec.WindowOpened))
    swapped = list(history.entries)
    swapped[at], swapped[opened] = swapped[opened], swapped[at]
    found = _ask(History(history.header, swapped))
    assert found.outcome == "forbidden"
    assert found.after is not None
    assert "the server records window opened 1" in found.offers


@pytest.mark.parametrize(("after", "outcome"), [(seen.SessionEnds, "allowed"), (rec.OrderArmed, "forbidden")])
def test_a_helper_may_be_gone_before_its_service_where_windows_ends_both(after: type, outcome: str) -> None:
    history = _history(KNOWN["three-places[place=chat window, agent=service]"])
    at = next(n for n, entry in enumerate(history.entries) if isinstance(entry[2], after))
    t_us = history.entries[at][0]
    gone = [
        (t_us, "wire-1", msg.HelperState(desktop="none", user=""), -1),
        (t_us, "server", rec.HelperSeen(session="session-1", desktop="none", user=""), -1),
    ]
    added = [*history.entries[: at + 1], *gone, *history.entries[at + 1:]]
    assert _ask(History(history.header, added)).outcome == outcome


def test_a_wrong_model_is_noticed() -> None:
    """The model's agent takes nobody's answer for a Yes; the history is of the real one."""
    (parts,) = (one.parts() for one in BUGS if one.name == "customer not asked")
    history = _history(KNOWN["customer-declines[agent=application]"])
    assert follow.follow(witnessed.read(history), parts, most_states=20_000).outcome == "forbidden"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("queued-session", "saw a queued one"),
        ("owners-flag-in-application-mode", "boot:safeboot=network before the session"),
        ("servicing-restarts-again[agent=application]", "because of 'servicing'"),
        ("idle-without-a-restart", "timer 'idle'"),
        ("bcdedit-missing", "Windows refuses"),
    ],
)
def test_what_no_model_has_is_named(case: str, words: str) -> None:
    with pytest.raises(witnessed.NotModelled, match=words):
        witnessed.read(_history(KNOWN[case]))


def test_a_limit_is_no_answer() -> None:
    found = follow.follow(witnessed.read(_history(SAME_USER)), most_states=5)
    assert found.outcome == "unknown"


def _kept(folder: Path, name: str, history: History) -> None:
    (folder / f"{name}.jsonl").write_bytes(history_io.dump(history))


def test_the_command_tells_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _kept(tmp_path, "good", _history(SAME_USER))
    assert command.conform(command.Wanted((str(tmp_path),))) == 0
    assert capsys.readouterr().out.startswith("1 history: 1 allowed; ")
    _kept(tmp_path, "other", _history(KNOWN["queued-session"]))
    assert command.conform(command.Wanted((str(tmp_path / "other.jsonl"),))) == 2
    assert "saw a queued one" in capsys.readouterr().out
    _kept(tmp_path, "bad", _without(_history(SAME_USER), lambda event: isinstance(event, rec.OrderArmed)))
    (tmp_path / "notes.jsonl").write_text("{}\n", encoding="utf-8")
    assert command.conform(command.Wanted((str(tmp_path),))) == 1
    out = capsys.readouterr().out
    assert "FORBIDDEN  three-places[place=chat window, agent=application]  (sim, seed 1)" in out
    assert "the model could have: the server records order armed 1" in out
    assert "3 histories: 1 allowed, 1 forbidden, 1 not modelled; " in out


def test_a_path_without_a_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        command.conform(command.Wanted((str(tmp_path),)))
    assert "nothing of the kind" in caught.value.saw
    (tmp_path / "torn.jsonl").write_bytes(b'{"rrsim_history":1,"header":{"scen')
    with pytest.raises(CommandError) as caught:
        command.conform(command.Wanted((str(tmp_path / "torn.jsonl"),)))
    assert "torn.jsonl" in caught.value.saw
