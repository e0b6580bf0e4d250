"""Which backends this version has, and how to run a scenario on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from rrsim.cli import clock
from rrsim.cli.errors import CommandError, environment_error
from rrsim.protocol.settings import PROFILES
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

Runner = Callable[[Scenario, int], RunResult]

KNOWN: Final = ("sim", "wine", "libvirt")


def check_backend(name: str) -> None:
    """Raise unless the backend is there.

    Raises:
        CommandError: exit code 64 for a name nobody knows, 70 for one that is not in this version.
    """
    if name not in KNOWN:
        raise CommandError(f"a backend: {', '.join(KNOWN)}", repr(name), "--backend sim")
    if name != "sim":
        raise environment_error(
            f"the {name} backend to be installed",
            f"backend {name!r} is not available in this version of rrsim",
            "--backend sim, which needs nothing but Python",
        )


def check_time_scale(scale: float) -> None:
    """Raise unless the scale makes sense on the simulator, whose time costs nothing.

    Raises:
        CommandError: any scale but 1.
    """
    if scale != 1:
        raise CommandError(
            "--time-scale 1 on the simulator, where virtual time costs nothing", f"{scale:g}", "leaving the option out"
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
    """Return the function that runs one scenario with one seed on a backend.

    Raises:
        CommandError: the backend is not there.
    """
    check_backend(name)
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
