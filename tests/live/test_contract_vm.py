"""The Wine guest in a virtual machine under the suite that every machine has to pass (:mod:`tests.contract.suite`)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import trustme

from rrsim.backends.live.contract import LiveContract, Opened
from rrsim.backends.live.pc import NotPossible
from rrsim.machine.interface import Machine
from tests.contract.suite import *  # noqa: F403 -- the suite's tests are to be collected here
from tests.contract.suite import MODE_MATTERS, Subject

pytestmark = [
    pytest.mark.libvirt, pytest.mark.nightly,
    pytest.mark.skipif(find_spec("libvirt") is None, reason="no libvirt binding: make .venv/libvirt.stamp"),
    pytest.mark.timeout(1200),
]
MINUTE_US = 4_000_000
"""An emulated machine restarts in 20 to 60 seconds: a minute of the suite is four."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test in service mode, and in application mode too where that matters: a machine costs a minute."""
    if "subject" in metafunc.fixturenames:
        modes = ["service", "application"] if metafunc.definition.originalname in MODE_MATTERS else ["service"]
        metafunc.parametrize("subject", modes, indirect=True)


async def open_bench(root: Path) -> Opened:
    """Return a bench of virtual machines from the built image, and how to let the host go."""
    from rrsim.backends.live.vm.bench import VmOptions, make_bench

    made = await make_bench(root, VmOptions(), 60_000_000 / MINUTE_US, progress=print)
    return Opened(made.bench, made.close)


@pytest.fixture
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A virtual machine with the agent in one of its modes."""
    ca_file = tmp_path / "ca.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(str(ca_file))
    made: list[LiveContract] = []

    def make() -> Machine:
        root = tmp_path / "machines"
        made.append(LiveContract("Wine guest", lambda: open_bench(root), root, str(ca_file), request.param))
        return made[-1]

    yield Subject(make, request.param, MINUTE_US, NotPossible)
    for one in made:
        one.close()
