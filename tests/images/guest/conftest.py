"""What the tests of the guest's daemon share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.guest.guest_host import Guest


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    """Return a daemon whose Windows does not run yet."""
    one = Guest(tmp_path)
    yield one
    one.close()


@pytest.fixture
def up(guest: Guest) -> Guest:
    """Return a daemon at the welcome screen, with its host listening."""
    guest.daemon.begin()
    guest.ask("hello")
    guest.line("signin", "welcome")
    return guest
