"""The Wine machine under the suite that every machine has to pass (:mod:`tests.contract.suite`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from rrsim.backends.live.contract import LiveContract, Opened
from rrsim.backends.live.pc import NotPossible
from rrsim.backends.live.wine import parts
from rrsim.backends.live.wine.bench import make_bench
from rrsim.machine.interface import Machine
from tests.contract.suite import *  # noqa: F403 -- the suite's tests are to be collected here
from tests.contract.suite import MODE_MATTERS, Subject

pytestmark = [
    pytest.mark.wine,
    pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}"),
    pytest.mark.timeout(300),
]
MINUTE_US = 500_000
"""A Wine machine restarts in a second or two: a minute of the suite is half a second."""

def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test in service mode, and in application mode too where that matters: a Wine machine costs seconds."""
    if "subject" in metafunc.fixturenames:
        modes = ["service", "application"] if metafunc.definition.originalname in MODE_MATTERS else ["service"]
        metafunc.parametrize("subject", modes, indirect=True)


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
    ca_file = tmp_path / "ca.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(str(ca_file))
    made: list[LiveContract] = []

    def make() -> Machine:
        root = tmp_path / "machines"
        made.append(LiveContract("Wine machine", lambda: open_bench(root), root, str(ca_file), request.param))
        return made[-1]

    yield Subject(make, request.param, MINUTE_US, NotPossible)
    for one in made:
        one.close()
    assert not made or list((tmp_path / "machines").iterdir()) == [], "a closed machine leaves nothing"


@pytest.fixture
def machine(subject: Subject) -> Machine:
    """A provisioned machine: signed in, with the agent installed."""
    return subject.make()
