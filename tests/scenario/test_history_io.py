"""Histories as JSON lines: stable bytes, masked secrets, named errors."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from rrsim.machine import observations as seen
from rrsim.machine.observations import AnyObservation
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import history_io as io
from rrsim.scenario.actions import PowerCut, WallClockJumps
from rrsim.scenario.history import Header, History
from rrsim.scenario.judge import judge
from rrsim.scenario.model import Scenario
from rrsim.scenario.words import Duration
from tests.scenario.checks.hand import Hand


class Note(msgspec.Struct, frozen=True, tag=True):
    text: str
    ticket: str = ""


def sample() -> History:
    hand = Hand().opening(shares=True).said("grüße", 1).restarts()
    hand.put("director", PowerCut(returns_after_us=Duration(5)))
    hand.put("director", WallClockJumps(by_us=Duration(7), back=True))
    hand.put("agent-1", TimerFired("retry"), cause=3)
    hand.put("wire-1", m.Order(1, "normal", False, "the-ticket"))
    hand.put("wire-1", m.Reconnect("session-1", "the-live-key", "boot-1", False))
    return hand.ends().history


def test_round_trip_is_byte_stable() -> None:
    data = io.dump(sample())
    again = io.load(data)
    assert io.dump(again) == data
    assert again.header == sample().header
    assert io.digest(again) == io.digest(sample())


def test_what_has_no_secret_comes_back_equal() -> None:
    history = Hand().opening().restarts().ends().history
    assert io.load(io.dump(history)).entries == history.entries


def test_secrets_are_masked() -> None:
    data = io.dump(sample())
    assert b"the-ticket" not in data
    assert b"the-live-key" not in data
    orders = [e[2] for e in io.load(data).entries if isinstance(e[2], m.Order)]
    assert [order.ticket for order in orders] == ["***"]


def test_no_secret_field_hides_inside_another_struct() -> None:
    def nested(kind: Any, top: bool) -> list[str]:
        found = []
        for field in msgspec.structs.fields(kind):
            if field.name in m.SECRET_FIELDS and not top:
                found.append(f"{kind.__name__}.{field.name}")
            parts = [part for part in (field.type, *get_args(field.type)) if isinstance(part, type)]
            found += [x for part in parts if issubclass(part, msgspec.Struct) for x in nested(part, False)]
        return found

    assert [name for kind in io.LINES if kind is not io.Other for name in nested(kind, True)] == []


def test_events_of_other_rooms_keep_name_and_fields_and_are_masked() -> None:
    history = History(Header(scenario="x", backend="sim", seed=1))
    history.append(1, "agent-1", Note("armed", "the-ticket"))
    data = io.dump(history)
    assert b"the-ticket" not in data
    again = io.load(data)
    assert again.entries[0][2] == io.Other("Note", {"type": "Note", "text": "armed", "ticket": "***"})
    assert io.dump(again) == data


def test_digest_tells_histories_apart() -> None:
    one, two = sample(), sample()
    assert io.digest(one) == io.digest(two)
    t_us, source, event, cause = two.entries[5]
    two.entries[5] = (t_us + 1, source, event, cause)
    assert io.digest(one) != io.digest(two)


def test_every_line_has_its_place_among_its_source() -> None:
    counts: dict[str, int] = {}
    for line in io.dump(sample()).splitlines()[1:]:
        entry = json.loads(line)
        counts[entry["source"]] = counts.get(entry["source"], 0) + 1
        assert entry["seq"] == counts[entry["source"]]


def test_an_impossible_step_still_fails_when_a_saved_history_is_judged() -> None:
    told = [(0, "director", seen.StepImpossible("step 2", "no window"), -1), (1, "director", seen.RunEnded(True), -1)]
    again = io.load(io.dump(History(Header(scenario="a scenario", backend="sim", seed=1), list(told))))
    assert [entry[2] for entry in again.entries] == [entry[2] for entry in told]
    result = judge(Scenario(name="a scenario"), again)
    assert "step impossible" in {check.cause for check in result.checks if check.outcome == "failed"}


def test_every_observation_is_one_that_a_saved_history_gives_back() -> None:
    """One that came back as plain data would be lost on the checks: ``rrsim judge`` would pass what ``run`` failed."""
    assert set(seen.Observation.__subclasses__()) == set(get_args(AnyObservation))
    assert set(r.Record.__subclasses__()) == set(get_args(r.AnyRecord))


def test_tags_are_unique_among_events_a_scenario_can_name() -> None:
    tags = [kind.__struct_config__.tag for union in (AnyObservation, r.AnyRecord) for kind in get_args(union)]
    assert len(tags) == len(set(tags))


def lines() -> list[bytes]:
    return io.dump(sample()).splitlines()


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b"", "f.jsonl:", "empty"),
        (b"{}\n", "f.jsonl:1:", "header"),
        (b"\xff\xfe\n", "f.jsonl:1:", "header"),
        (lines()[0].replace(b'"rrsim_history":1', b'"rrsim_history":99'), "f.jsonl:1:", "format 1, seen 99"),
        (b"\n".join([*lines()[:4], lines()[4][:-9], *lines()[5:]]), "f.jsonl:5:", "damaged"),
        (b"\n".join([*lines()[:4], b"", *lines()[5:]]), "f.jsonl:5:", "damaged"),
        (b"\n".join([*lines()[:4], *lines()[5:]]), "f.jsonl:", "missing or moved"),
        (b"\n".join([*lines()[:3], lines()[3].replace(b'"cause":-1', b'"cause":99')]), "f.jsonl:4:", "earlier entry"),
        (b"\n".join([*lines()[:3], lines()[3].replace(b'"observation"', b'"rumour"')]), "f.jsonl:4:", "rumour"),
    ],
)
def test_what_is_damaged_is_named_with_file_and_line(data: bytes, where: str, what: str) -> None:
    with pytest.raises(io.HistoryError) as caught:
        io.load(data, "f.jsonl")
    assert str(caught.value).startswith(where)
    assert what in str(caught.value)


def test_input_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.dump(sample())
    for limit, value in (("MAX_BYTES", 100), ("MAX_LINE_BYTES", 150), ("MAX_ENTRIES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(io, limit, value)
            with pytest.raises(io.HistoryError, match="at most"):
                io.load(data)


def test_what_is_no_struct_cannot_be_written() -> None:
    history = History(Header(scenario="x", backend="sim", seed=1))
    history.append(1, "agent-1", "text")
    with pytest.raises(io.HistoryError, match="struct"):
        io.dump(history)
