"""From a seed to a plan: the same everywhere, always possible, and as different as a swarm has to be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from msgspec.structs import replace

from rrsim.explore.swarm import plan as plans
from rrsim.explore.swarm.chance import Chance
from rrsim.explore.swarm.draw import NEIGHBOURS, draw_plan
from rrsim.explore.swarm.edges import BESIDE_US, beside
from rrsim.explore.swarm.faults import KINDS
from rrsim.explore.swarm.world import ODDITIES, draw_world
from rrsim.protocol.settings import PROFILES
from rrsim.scenario.accounts import account_of
from rrsim.scenario.model import Expect, Given
from rrsim.scenario.possible import check

MANY = range(6_000)

_PROGRAM = """
from hashlib import blake2b
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.plan import encode
from rrsim.explore.swarm.run import Swarm, encode as whole
digest = blake2b()
for seed in (0, 1, 77, 4321, 10**9, 2**62):
    digest.update(encode(draw_plan(seed)))
batch = Swarm().batch(100, 163)
batch.work = type(batch.work)(sample=batch.work.sample)
digest.update(whole(batch))
print(digest.hexdigest())
"""


def _in_another_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True,
        text=True, check=True, timeout=100,
    )  # fmt: skip
    return done.stdout


def test_plans_and_results_are_the_same_under_every_hash_seed() -> None:
    assert _in_another_process("0") == _in_another_process("1") == _in_another_process("4242")


def test_every_plan_is_a_scenario_that_can_be_true() -> None:
    for seed in MANY[::6]:
        case = plans.as_scenario(draw_plan(seed))
        assert case.expect == Expect()
        assert check(replace(case, expect=Expect(boots=0))) == [], seed


def test_different_seeds_give_different_plans() -> None:
    forms = {plans.encode(replace(draw_plan(seed), seed=0)) for seed in range(500)}
    assert len(forms) > 480


def test_neighbours_share_a_world_and_nothing_else() -> None:
    worlds = {plans.encode(plans.Plan(seed=0, given=draw_plan(seed).given)) for seed in range(NEIGHBOURS)}
    assert len(worlds) == 1
    assert draw_plan(NEIGHBOURS).given != draw_plan(0).given
    assert len({len(draw_plan(seed).steps) for seed in range(NEIGHBOURS)}) > 2


def test_every_kind_of_misfortune_is_off_rare_and_frequent_somewhere() -> None:
    drawn = [draw_plan(seed).faults for seed in range(0, 60_000, 4)]
    for kind in KINDS:
        ways = {faults.get(kind.name, "off") for faults in drawn}
        assert ways == {"off", "rare", "frequent"}, kind.name


def test_a_kind_that_makes_no_sense_in_a_world_is_off() -> None:
    needs_dial_up = {"line busy", "line dead", "carrier lost", "customer hangs up"}
    for seed in MANY:
        plan = draw_plan(seed)
        if plan.given.pc.network != "dial-up":
            assert needs_dial_up.isdisjoint(plan.faults)


def test_worlds_have_every_profile_network_and_oddity() -> None:
    worlds = [draw_world(Chance(block)) for block in range(1_500)]
    assert {world.profile for world in worlds} == set(PROFILES)
    assert {world.pc.network for world in worlds} == {"lan", "wifi", "vpn", "dial-up"}
    assert {world.customers for world in worlds} == {1, 2, 3}
    usual = Given()
    changed = {
        f"{part}.{field}"
        for world in worlds
        for part in ("account", "pc", "customer", "rep")
        for field in getattr(usual, part).__struct_fields__
        if getattr(getattr(world, part), field) != getattr(getattr(usual, part), field)
    }
    never = {
        f"{part}.{field}" for part in ("account", "pc", "customer", "rep")
        for field in getattr(usual, part).__struct_fields__
    } - changed
    assert never == set()
    assert len(ODDITIES) > 25


def test_both_sides_of_the_window_are_drawn() -> None:
    away: set[int] = set()
    for seed in MANY:
        plan = draw_plan(seed)
        window_us = account_of(plan.given).resume_window_us
        for step in plan.steps:
            back = getattr(step.action, "returns_after_us", None)
            if back is not None:
                away.add(back - window_us)
            if step.moment.when == "window opened":
                away.add(step.moment.delay_us - window_us)
    assert {-1, 0, 1} <= away


def test_a_time_beside_a_deadline_is_never_zero_or_less() -> None:
    chance = Chance(1)
    assert {beside(chance, "x", 1_000_000) - 1_000_000 for _ in range(400)} == {
        max(us, 1 - 1_000_000) for us in BESIDE_US
    }


def test_a_stream_does_not_feel_the_others() -> None:
    alone, mixed = Chance(7), Chance(7)
    values = [alone.bits("a") for _ in range(5)]
    mixed_values = []
    for _ in range(5):
        mixed.bits("b")
        mixed_values.append(mixed.bits("a"))
    assert values == mixed_values
    assert Chance(8).bits("a") != values[0]


@pytest.mark.parametrize(("least", "most"), [(1, 1), (1, 1000), (1_000, 480_000_000), (5, 7)])
def test_a_spread_stays_within_its_bounds(least: int, most: int) -> None:
    chance = Chance(3)
    drawn = [chance.spread("x", least, most) for _ in range(2_000)]
    assert min(drawn) >= least
    assert max(drawn) <= most
    if most > 100 * least:
        small = sum(value < 10 * least for value in drawn)
        assert small > 200, "every order of magnitude has its share"
