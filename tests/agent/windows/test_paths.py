"""Configuration and folders of the agent on Windows, as far as they can be looked at elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rrsim.agent.windows import paths


def write(folder: Path, text: str) -> Path:
    """Write a configuration file."""
    (folder / paths.CONFIG_NAME).write_text(text, encoding="utf-8")
    return folder


def test_a_configuration_is_read(tmp_path: Path) -> None:
    home = write(tmp_path, '{"server": "wss://a:1/agent", "ca_file": "ca.pem", "language": "de"}')
    config = paths.read_config(home)
    assert config == paths.Config("wss://a:1/agent", "ca.pem", "de")
    assert paths.endpoint(config, home).ca_file == str(tmp_path / "ca.pem")
    assert paths.endpoint(config, home).url == "wss://a:1/agent"


def test_without_an_authority_the_systems_are_used(tmp_path: Path) -> None:
    config = paths.read_config(write(tmp_path, '{"server": "wss://a:1/agent"}'))
    assert paths.endpoint(config, tmp_path).ca_file == ""
    assert config.language == "en"


def test_an_absolute_path_of_an_authority_stays(tmp_path: Path) -> None:
    config = paths.Config("wss://a/agent", str(tmp_path / "other" / "ca.pem"))
    assert paths.endpoint(config, tmp_path / "home").ca_file == str(tmp_path / "other" / "ca.pem")


@pytest.mark.parametrize(("text", "says"), [
    ("", "expected"), ("not json", "expected"), ("[]", "expected"), ('{"ca_file": "x"}', "server"),
    ('{"server": 5}', "server"), ('{"server": "wss://a", "proxy": "x"}', "proxy"),
    ('{"server": "\\ud800"}', "expected"),
])
def test_a_configuration_that_cannot_be_used_says_what_is_expected(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(paths.ConfigError, match=says):
        paths.read_config(write(tmp_path, text))


def test_a_configuration_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(paths.ConfigError, match="install the agent again"):
        paths.read_config(tmp_path)
    with pytest.raises(paths.ConfigError, match="at most 65536 bytes"):
        paths.read_config(write(tmp_path, " " * (paths.MAX_CONFIG_BYTES + 1)))


def test_the_program_starts_itself_frozen_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.command("agent", "--value=x") == (sys.executable, "-m", "rrsim.agent", "agent", "--value=x")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert paths.command("agent") == (sys.executable, "agent")


def test_the_configuration_lies_beside_the_program_or_where_a_developer_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    monkeypatch.delenv("RRAGENT_HOME", raising=False)
    assert paths.folder() == Path(sys.executable).parent
    monkeypatch.setenv("RRAGENT_HOME", str(tmp_path))
    assert paths.folder() == tmp_path


def test_data_is_kept_in_a_folder_of_its_own() -> None:
    assert paths.data_folder("service").name == paths.data_folder("application").name == "rragent"
