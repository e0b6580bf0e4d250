"""The second product comes in through the two entry point groups, and nothing in rrsim knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

import rrsim
from rrsim.backends.live import adapters
from rrsim.backends.live.runner import Bench, skipped
from rrsim.backends.live.wine import pc
from rrsim.machine.adapters import SEEN_THROUGH_AGENT, AdapterError
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario


def _cases(*prefixes: str) -> list[Scenario]:
    return [case for case in load_paths(["scenarios"]).scenarios if case.id.startswith(prefixes)]


def _bench(scale: float = 30.0) -> Bench:
    agent = adapters.load(adapters.AGENTS, "tideway")

    async def no_machine(*_: object) -> None:
        raise AssertionError("no machine is needed to say what is skipped")

    return Bench(
        backend="wine", agent=agent, server=lambda: adapters.load(adapters.SERVERS, "tideway"), machine=no_machine,
        capabilities=pc.CAPABILITIES, resolution_us=pc.RESOLUTION_US, restart_us=pc.RESTART_US, root=Path(),
        scale=scale,
    )  # fmt: skip


@pytest.mark.usefixtures("tideway")
def test_both_groups_find_it() -> None:
    agent = adapters.load(adapters.AGENTS, "tideway")
    server = adapters.load(adapters.SERVERS, "tideway")
    assert (agent.name, server.name) == ("tideway", "tideway")
    assert agent.observes == SEEN_THROUGH_AGENT
    assert server.observes == {"server", "wire", "console"}


def test_without_its_package_it_is_not_there() -> None:
    with pytest.raises(AdapterError, match=r"expected an adapter 'tideway' .* installed: rrsim; install the package"):
        adapters.load(adapters.AGENTS, "tideway")


def test_nothing_in_rrsim_knows_it() -> None:
    home = Path(rrsim.__file__).parent
    texts = [path for path in home.rglob("*") if path.suffix in {".py", ".c", ".h", ".nsi", ".j2", ".html", ".js"}]
    assert texts
    assert [str(path) for path in texts if "tideway" in path.read_text(encoding="utf-8").lower()] == []


@pytest.mark.usefixtures("tideway")
def test_without_its_key_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEWAY_KEY")
    with pytest.raises(AdapterError, match="expected the variable TIDEWAY_KEY to hold a credential"):
        adapters.load(adapters.SERVERS, "tideway")


@pytest.mark.usefixtures("tideway")
def test_the_key_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef" * 4 + "\n", encoding="ascii")
    monkeypatch.delenv("TIDEWAY_KEY")
    monkeypatch.setenv("TIDEWAY_KEY_REFERENCE", f"file:{tmp_path / 'key'}")
    assert adapters.load(adapters.AGENTS, "tideway").secrets() == ("0123456789abcdef" * 4,)


@pytest.mark.parametrize("name", ["same-user", "rep-says-no", "customer-declines[agent=application]"])
@pytest.mark.usefixtures("tideway")
def test_what_it_has_is_run(name: str) -> None:
    (case,) = _cases(name)
    assert skipped(case, _bench()) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("same-session[agent=service]", "needs service mode (the agent tideway does not have it)"),
        ("session-window-closed", "needs the account setting 'phone_mode' as True (the server tideway"),
        ("start-menu-other-product[agent=application]", "needs the account setting 'foreign_resumes' as True"),
    ],
)
@pytest.mark.usefixtures("tideway")
def test_what_it_lacks_is_skipped_with_the_name(name: str, why: str) -> None:
    case = _cases(name)[0]
    assert skipped(case, _bench()).startswith(why)


@pytest.mark.usefixtures("tideway")
def test_settings_that_cannot_be_scaled_need_time_scale_1(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = _cases("same-user")
    kind = type(adapters.load(adapters.SERVERS, "tideway"))
    monkeypatch.setattr(kind, "scales", False)
    assert skipped(case, _bench(30)).startswith("needs time scale 1 (the settings of the server tideway")
    assert skipped(case, _bench(1)) == ""
