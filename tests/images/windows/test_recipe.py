"""The recipes that are there, and what a recipe may not say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rrsim.images.windows import recipe
from rrsim.images.windows.recipe import RecipeWrong

ROOT = Path(__file__).parents[3] / "vm_images"
NAMES = tuple(recipe.names(ROOT))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the Windows recipes that may be spoilt."""
    for name in ("windows-11", "windows-server-2022"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_images_that_were_asked_for_are_there() -> None:
    assert {
        "windows-11", "windows-11-german", "windows-11-no-tpm", "windows-10", "windows-server-2022",
        "windows-server-2025",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_reads(name: str) -> None:
    one = recipe.read(ROOT, name)
    assert one.description.name == name
    assert "guest daemon" not in one.description.shells
    assert one.description.hardware.network_card == "e1000e"


def test_variants_change_what_they_say_and_nothing_else() -> None:
    plain, german = recipe.read(ROOT, "windows-11"), recipe.read(ROOT, "windows-11-german")
    assert (german.description.locale, german.description.keyboard) == ("de-DE", "de")
    assert german.setup.input_locale == "0407:00000407"
    assert german.description.hardware == plain.description.hardware
    assert german.setup.editions == plain.setup.editions
    ten = recipe.read(ROOT, "windows-10")
    assert not ten.description.hardware.tpm
    assert ten.description.hardware.memory_mib == plain.description.hardware.memory_mib
    own = recipe.read(ROOT, "windows-11-own-licence").description.licence
    assert (own.kind, own.days) == ("own", None)


def test_evaluations_last_as_long_as_microsoft_says() -> None:
    assert recipe.read(ROOT, "windows-11").description.licence.days == 90
    assert recipe.read(ROOT, "windows-server-2025").description.licence.days == 180


def test_a_digest_changes_with_everything_it_is_made_of(root: Path) -> None:
    one = recipe.read(root, "windows-11")
    seen = {recipe.digest(one, {}), recipe.digest(one, {"a": "1"}), recipe.digest(recipe.read(root, "windows-10"), {})}
    spoil(root / "windows-11" / "setup.toml", 'time_zone = "UTC"', 'time_zone = "GMT Standard Time"')
    seen.add(recipe.digest(recipe.read(root, "windows-11"), {}))
    assert len(seen) == 4
    assert recipe.digest(one, {}) == recipe.digest(one, {})


@pytest.mark.parametrize(("file", "old", "new", "message"), [
    ("image.toml", 'firmware = "uefi"', 'firmware = "bios"', "laid out for UEFI"),
    ("image.toml", 'name = "customer"', 'name = "Customer"', "small letters and digits"),
    ("image.toml", 'name = "customer"', 'name = "guest"', "Windows does not use itself"),
    ("image.toml", 'name = "customer"', 'name = "rradmin"', "among different accounts"),
    ("image.toml", "administrator = true", "administrator = false", "exactly one administrator"),
    ("image.toml", 'name = "customer"', 'name = "customer"\nadministrator = true', "exactly one administrator"),
    ("image.toml", "days = 90", "", "the days of the evaluation"),
    ("image.toml", 'kind = "evaluation"', 'kind = "own"', "product_key = 'env:NAME'"),
    ("image.toml", "memory_mib = 4096", 'memory_mib = "much"', "memory_mib"),
    ("image.toml", "tpm = true", "tpm = false", "requirements_check = false"),
    ("setup.toml", 'computer_name = "RRSIM-W11"', 'computer_name = "RRSIM-WINDOWS-11"', "at most 15 capital letters"),
    ("setup.toml", 'computer_name = "RRSIM-W11"', 'computer_name = "CUSTOMER"', "Windows does not use itself"),
    ("setup.toml", 'time_zone = "UTC"', 'timezone = "UTC"', "timezone"),
    ("setup.toml", 'time_zone = "UTC"', "time_zone = ", "setup.toml"),
])  # fmt: skip
def test_what_a_recipe_may_not_say_is_named(root: Path, file: str, old: str, new: str, message: str) -> None:
    spoil(root / "windows-11" / file, old, new)
    with pytest.raises(RecipeWrong, match=message):
        recipe.read(root, "windows-11")


def test_an_image_without_a_standard_user_is_refused(root: Path) -> None:
    spoil(root / "windows-11" / "image.toml", '[[accounts]]\nname = "customer"\n', "")
    with pytest.raises(RecipeWrong, match="a standard user too"):
        recipe.read(root, "windows-11")


def test_unknown_and_doubled_names_are_named(root: Path) -> None:
    with pytest.raises(RecipeWrong, match=r"saw no windows-7; there are: .*windows-11"):
        recipe.read(root, "windows-7")
    spoil(root / "windows-server-2022" / "setup.toml", "[variants.windows-server-2025.", "[variants.windows-10.")
    with pytest.raises(RecipeWrong, match="saw windows-10 in"):
        recipe.names(root)


def test_a_variant_has_two_parts_only(root: Path) -> None:
    with (root / "windows-11" / "setup.toml").open("a", encoding="utf-8") as file:
        file.write("\n[variants.windows-12]\nhardware = 1\n")
    with pytest.raises(RecipeWrong, match=r"saw \['hardware'\]"):
        recipe.read(root, "windows-12")


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "windows-11" / "image.toml").unlink()
    with pytest.raises(RecipeWrong, match=r"image\.toml, saw: No such file"):
        recipe.read(root, "windows-11")
