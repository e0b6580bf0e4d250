"""What each verb of ``rragent.exe`` does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from rrsim.agent.windows import paths

assert sys.platform == "win32"


def _say(text: str) -> None:
    if sys.stdout is not None:
        print(text, flush=True)  # noqa: T201 (this is a command line)


def failed(verb: str, error: Exception) -> int:
    """Log what went wrong in a verb, where that can be done, and return the exit code for it."""
    from rrsim.agent.windows.log import Log

    text = f"{verb} failed: {type(error).__name__}: {error}"
    Log(paths.data_folder("service" if verb in ("service", "install", "uninstall") else "application"))(text)
    _say(text)
    return 70


def _install(_: list[str]) -> int:
    from rrsim.agent.windows import install

    try:
        install.install()
    except (install.InstallError, paths.ConfigError) as error:
        _say(str(error))
        return 1
    _say("installed")
    return 0


def _uninstall(_: list[str]) -> int:
    from rrsim.agent.windows import install

    try:
        install.uninstall()
    except install.InstallError as error:
        _say(str(error))
        return 1
    _say("removed")
    return 0


def _status(_: list[str]) -> int:
    from rrsim.agent.windows import install

    for line in install.status():
        _say(line)
    return 0


def _service(_: list[str]) -> int:
    from rrsim.agent.windows import service

    service.dispatch()
    return 0


def _helper(_: list[str]) -> int:
    from rrsim.agent.windows import helper

    return helper.main()


def _agent(words: list[str]) -> int:
    from rrsim.agent.windows import application

    try:
        application.be_the_agent(started_by=application.value_of(words))
    except application.PipeBusy:
        return 0  # an agent of this user runs already: one is enough
    return 0


def _resume(words: list[str]) -> int:
    from rrsim.agent.windows import application

    application.launch(application.value_of(words))
    return 0


def _join(_: list[str]) -> int:
    from rrsim.agent.windows import joining

    return joining.main()


VERBS: Final[dict[str, Callable[[list[str]], int]]] = {
    "install": _install, "uninstall": _uninstall, "status": _status, "service": _service, "helper": _helper,
    "agent": _agent, "resume": _resume, "join": _join,
}
"""Verb and what it does; each returns the exit code."""
