"""Plans as files: what was written is read, and everything else is refused by name."""

from __future__ import annotations

import json

import pytest

from rrsim.explore.swarm import plan as plans
from rrsim.explore.swarm.draw import draw_plan

PLAN = draw_plan(77)
DATA = plans.encode(PLAN)


@pytest.mark.parametrize("seed", range(0, 400, 7))
def test_a_plan_is_read_as_it_was_written(seed: int) -> None:
    plan = draw_plan(seed)
    again = plans.decode(plans.encode(plan))
    assert again == plan
    assert plans.encode(again) == plans.encode(plan)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected the JSON of a plan"),
        (DATA[:-40], "is the file whole"),
        (b"\xff\xfe", "expected the JSON of a plan"),
        (b"[1, 2]", "expected a plan with 'rrsim_plan', saw none"),
        (b'{"seed": 1}', "expected a plan with 'rrsim_plan', saw none"),
        (b"[" * 100_000, "expected the JSON of a plan"),
        (b" " * (plans.MAX_BYTES + 1), "expected a plan of at most"),
    ],
    ids=["empty", "cut off", "no text", "a list", "no plan", "deep", "huge"],
)
def test_damaged_files_have_a_name(data: bytes, words: str) -> None:
    with pytest.raises(plans.PlanDamaged, match=words):
        plans.decode(data, "mine.json")


def _changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(DATA), **changes}).encode()


def test_a_plan_of_another_format_has_a_name() -> None:
    with pytest.raises(plans.PlanOfAnotherVersion, match="expected plan format 1, saw 2"):
        plans.decode(_changed(rrsim_plan=2))


def test_words_of_another_version_are_told_from_damage() -> None:
    steps = [{"moment": {}, "action": {"do": "rep dances"}}]
    with pytest.raises(plans.PlanOfAnotherVersion, match=r"expected a plan of rrsim .*, saw one of '99.0' with"):
        plans.decode(_changed(rrsim="99.0", steps=steps))
    with pytest.raises(plans.PlanDamaged, match="expected a whole plan"):
        plans.decode(_changed(steps=steps))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1}, {"seed": "one"}, {"seed": 2**63}, {"given": {"agent": "ghost"}}, {"unheard": 1},
        {"given": {"customer": {"reacts in": -5}}}, {"given": {"customer": {"reacts in": "5s"}}},
        {"steps": json.loads(DATA)["steps"] * 400},
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_with_wrong_values_is_damaged(changes: dict[str, object]) -> None:
    with pytest.raises(plans.PlanDamaged):
        plans.decode(_changed(**changes))


def test_a_scenario_becomes_a_plan_and_back() -> None:
    case = plans.as_scenario(PLAN)
    assert case.name == "swarm-77"
    again = plans.from_scenario(case, 77)
    assert (again.given, again.steps, again.seed) == (PLAN.given, PLAN.steps, 77)
