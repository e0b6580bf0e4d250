"""Built images: whole or absent, found by recipe, and a changed file is noticed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from rrsim.images import store
from rrsim.images.description import Built, Description, Hardware
from rrsim.images.errors import ImageError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def _build(name: str, digest: str, made: str, sources: str = "s") -> Path:
    folder = store.place(name, digest)
    folder.mkdir(parents=True)
    (folder / "disk.qcow2").write_bytes(b"disk")
    described = Description(name=name, title="T", windows="wine", hardware=Hardware(512), shells=("ssh",))
    built = Built(
        description=described, digest=digest, sources=sources, made=made,
        files={"disk.qcow2": sha256(b"disk").hexdigest()},
    )
    (folder / store.MANIFEST).write_bytes(msgspec.json.encode(built))
    return folder


def test_the_newest_of_the_recipe_is_found() -> None:
    """A newer one of another recipe is not it."""
    _build("one", "a" * 64, "2026-01-01T00:00:00Z")
    second = _build("one", "b" * 64, "2026-01-02T00:00:00Z")
    third = _build("one", "c" * 64, "2026-01-03T00:00:00Z", sources="other")
    assert store.find("one").folder == third
    assert store.find("one", "s").folder == second
    assert [one.built.digest[0] for one in store.stored()] == ["c", "b", "a"]
    with pytest.raises(ImageError, match="3 from other states of the recipe"):
        store.find("one", "none of them")
    with pytest.raises(ImageError, match="rrsim image build two"):
        store.find("two")


def test_a_changed_or_missing_file_is_named() -> None:
    """By its name, before anything is started from it."""
    folder = _build("one", "a" * 64, "2026-01-01T00:00:00Z")
    one = store.find("one")
    store.check(one)
    (folder / "disk.qcow2").write_bytes(b"desk")
    with pytest.raises(ImageError, match=r"disk\.qcow2.*has been changed"):
        store.check(one)
    (folder / "disk.qcow2").unlink()
    with pytest.raises(ImageError, match="no such file"):
        store.check(one)
    with pytest.raises(ImageError, match="no such file"):
        one.file("vmlinuz")


def test_a_folder_without_a_whole_manifest_is_no_image() -> None:
    """It is named as damaged and can be removed."""
    folder = _build("one", "a" * 64, "2026-01-01T00:00:00Z")
    (folder / store.MANIFEST).write_bytes(b"{")
    assert store.stored("one") == []
    assert len(store.damaged("one")) == 1
    assert store.remove("one") == [folder]
    assert store.damaged("one") == []


def test_images_are_removed_by_name_and_digest() -> None:
    """Nothing else goes."""
    first = _build("one", "a" * 64, "2026-01-01T00:00:00Z")
    second = _build("one", "b" * 64, "2026-01-02T00:00:00Z")
    other = _build("two", "a" * 64, "2026-01-02T00:00:00Z")
    (store.images_home() / store.SCRATCH / "one-xyz").mkdir(parents=True)
    assert store.remove("one", "bb") == [second]
    assert first.exists()
    assert store.remove("one") == [first]
    assert other.exists()
    with pytest.raises(ImageError):
        store.remove("one")
    with pytest.raises(ImageError):
        store.remove("")
    assert store.size_bytes(other) > 0
