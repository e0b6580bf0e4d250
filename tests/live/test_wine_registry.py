"""The registry of a Wine machine: what a program has flushed is on the disk."""

from __future__ import annotations

import shutil

import pytest

from rrsim.backends.live.wine import parts, template
from tests.live.wine_bench import Bench, Play

pytestmark = [
    pytest.mark.wine,
    pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}"),
    pytest.mark.timeout(180),
]


def test_a_flushed_key_is_on_the_disk_of_a_machine_that_can_lose_its_power(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = template.environment
    monkeypatch.setattr(
        template, "environment", lambda prefix, display="": real(prefix, display) | {"RRSIM_HIVES": str(prefix)}
    )

    async def story(b: Bench) -> None:
        b.give("probe_flush.exe")
        await b.machine.log_on()
        assert await b.machine.run([r"C:\probe_flush.exe"]) == (0, "")
        prefix = b.machine.drive_c.parent
        for hive in ("system.reg", "user.reg"):
            kept = (prefix / hive).read_text(encoding="utf-8", errors="replace")
            assert '"Flushed"="on disk"' in kept, hive
            assert kept.startswith("WINE REGISTRY Version 2"), "a file that Wine itself reads"
        assert parts.STAND_INS["registry flush"] in b.machine.stand_ins

    play(story)
