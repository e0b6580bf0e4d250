"""A live machine as the subject of the machine contract suite: the same for every backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from rrsim.backends.live.contract import LiveContract, Opened
from rrsim.backends.live.pc import NotPossible
from rrsim.machine.interface import Machine
from tests.contract.suite import MODE_MATTERS, Subject


def parametrize_modes(metafunc: pytest.Metafunc) -> None:
    """Every test in service mode, and in application mode too where that matters: a real machine costs time."""
    if "subject" in metafunc.fixturenames:
        modes = ["service", "application"] if metafunc.definition.originalname in MODE_MATTERS else ["service"]
        metafunc.parametrize("subject", modes, indirect=True)


def subjects(
    name: str, open_bench: Callable[[Path], Awaitable[Opened]], minute_us: int, request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Subject]:
    """Yield the subject of one test, and close its machines; they live in ``machines`` below ``tmp_path``."""
    ca_file = tmp_path / "ca.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(str(ca_file))
    made: list[LiveContract] = []

    def make() -> Machine:
        root = tmp_path / "machines"
        made.append(LiveContract(name, lambda: open_bench(root), root, str(ca_file), request.param))
        return made[-1]

    yield Subject(make, request.param, minute_us, NotPossible)
    for one in made:
        one.close()
