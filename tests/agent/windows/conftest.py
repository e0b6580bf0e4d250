"""Fixtures for the agent's windows."""

from __future__ import annotations

import pytest

from tests.agent.windows.glass import Desk, Glass


@pytest.fixture
def make_desk():
    """Makes a user interface on a pretend glass."""
    made = []

    def make(*arguments):
        made.append(Desk(*arguments))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


@pytest.fixture
def desk(make_desk):
    """A user interface in English on a pretend glass."""
    return make_desk()


@pytest.fixture
def glass():
    """A pretend glass without a user interface."""
    return Glass(None)
