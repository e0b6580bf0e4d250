"""Descriptions of images: those of the repository are well formed, and a wrong one is named by file and key or line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.images import loader
from rrsim.images.errors import ImageError

GOOD = """\
name = "{name}"
title = "T"
windows = "wine"
shells = ["ssh"]
[hardware]
memory_mib = 512
"""


def test_every_image_of_the_repository_is_well_formed() -> None:
    """The Wine guest is among them."""
    described = {name: loader.load(name) for name in loader.names()}
    assert "wine-guest" in described
    assert "nosmap" in described["wine-guest"].command_line
    assert all(one.name == name for name, one in described.items())


@pytest.mark.parametrize(("change", "part"), [
    (("memory_mib = 512", "memory_mib = \"much\""), "$.hardware.memory_mib"),
    (("memory_mib = 512", ""), "memory_mib"),
    (("title = \"T\"", "titel = \"T\""), "titel"),
    (("[\"ssh\"]", "[\"telnet\"]"), "$.shells[0]"),
    (("title = \"T\"", "title = T"), "line 2"),
    (("name = \"one\"", "name = \"two\""), "name = 'one'"),
])
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], part: str) -> None:
    """With the file, and what to try."""
    path = tmp_path / "one" / "image.toml"
    path.parent.mkdir()
    text = GOOD.format(name="one")
    path.write_text(text, encoding="utf-8")
    assert loader.read(path).hardware.memory_mib == 512
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(ImageError) as caught:
        loader.read(path)
    assert part in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_unknown_image_lists_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the name tries to leave the folder."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "image.toml").write_text(GOOD.format(name="one"), encoding="utf-8")
    monkeypatch.setenv("RRSIM_IMAGES", str(tmp_path))
    assert loader.names() == ("one",)
    for name in ("two", "../one", ""):
        with pytest.raises(ImageError, match="one of: one"):
            loader.load(name)
