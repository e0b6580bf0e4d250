"""Making the checks: what depends on something broken is skipped, one that raises costs nothing, progress is told."""

from __future__ import annotations

import threading

import pytest

from rrsim.doctor import examine
from rrsim.doctor.catalogue import Check
from rrsim.doctor.finding import (
    Finding,
    Purpose,
    Seen,
    install_command,
    packages_by_group,
    served,
)
from rrsim.doctor.text import closing, line, plain
from rrsim.doctor.trial import Place
from tests.doctor.conftest import World


def check(name: str, seen: Seen, *after: str, needed: bool = True, purposes: tuple[Purpose, ...] = ("wine",)) -> Check:
    """A check that says what it is told to say."""
    return Check(name, "about", purposes, lambda _: seen, after, needed, "virtual machines")


OK = Seen("ok", "fine")
BROKEN = Seen("broken", "bad", "mend it")


def test_what_depends_on_something_broken_is_skipped(world: World) -> None:
    """It says on what, and what depends on it in turn is skipped too."""
    checks = (check("a", BROKEN), check("b", OK, "a"), check("c", OK, "b"), check("d", OK))
    found = {one.name: one for one in examine.examine(world.place, ("wine",), checks=checks)}
    assert [one.state for one in found.values()] == ["broken", "skipped", "skipped", "ok"]
    assert found["b"].seen == "needs a"


def test_a_program_is_missed_even_where_it_cannot_be_tried(world: World) -> None:
    """All that is missing is to be installed at once, not one after the other."""
    second = Check("b", "about", ("wine",), lambda _: OK, ("a",), program="tool", packages=("tool-package",))
    checks = (check("a", BROKEN), second)
    found = list(examine.examine(world.place, ("wine",), checks=checks))[1]
    assert (found.state, found.packages) == ("missing", ("tool-package",))
    world.has("tool", "exit 0")
    assert list(examine.examine(world.place, ("wine",), checks=checks))[1].state == "skipped"


def test_only_what_was_asked_for_is_looked_at(world: World) -> None:
    checks = (check("a", OK, purposes=("sim",)), check("b", OK, purposes=("vm", "wine")))
    assert [one.name for one in examine.examine(world.place, ("vm",), checks=checks)] == ["b"]


def test_a_check_that_raises_costs_only_itself(world: World) -> None:
    def look(_: Place) -> Seen:
        raise ZeroDivisionError("by nought")

    checks = (Check("a", "about", ("sim",), look), check("b", OK, purposes=("sim",)))
    first, second = examine.examine(world.place, ("sim",), checks=checks)
    assert (first.state, second.state) == ("broken", "ok")
    assert "ZeroDivisionError: by nought" in first.seen


def test_a_check_that_takes_long_is_announced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that does not is not."""
    heard: list[str] = []
    rung = threading.Event()

    def say(text: str) -> None:
        heard.append(text)
        rung.set()

    def look(_: Place) -> Seen:
        assert rung.wait(20), "nobody said that it is being tried"
        return OK

    def state(one: Check, patience_s: float) -> str:
        monkeypatch.setattr(examine, "PATIENCE_S", patience_s)
        return next(examine.examine(world.place, ("sim",), say, (one,))).state

    assert state(check("quick", OK, purposes=("sim",)), 60) == "ok"  # on a busy computer nothing is quick
    assert state(Check("slow", "about", ("sim",), look, limit_s=40), 0.05) == "ok"
    assert heard == ["trying slow, for up to 40 s …"]


def finding(name: str, seen: Seen, needed: bool = True, group: str = "") -> Finding:
    """A finding for virtual machines."""
    return Finding(name, "about", ("vm",), needed, seen.state, 1.0, seen.what, seen.fix, seen.packages, group)


def test_what_stands_in_the_way() -> None:
    """Needed and not ok, whatever the reason; what is not needed never does."""
    found = [finding("a", OK), finding("b", Seen("skipped", "needs a")), finding("c", BROKEN, needed=False)]
    assert served(found, ("vm", "wine")) == {"vm": ("b",), "wine": ()}


def test_packages_come_once_and_in_groups() -> None:
    """Under the group that needs them first, in the order of the groups."""
    missing = Seen("missing", "none", "", ("gcc", "x"))
    other = Seen("missing", "none", "", ("gcc", "wine"))
    found = [finding("a", missing, group="virtual machines"), finding("b", other, group="real machines on Wine")]
    groups = packages_by_group(found)
    assert list(groups.items()) == [("real machines on Wine", ("gcc", "wine")), ("virtual machines", ("x",))]
    assert install_command(["b", "a", "b"], root=False) == "sudo apt-get install -y b a"
    assert install_command(["a"], root=True) == "apt-get install -y a"
    assert install_command([], root=True) == ""


def test_the_closing_lines_install_everything_at_once() -> None:
    found = [finding("a", Seen("missing", "none", "fix a", ("pa",)), group="dial-up")]
    text = closing(found, ("vm",), root=False)
    assert "virtual machines: no, because of a" in text
    assert text.splitlines()[-1] == "install them: sudo apt-get install -y pa"
    assert closing([finding("a", OK)], ("vm",), root=False) == "virtual machines: yes"


def test_a_line_shows_state_time_and_cure() -> None:
    first, second = line(finding("a", BROKEN)).splitlines()
    assert first.split() == ["broken", "a", "1.0", "s", "bad"]
    assert second.split() == ["fix:", "mend", "it"]
    assert line(finding("a", BROKEN, needed=False)).startswith("(broken)")


def test_plain_data_says_it_all() -> None:
    found = [finding("a", Seen("missing", "none", "f", ("p",)), group="dial-up")]
    data = plain(found, ("vm",), root=True, exit_code=70)
    assert data["checks"][0] == {
        "name": "a", "about": "about", "purposes": ["vm"], "needed": True, "state": "missing", "seconds": 1.0,
        "seen": "none", "fix": "f", "packages": ["p"], "group": "dial-up",
    }
    assert data["served"] == {"vm": ["a"]}
    assert (data["install"], data["exit_code"], data["asked"]) == ("apt-get install -y p", 70, ["vm"])
