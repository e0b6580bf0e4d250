"""Comparing two runs: what is aligned, what counts as a difference, and the proof that it can see."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.backends.sim.runner import run
from rrsim.broken.agent_bugs import BUGS
from rrsim.broken.on_wine import PLAN
from rrsim.machine import observations as seen
from rrsim.report import compare as comparing
from rrsim.report import fidelity, witnessed
from rrsim.scenario.history import History
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from tests.report.wrong_models import WRONG

ROOT = Path(__file__).parents[2]
AGENT_PARTS = {bug.name: bug.parts for bug in BUGS}


@pytest.fixture(scope="module")
def cases() -> dict[str, Scenario]:
    """Every case by its id."""
    return {case.id: case for case in load_paths([str(ROOT / "scenarios")]).scenarios}


def as_wine(result: RunResult, *stand_ins: str) -> RunResult:
    """Return a simulated run as if a real machine had made it, so that known differences apply."""
    return msgspec.structs.replace(result, backend="wine", stand_ins=stand_ins)


def changed(result: RunResult, change: Any) -> RunResult:
    """Return a run whose history went through ``change(entry) -> entries``."""
    assert result.history is not None
    return with_entries(result, [new for entry in result.history.entries for new in change(entry)])


def with_entries(result: RunResult, entries: list[Any]) -> RunResult:
    """Return a run with other entries in its history."""
    assert result.history is not None
    return msgspec.structs.replace(result, history=History(result.history.header, entries))


def recast(result: RunResult, change: Any) -> RunResult:
    """Return a run each of whose events went through ``change(event) -> event``."""
    return changed(result, lambda entry: ((entry[0], entry[1], change(entry[2]), entry[3]),))


def test_a_run_is_equal_to_itself_and_says_how_much_was_compared(cases: dict[str, Scenario]) -> None:
    result = run(cases["same-user"])
    found = comparing.compare(result, as_wine(result))
    assert found.outcome == "equal"
    assert found.differences == ()
    assert found.compared["endpoint resumed"] == 1
    assert set(found.witnesses) == set(witnessed.WITNESSES)
    assert sum(found.compared.values()) == sum(found.witnesses.values()) > 50


def test_another_seed_is_another_time_and_no_difference(cases: dict[str, Scenario]) -> None:
    for name in ("same-user", "customer-agrees[agent=service]", "restart-into-safe-mode[place=chat window]"):
        found = comparing.compare(run(cases[name], 1), as_wine(run(cases[name], 7)))
        assert found.outcome == "equal", comparing.text(found)


def test_the_order_between_witnesses_counts_for_nothing(cases: dict[str, Scenario]) -> None:
    result = run(cases["same-user"])
    assert result.history is not None
    by_source = sorted(result.history.entries, key=lambda entry: entry[1])
    other = with_entries(result, by_source)
    assert comparing.compare(result, as_wine(other)).outcome == "equal"


def test_the_order_of_one_witness_counts(cases: dict[str, Scenario]) -> None:
    result = run(cases["same-user"])
    assert result.history is not None
    entries = list(result.history.entries)
    at = next(i for i, entry in enumerate(entries) if type(entry[2]).__name__ == "RestartAsked")
    to = next(i for i, entry in enumerate(entries) if type(entry[2]).__name__ == "RestartConfirmed")
    entries[at], entries[to] = entries[to], entries[at]
    other = with_entries(result, entries)
    found = comparing.compare(result, as_wine(other))
    assert found.outcome == "different"
    assert {one.witness for one in found.unexplained} == {"server"}


@pytest.mark.parametrize("lost", [seen.WindowShown, seen.Clicked, seen.RestartBegan, seen.BootBegan, seen.HostCall])
def test_what_one_side_does_not_see_is_a_difference(lost: type, cases: dict[str, Scenario]) -> None:
    result = run(cases["customer-agrees[agent=application]"])
    blind = changed(result, lambda entry: () if isinstance(entry[2], lost) else (entry,))
    for one, other in ((result, as_wine(blind)), (blind, as_wine(result))):
        assert comparing.compare(one, other).outcome == "different"


def test_residue_and_verdict_are_compared(cases: dict[str, Scenario]) -> None:
    result = run(cases["same-user"])

    def dirty(event: Any) -> Any:
        if isinstance(event, seen.InventoryTaken) and event.label == "after":
            event = msgspec.structs.replace(event, items=(*event.items, "file:ticket"))
        return event

    found = comparing.compare(result, as_wine(recast(result, dirty)))
    assert [(one.witness, [e.text for e in one.right]) for one in found.unexplained] == [
        ("residue", ["left behind: file:ticket"])
    ]
    restart = msgspec.structs.replace(result.restarts[0], verdict="degraded", losses=("sharing",))
    found = comparing.compare(result, as_wine(msgspec.structs.replace(result, restarts=(restart,))))
    assert [one.witness for one in found.unexplained] == ["verdicts"]


def test_a_comparison_of_nothing_is_empty(cases: dict[str, Scenario]) -> None:
    result = run(cases["same-user"])
    assert result.history is not None
    nothing = msgspec.structs.replace(result, history=History(result.history.header, []), restarts=())
    found = comparing.compare(nothing, as_wine(nothing))
    assert found.outcome == "empty"
    assert "NOTHING COMPARED of: server" in comparing.text(found)


def test_two_cases_are_not_compared(cases: dict[str, Scenario]) -> None:
    with pytest.raises(ValueError, match="expected two runs of one case"):
        comparing.compare(run(cases["same-user"]), run(cases["rep-says-no"]))
    with pytest.raises(ValueError, match="expected a history"):
        comparing.compare(msgspec.structs.replace(run(cases["same-user"]), history=None), run(cases["same-user"]))


def test_what_a_stand_in_decided_is_not_compared_and_said(cases: dict[str, Scenario]) -> None:
    result = run(cases["restart-into-safe-mode[place=chat window]"])

    def normal(event: Any) -> Any:
        if isinstance(event, seen.BootBegan):
            event = msgspec.structs.replace(event, safe_mode=False)
        return event

    other = recast(result, normal)
    assert comparing.compare(result, as_wine(other)).outcome == "different"
    found = comparing.compare(result, as_wine(other, "stand-in: safe boot with networking (wineboot.exe)"))
    assert found.outcome == "equal"
    assert any(kind == "safe mode of a boot" and count for kind, count, _ in found.not_compared)


def test_a_key_that_goes_while_the_record_changes_is_seen_in_either_order(cases: dict[str, Scenario]) -> None:
    """A watcher of a disk finds both in one look: a record that was kept says nothing of the key."""
    result = run(cases["restart-into-safe-mode[place=chat window]"])
    assert result.history is not None
    entries = list(result.history.entries)

    def index(verb: str) -> int:
        return max(i for i, e in enumerate(entries) if isinstance(e[2], seen.HostCall) and e[2].verb == verb)

    key, record = index("safe boot key removed"), index("record erased")
    assert key < record
    swapped = entries.copy()
    swapped[key], swapped[record] = entries[record], entries[key]
    other = as_wine(with_entries(result, swapped))
    for found in (comparing.compare(result, other), comparing.compare(result, as_wine(result))):
        assert found.outcome == "equal", comparing.text(found)
        assert found.compared["safe boot key removed"] == 1
    left = as_wine(with_entries(result, [e for i, e in enumerate(entries) if i != key]))
    assert comparing.compare(result, left).outcome == "different"


def test_eyes_cannot_tell_closing_a_window_from_dying_with_it(cases: dict[str, Scenario]) -> None:
    result = run(cases["power-cut-while-going-down[agent=application]"])

    def closed(event: Any) -> Any:
        if isinstance(event, seen.WindowGone) and event.by == "crash":
            event = msgspec.structs.replace(event, by="agent")
        return event

    other = recast(result, closed)
    assert other.history is not None
    assert result.history is not None
    assert other.history.entries != result.history.entries
    assert comparing.compare(result, as_wine(other)).outcome == "equal"


def test_what_follows_the_end_of_the_run_is_clearing_away(cases: dict[str, Scenario]) -> None:
    result = run(cases["same-user"])
    assert result.history is not None
    end_us = result.history.entries[-1][0]
    for t_us, outcome in ((end_us, "different"), (end_us + 1, "equal")):
        more = [*result.history.entries, (t_us, "pc-1", seen.WindowGone("notice", "agent"), -1)]
        other = as_wine(with_entries(result, more))
        assert comparing.compare(result, other).outcome == outcome


@pytest.mark.parametrize("case", ["mac-goes-on", "same-user"])
def test_only_a_mac_need_not_be_restarted(case: str, cases: dict[str, Scenario]) -> None:
    result = run(cases[case])

    def powerless(entry: Any) -> tuple[Any, ...]:
        return () if isinstance(entry[2], witnessed.POWER) else (entry,)

    found = comparing.compare(result, as_wine(changed(result, powerless)))
    assert found.outcome == ("equal" if case == "mac-goes-on" else "different")
    assert "power" in found.essential or case == "mac-goes-on"
    assert found.missing == ()


def test_nothing_is_explained_between_two_machines(cases: dict[str, Scenario]) -> None:
    result = run(cases["mac-goes-on"])
    other = changed(result, lambda entry: () if isinstance(entry[2], witnessed.POWER) else (entry,))
    both = [msgspec.structs.replace(one, backend=name) for one, name in ((result, "libvirt"), (other, "wine"))]
    assert comparing.compare(*both).outcome == "different"


# --- known differences --------------------------------------------------------------------------------------------


def test_a_known_difference_is_shown_as_explained_only_between_its_backends(cases: dict[str, Scenario]) -> None:
    result = run(cases["customer-agrees[agent=service]"])

    def unseen(entry: Any) -> tuple[Any, ...]:
        event = entry[2]
        return () if isinstance(event, seen.HostCall) and "autostart" in event.verb else (entry,)

    other = changed(result, unseen)
    found = comparing.compare(result, as_wine(other))
    assert found.outcome == "equal"
    assert [one.explained for one in found.differences] == ["a service's own start"]
    assert "because: A service is started by Windows" in comparing.text(found)
    assert comparing.compare(result, other).outcome == "different"
    assert comparing.compare(other, as_wine(result)).outcome == "different"


def test_a_known_difference_holds_for_its_mode_only(cases: dict[str, Scenario]) -> None:
    result = run(cases["customer-agrees[agent=application]"])
    blind = changed(result, lambda e: () if isinstance(e[2], seen.HostCall) and "autostart" in e[2].verb else (e,))
    assert comparing.compare(result, as_wine(blind)).outcome == "different"


def test_who_signs_out_sees_no_sign_of_sharing(cases: dict[str, Scenario]) -> None:
    """The model goes on capturing the welcome screen; eyes on a desktop see the sign go."""
    case = cases["logs-off-in-the-session[agent=service, session=active]"]
    result = run(case)

    def as_eyes_see_it(entry: Any) -> tuple[Any, ...]:
        t_us, source, event, cause = entry
        if isinstance(event, seen.PhaseBegan) and event.phase == "welcome" and 0 < t_us < 60_000_000:
            return (entry, (t_us, source, seen.ScreenSeen(on=False), cause))
        return (entry,)

    found = comparing.compare(result, as_wine(changed(result, as_eyes_see_it)))
    assert found.outcome == "equal", comparing.text(found)
    assert found.compared["screen capture"] == 2


@pytest.mark.parametrize(("backend", "witness", "text", "mode", "name"), [
    ("sim", "desktop", "boot 2: window shown · window: dial prompt", "application", "the dialler's window"),
    ("wine", "desktop", "boot 2: window shown · window: dial prompt", "application", ""),
    ("sim", "desktop", "boot 2: window shown · window: chat", "application", ""),
    ("sim", "power", "boot began · cause: probe · safe mode: no", "mac", "the harness's restart of a Mac"),
    ("sim", "power", "boot began · cause: probe · safe mode: no", "service", ""),
    ("sim", "power", "boot began · cause: agent · safe mode: no", "mac", ""),
    ("libvirt", "power", "boot began · cause: probe · safe mode: no", "mac", ""),
    ("sim", "desktop", "boot 1: window gone · window: notice · by: windows", "mac", "a modelled Mac's last notice"),
    ("sim", "desktop", "boot 1: window gone · window: notice · by: agent", "mac", ""),
    ("wine", "desktop", "boot 1: window gone · window: notice · by: agent", "mac", "a live Mac's last notice"),
    ("wine", "desktop", "boot 1: window gone · window: chat · by: agent", "mac", ""),
    ("libvirt", "wire", "session-over · reason: the customer left", "service", "the last word"),
])  # fmt: skip
def test_a_row_explains_what_it_names_and_nothing_else(
    backend: str, witness: str, text: str, mode: str, name: str
) -> None:
    event = witnessed.Event(text, "", 0)
    sides = ((event,), ()) if backend == "sim" else ((), (event,))
    difference = comparing.Difference(witness, "", 1, *sides)
    other = "wine" if backend == "sim" else backend
    assert fidelity.explain("sim", other, mode, difference) == name


def test_the_table_and_the_page_agree() -> None:
    page = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    plain = re.sub(r"\s+", " ", page)
    rows = re.findall(r"^\| ([^|]+?) \| (\w[^|]*?) \| ((?:sim|machines)[^|]*?) \| ([^|]+?) \|$", page, re.MULTILINE)
    where = {"": "", "service": ", in service mode", "application": ", in application mode", "mac": ", on a Mac"}
    assert {row[:3] for row in rows} == {(o.name, o.witness, o.only_on + where[o.mode]) for o in fidelity.KNOWN}
    for one in fidelity.KNOWN:
        assert re.sub(r"\s+", " ", one.reason) in plain, one.name
    for reason in {*witnessed.UNTAKEN.values(), *(why for _, why in witnessed.STANDS_IN.values())}:
        assert reason in plain, reason


# --- proof that it can see ------------------------------------------------------------------------------------------


def differs(case: Scenario, parts: Parts) -> None:
    """Check that a bug on one side only shows as a difference that nobody explains, whichever side has it."""
    sound, broken = run(case), run(case, 1, parts)
    assert sound.outcome == "passed"
    for one, other in ((sound, as_wine(broken)), (broken, as_wine(sound)), (sound, broken)):
        assert comparing.compare(one, other).outcome == "different"


@pytest.mark.parametrize(("name", "case"), PLAN, ids=[name for name, _ in PLAN])
def test_a_broken_agent_on_one_side_shows(name: str, case: str, cases: dict[str, Scenario]) -> None:
    differs(cases[case], AGENT_PARTS[name]())


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_on_one_side_shows(name: str, cases: dict[str, Scenario]) -> None:
    case, parts = WRONG[name]
    differs(cases[case], parts)


def test_the_proof_is_large_enough(cases: dict[str, Scenario]) -> None:
    assert len(PLAN) >= 10
    assert len(WRONG) >= 5
    assert run(cases["same-user"], 1, REAL).outcome == "passed"
