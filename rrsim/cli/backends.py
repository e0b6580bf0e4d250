"""Which backends this version has, and how to run a scenario on one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import msgspec

from rrsim.cli import clock
from rrsim.cli.errors import CommandError, environment_error
from rrsim.protocol.settings import PROFILES
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

Runner = Callable[[Scenario, int], RunResult]

BUNDLED: Final = "rrsim"
"""Name of the adapters of the agent and the session server that come with rrsim."""
KNOWN: Final = ("sim", "wine", "libvirt")
LIVE_PACKAGES: Final = ("websockets", "litestar", "uvicorn", "trustme", "httpx", "PIL")
"""Modules that only live runs need: the extra ``live``."""
MOST_SCALE: Final = 1_000
"""No machine keeps up with more; which scale a case can keep is said when it is skipped."""


def check_backend(name: str) -> None:
    """Raise unless the backend is there, with everything that it needs of this computer.

    Raises:
        CommandError: exit code 64 for a name nobody knows, 70 for one whose packages or programs are not installed.
    """
    if name not in KNOWN:
        raise CommandError(f"a backend: {', '.join(KNOWN)}", repr(name), "--backend sim")
    if name != "sim":
        missing = [module for module in LIVE_PACKAGES if find_spec(module) is None]
        if missing:
            raise environment_error(
                "the packages for live runs", f"no module {', '.join(missing)}",
                "pip install 'rrsim[live]', or in a checkout: make .venv/dev.stamp",
            )
        from rrsim.cli.live import require

        require(name)


def check_options(backend: str, time_scale: float, agent: str = "", server: str = "") -> None:
    """Raise unless the options for live backends make sense on this one; 0 and empty mean: not given.

    Raises:
        CommandError: a scale that no clock can keep, or options for machines given to the simulator.
    """
    if backend != "sim":
        if time_scale and not 1 <= time_scale <= MOST_SCALE:
            raise CommandError(f"--time-scale from 1 to {MOST_SCALE}", f"{time_scale:g}", "leaving the option out")
        return
    if time_scale not in (0, 1):
        raise CommandError(
            "--time-scale 1 on the simulator, where virtual time costs nothing", f"{time_scale:g}",
            "leaving the option out",
        )
    for option, name in (("--agent", agent), ("--server", server)):
        if name not in ("", BUNDLED):
            raise CommandError(
                f"{option} with a live backend: the simulator plays the bundled agent and server", repr(name),
                "--backend wine",
            )


def with_profile(scenario: Scenario, profile: str) -> Scenario:
    """Return the scenario under another named profile; its own single settings still override that profile.

    Raises:
        CommandError: no such profile.
    """
    if not profile:
        return scenario
    if profile not in PROFILES:
        raise CommandError(f"a profile: {', '.join(PROFILES)}", repr(profile), "--profile gotoassist-corporate")
    given = msgspec.structs.replace(scenario.given, profile=profile)
    return msgspec.structs.replace(scenario, given=given)


def runner_for(name: str) -> Runner:
    """Return the function that runs one scenario with one seed on the simulator.

    Raises:
        CommandError: another backend, which runs many at a time and has to be opened first (``rrsim.cli.engine``).
    """
    if name != "sim":
        raise CommandError("the simulator", f"backend {name!r}", "--backend sim")
    from rrsim.backends.sim.runner import run

    return run


def run_safely(run: Runner, scenario: Scenario, seed: int, backend: str = "sim") -> RunResult:
    """Run one case and note how long it took. An error of the harness becomes a result: no other run is lost."""
    began = clock.elapsed_s()
    try:
        result = run(scenario, seed)
        return msgspec.structs.replace(result, wall_us=round((clock.elapsed_s() - began) * 1e6))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the harness's and must not stop the others
        import traceback

        where = "".join(traceback.format_exception(error)[-2:]).strip()
        return RunResult(
            scenario=scenario,
            backend=backend,
            seed=seed,
            outcome="error",
            reason=f"the harness failed: {type(error).__name__}: {error}\n{where}",
        )
