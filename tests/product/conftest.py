"""The second product, installed for one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.product.installed import plug_in


@pytest.fixture
def tideway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install the product's adapters; return its enrolment key."""
    return plug_in(tmp_path / "site", monkeypatch)
