"""Version negotiation."""

from __future__ import annotations

import pytest

from rrsim.protocol import version
from rrsim.protocol.version import NoCommonVersion, negotiate


def test_the_newest_common_version_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "SUPPORTED", (1, 2, 3))
    assert negotiate((1, 2, 9)) == 2


@pytest.mark.parametrize("offered", [(), (0,), (99, 100)])
def test_without_a_common_version_the_error_names_ours(offered: tuple[int, ...]) -> None:
    with pytest.raises(NoCommonVersion, match="this side speaks 1") as caught:
        negotiate(offered)
    assert "99" not in str(caught.value)
