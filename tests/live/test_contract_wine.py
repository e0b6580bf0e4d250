"""The Wine machine under the suite that every machine has to pass (:mod:`tests.contract.suite`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrsim.backends.live.contract import Opened
from rrsim.backends.live.wine import parts
from rrsim.backends.live.wine.bench import make_bench
from tests.contract.live_subject import parametrize_modes, subjects
from tests.contract.suite import *  # noqa: F403 -- the suite's tests are to be collected here
from tests.contract.suite import Subject

pytestmark = [
    pytest.mark.wine,
    pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}"),
    pytest.mark.timeout(300),
]
MINUTE_US = 500_000
"""A Wine machine restarts in a second or two: a minute of the suite is half a second."""

pytest_generate_tests = parametrize_modes


async def open_bench(root: Path) -> Opened:
    """Return a bench of Wine machines; the bundled agent is built, or in the cache."""
    return Opened(await make_bench(root, 60_000_000 / MINUTE_US, progress=print))


@pytest.fixture(scope="session", autouse=True)
def built(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build the agent outside the time limits of the tests."""
    asyncio.run(open_bench(tmp_path_factory.mktemp("bench")))


@pytest.fixture
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A Wine machine with the agent in one of its modes."""
    yield from subjects("Wine machine", open_bench, MINUTE_US, request, tmp_path)
    machines = tmp_path / "machines"
    assert not machines.exists() or list(machines.iterdir()) == [], "a closed machine leaves nothing"
