"""What rrsim itself needs: Python, packages, a scenario that plays, folders, room, a port of this computer's own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final

from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place

OLDEST_PYTHON: Final = (3, 11)
CORE: Final = {"msgspec": "msgspec", "yaml": "PyYAML", "typer": "typer", "rich": "rich", "jinja2": "Jinja2"}
LIVE: Final = {
    "websockets": "websockets", "litestar": "litestar", "uvicorn": "uvicorn", "trustme": "trustme", "httpx": "httpx",
    "PIL": "pillow",
}
REMOTE: Final = {"winrm": "pywinrm", "paramiko": "paramiko"}
"""Module to the package that brings it."""

CACHE_MIB: Final = 3_000
"""A prepared drive, an agent, stand-ins."""
STATE_MIB: Final = 2_000
"""A machine on Wine is 700 MiB; a Wine guest with its overlays 2 GiB."""
SCENARIO: Final = """\
rrsim: 1
name: doctor
covers: [R1]
steps:
  - do: rep restarts
expect:
  verdict: resumed
"""


def python(_: Place, version: tuple[int, int, int] = sys.version_info[:3]) -> Seen:
    """Look at the Python that runs this."""
    name = f"Python {'.'.join(map(str, version))}"
    if version[:2] < OLDEST_PYTHON:
        return Seen("old", name, "use Python 3.11 or later: make PYTHON=python3.11 run")
    return Seen("ok", name)


def modules(wanted: dict[str, str], extra: str) -> Seen:
    """Look for Python modules; ``extra`` is the extra of rrsim that brings them, empty for rrsim itself."""
    absent = [package for module, package in wanted.items() if importlib.util.find_spec(module) is None]
    if not absent:
        return Seen("ok", ", ".join(wanted.values()))
    brings = f"rrsim[{extra}]" if extra else "rrsim"
    return Seen("missing", f"not installed: {', '.join(absent)}", f"pip install '{brings}'")


def core_packages(_: Place) -> Seen:
    """Look for the packages of every command."""
    return modules(CORE, "")


def live_packages(_: Place) -> Seen:
    """Look for the packages of the session server and of live runs."""
    return modules(LIVE, "live")


def remote_packages(_: Place) -> Seen:
    """Look for the packages of the remote shells into virtual machines."""
    return modules(REMOTE, "vm")


def simulator(_: Place, text: str = SCENARIO) -> Seen:
    """Play a scenario on the simulator."""
    from rrsim.backends.sim.runner import run
    from rrsim.scenario.loader import load_text

    try:
        (case,) = load_text(text)
        result = run(case, 1)
    except Exception as error:  # noqa: BLE001 - whatever it is, the simulator does not work here
        return Seen("broken", f"{type(error).__name__}: {error}", "pip install --force-reinstall rrsim")
    if result.outcome != "passed":
        first = next((check.message or check.check for check in result.problems), result.reason or result.outcome)
        return Seen("broken", f"a plain restart: {result.outcome}: {first}", "pip install --force-reinstall rrsim")
    return Seen("ok", f"a plain restart: {result.verdict}, {result.events} events")


def loopback(_: Place, host: str = "127.0.0.1") -> Seen:
    """Listen on a port of this computer's own and talk to it."""
    try:
        with socket.create_server((host, 0)) as server:
            server.settimeout(2)
            with socket.create_connection(server.getsockname(), timeout=2) as client:
                client.sendall(b"rrsim")
                answerer, _peer = server.accept()
                with answerer:
                    answerer.settimeout(2)
                    heard = answerer.recv(5)
    except OSError as error:
        return Seen("broken", f"{host}: {error}", "bring the loopback interface up: ip link set lo up")
    if heard != b"rrsim":
        return Seen("broken", f"{host}: expected to hear b'rrsim', heard {heard!r}", "look for a filter on loopback")
    return Seen("ok", f"{host} listens and answers")


def state_folder(_: Place) -> Seen:
    """Look at the folder of live runs and built images."""
    from rrsim.backends.live.state import state_home

    return folder(state_home(), "XDG_STATE_HOME", STATE_MIB)


def cache_folder(_: Place) -> Seen:
    """Look at the folder of what can be made again."""
    from rrsim.backends.live.wine.parts import cache_home

    return folder(cache_home(), "XDG_CACHE_HOME", CACHE_MIB)


def folder(path: Path, variable: str, least_mib: int) -> Seen:
    """Look whether a folder can be written to, or made, and how much room there is. Nothing stays in it."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    elsewhere = f"set {variable} to a folder that can be written to, with {least_mib} MiB to spare"
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"rrsim")
            probe.flush()
            os.fsync(probe.fileno())
        free_mib = shutil.disk_usage(there).free // 2**20
    except OSError as error:
        return Seen("broken", f"{path}: cannot be written to ({error.strerror})", elsewhere)
    if free_mib < least_mib:
        return Seen("broken", f"{path}: {free_mib} MiB free, {least_mib} needed", f"make room, or {elsewhere}")
    return Seen("ok", f"{path}: {free_mib / 1024:.0f} GiB free")
