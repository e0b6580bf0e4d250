"""Every action of a scenario has exactly one part that carries it out."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from rrsim.scenario import actions, kinds

LISTED = (*kinds.REP_ACTIONS, *kinds.CUSTOMER_ACTIONS, *kinds.NET_ACTIONS)
AT_THE_SERVER = (actions.ServerRestarts, actions.StrangerPresentsTicket, actions.SecondConnection, actions.Wait)
"""Neither a person's nor the PC's."""


def test_no_action_has_two_parts() -> None:
    assert max(Counter(LISTED).values()) == 1
    assert set(LISTED) <= set(get_args(actions.AnyAction))


def test_whose_action_it_is_can_be_read_from_its_name() -> None:
    for action in get_args(actions.AnyAction):
        tag = str(action.__struct_config__.tag)
        assert tag.startswith("rep ") == (action in kinds.REP_ACTIONS), tag
        assert tag.startswith("customer ") == (action in kinds.CUSTOMER_ACTIONS), tag


def test_what_is_left_happens_to_the_pc_or_at_the_server() -> None:
    rest = set(get_args(actions.AnyAction)) - set(LISTED) - set(AT_THE_SERVER)
    words = ("connection", "network", "dns", "server", "impostor", "line ", "carrier")
    assert not [one for one in rest if any(word in str(one.__struct_config__.tag) for word in words)]
