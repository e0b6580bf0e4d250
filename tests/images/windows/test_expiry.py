"""When an evaluation ends, and that an image past its day is refused."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from rrsim.images.description import Built, Licence
from rrsim.images.windows import expiry, recipe
from rrsim.images.windows.expiry import DateWrong, ImageExpired

ROOT = Path(__file__).parents[3] / "vm_images"
MADE = date(2026, 1, 10)


def built(expires: str, name: str = "windows-11") -> Built:
    return Built(
        description=recipe.read(ROOT, name).description, digest="0", made="2026-01-10T00:00:00+00:00", files={},
        expires=expires,
    )


def test_days_are_counted_from_the_build_and_windows_may_shorten_them() -> None:
    licence = Licence("evaluation", 90)
    assert expiry.expires(licence, MADE) == "2026-04-10"
    assert expiry.expires(licence, MADE, "2026-03-01") == "2026-03-01"
    assert expiry.expires(licence, MADE, "2027-03-01") == "2026-04-10"
    assert expiry.expires(licence, MADE, "never") == "2026-04-10"
    assert expiry.expires(Licence("own"), MADE, "2026-03-01") == ""


@pytest.mark.parametrize(("days", "refused", "warned"), [
    (-15, False, False), (-14, False, False), (-13, False, True), (0, False, True), (1, True, False),
    (400, True, False),
])  # fmt: skip
def test_an_image_past_its_day_is_refused_and_one_near_it_warns(days: int, *, refused: bool, warned: bool) -> None:
    one, today = built("2026-04-10"), date(2026, 4, 10) + timedelta(days=days)
    if refused:
        told = rf"windows-11; .*on 2026-04-10 \({days} days ago\).*image build windows-11"
        with pytest.raises(ImageExpired, match=told):
            expiry.require_usable(one, today)
    else:
        assert bool(expiry.require_usable(one, today)) == warned


def test_an_image_of_ones_own_never_ends() -> None:
    assert expiry.require_usable(built("", "windows-11-own-licence"), date(2099, 1, 1)) == ""


def test_an_evaluation_without_a_day_or_with_nonsense_is_refused() -> None:
    with pytest.raises(DateWrong, match="saw none"):
        expiry.require_usable(built(""), MADE)
    with pytest.raises(DateWrong, match="image windows-11; saw 'soon'"):
        expiry.require_usable(msgspec.structs.replace(built(""), expires="soon"), MADE)
