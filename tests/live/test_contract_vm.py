"""The Wine guest in a virtual machine under the suite that every machine has to pass (:mod:`tests.contract.suite`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from rrsim.backends.live.contract import Opened
from tests.contract.live_subject import parametrize_modes, subjects
from tests.contract.suite import *  # noqa: F403 -- the suite's tests are to be collected here
from tests.contract.suite import Subject

pytestmark = [
    pytest.mark.libvirt, pytest.mark.nightly,
    pytest.mark.skipif(find_spec("libvirt") is None, reason="no libvirt binding: make .venv/libvirt.stamp"),
    pytest.mark.timeout(1200),
]
MINUTE_US = 4_000_000
"""An emulated machine restarts in 20 to 60 seconds: a minute of the suite is four."""


pytest_generate_tests = parametrize_modes


async def open_bench(root: Path) -> Opened:
    """Return a bench of virtual machines from the built image, and how to let the host go.

    ``rrsim image verify`` says in the environment which image.
    """
    from rrsim.backends.live.vm.bench import DEFAULT_IMAGE, VmOptions, make_bench
    from rrsim.cli.image_contract import ENV_ACCELERATOR, ENV_IMAGE

    chosen = VmOptions(image=os.environ.get(ENV_IMAGE, DEFAULT_IMAGE), accelerator=os.environ.get(ENV_ACCELERATOR, ""))
    made = await make_bench(root, chosen, 60_000_000 / MINUTE_US, progress=print)
    return Opened(made.bench, made.close)


@pytest.fixture
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A virtual machine with the agent in one of its modes."""
    yield from subjects("Wine guest", open_bench, MINUTE_US, request, tmp_path)
