"""Where the agent's files are, and what it is configured with.

The configuration lies beside the program: ``rragent.json`` with the server's address and, where the system's own
authorities are not to be trusted, a file with the one that is. It holds no secret.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from rrsim.agent.outside import Endpoint
from rrsim.protocol.messages import AgentMode

CONFIG_NAME: Final = "rragent.json"
MAX_CONFIG_BYTES: Final = 64 * 1024


class ConfigError(ValueError):
    """The configuration file is not there or cannot be used."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``rragent.json`` holds."""

    server: str
    """``wss://host:port/agent``."""
    ca_file: str = ""
    """A file beside the configuration, or an absolute path; empty: the system's authorities."""
    language: str = "en"
    """Language of windows before the account's own is known."""


def program() -> Path:
    """Return the running program: ``rragent.exe``, or the interpreter when it is not frozen."""
    return Path(sys.executable)


def command(*verb: str) -> tuple[str, ...]:
    """Return the command line, as a list, that starts this program with a verb."""
    if getattr(sys, "frozen", False):
        return (str(program()), *verb)
    return (str(program()), "-m", "rrsim.agent", *verb)


def folder() -> Path:
    """Return the folder of the program and its configuration."""
    return Path(os.environ["RRAGENT_HOME"]) if "RRAGENT_HOME" in os.environ else program().parent


def read_config(home: Path | None = None) -> Config:
    """Return the configuration.

    Raises:
        ConfigError: it is missing, too large, or not what is expected.
    """
    path = (home or folder()) / CONFIG_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"expected a configuration file at {path}, saw: {error.strerror}; install the agent again"
        ) from None
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"expected at most {MAX_CONFIG_BYTES} bytes in {path}, saw {len(data)}")
    try:
        return msgspec.json.decode(data, type=Config)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}; expected {{\"server\": \"wss://host:port/agent\", \"ca_file\": \"ca.pem\"}}"
        ) from None


def endpoint(config: Config, home: Path | None = None) -> Endpoint:
    """Return where to connect, with the authority's file as an absolute path."""
    ca_file = str((home or folder()) / config.ca_file) if config.ca_file else ""
    return Endpoint(config.server, ca_file)


def data_folder(mode: AgentMode) -> Path:
    """Return the folder of record and log: the machine's for a service, the user's own otherwise (rule 5)."""
    return _known_folder(_COMMON_APPDATA if mode == "service" else _LOCAL_APPDATA) / "rragent"


_COMMON_APPDATA: Final = 0x23
_LOCAL_APPDATA: Final = 0x1C


def _known_folder(number: int) -> Path:
    """Ask Windows, not the environment: a service has next to none."""
    if sys.platform == "win32":
        import ctypes

        path = ctypes.create_unicode_buffer(260)
        if ctypes.windll.shell32.SHGetFolderPathW(None, number, None, 0, path) == 0 and path.value:
            return Path(path.value)
    return Path.home()
