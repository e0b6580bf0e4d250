"""``rrsim broken`` and ``rrsim bench``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rrsim.cli import choose
from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.cli.execute import Progress
from rrsim.cli.exit_codes import OK, PRODUCT, exit_code
from rrsim.report import json_out
from rrsim.scenario.result import Outcome

FIELDS: Final = ("name", "value", "unit", "floor", "goal", "better", "ratio", "against", "ok", "note")


def broken(format_: str, keyword: str, paths: tuple[str, ...] = ()) -> int:
    """Hunt every deliberate bug with the scenarios. One that survives gives exit code 1.

    Raises:
        CommandError: no bug has such a name, or the scenarios are not fit for hunting.
    """
    from rrsim.broken.catalogue import BUGS
    from rrsim.broken.hunt import NothingToHuntWith, hunt_all

    wanted = [bug for bug in BUGS if keyword.casefold() in bug.name.casefold()]
    if not wanted:
        raise CommandError("the name of a deliberate bug, or part of it", repr(keyword), "rrsim broken")
    scenarios, problems = choose.load(paths)
    for problem in problems:
        say(str(problem))
    bugs: list[dict[str, Any]] = []
    progress = Progress(len(wanted), "bugs")
    interrupted = False
    try:
        for result in hunt_all(scenarios, wanted):
            bugs.append({"name": result.name, "about": result.about, "caught": result.caught, "by": list(result.by)})
            if format_ == "text":
                word = "caught  " if result.caught else "SURVIVED"
                print(f"{word} {result.name}: {'; '.join(result.by)}", flush=True)
            progress.done(len(bugs))
    except NothingToHuntWith as error:
        raise environment_error("scenarios that pass without any bug", str(error), "rrsim run") from error
    except KeyboardInterrupt:
        interrupted = True
        say(f"stopped by the user after {len(bugs)} of {len(wanted)} bugs")
    finally:
        progress.close()
    return _judged(bugs, format_, bad_input=bool(problems), interrupted=interrupted)


def broken_live(backend: str, format_: str, keyword: str, paths: tuple[str, ...], jobs: int = 0) -> int:
    """Run broken agents on real machines, each against the case that has to catch it. A survivor gives exit code 1.

    Raises:
        CommandError: no planned bug has such a name, or the backend cannot be used.
    """
    from rrsim.broken import on_wine
    from rrsim.cli import backends, live

    backends.check_backend(backend)
    scenarios, problems = choose.load(paths)
    for problem in problems:
        say(str(problem))
    try:
        plan = on_wine.planned(scenarios, keyword)
    except on_wine.NotPlanned as error:
        raise CommandError("the bugs and cases of the plan for real machines", str(error), "no paths") from error
    if not plan:
        raise CommandError("the name of a bug planned for real machines, or part of it", repr(keyword), "no -k")
    bugs: list[dict[str, Any]] = []
    harness_failed = False

    def each(result: Any) -> None:
        nonlocal harness_failed
        harness_failed |= bool(result.errors)
        bugs.append({"name": result.name, "about": result.about, "caught": result.caught, "by": list(result.by)})
        if format_ == "text":
            word = "caught  " if result.caught else "NOT RUN " if result.errors else "SURVIVED"
            print(f"{word} {result.name}: {'; '.join(result.by) or result.about}", flush=True)

    with live.opened(live.LiveOptions(backend=backend)) as runs:
        runs.use(lambda bench, folder: on_wine.hunt_on(bench, plan, folder, live.how_many(len(plan), jobs), each))
    return _judged(bugs, format_, bad_input=bool(problems), interrupted=harness_failed)


def _judged(bugs: list[dict[str, Any]], format_: str, *, bad_input: bool, interrupted: bool) -> int:
    """Print what came of the hunt and return its exit code."""
    alive = [b["name"] for b in bugs if not b["caught"]]
    if format_ == "json":
        print(json_out.dumps({"bugs": bugs}))
    else:
        print(f"{len(bugs) - len(alive)} of {len(bugs)} bugs caught")
    if alive:
        say(f"expected: every bug caught\n     saw: {', '.join(alive)} survived\n     try: a scenario that reaches it")
    outcomes: list[Outcome] = ["failed"] if alive else []
    return exit_code(outcomes, bad_input=bad_input, interrupted=interrupted)


def bench(format_: str, live_agents: int = 0, *, vm: bool = False, swarm: bool = False, search: bool = False) -> int:
    """Measure. A figure beyond its floor gives exit code 1; each is printed as soon as it is known.

    Args:
        format_: ``text`` or ``json``.
        live_agents: measure the session server with so many agents; 0: the simulator.
        vm: measure virtual machines instead.
        swarm: measure random runs and shrinking instead.
        search: measure the exhaustive search instead.

    Raises:
        CommandError: the load could not be put on the server, or there are no virtual machines.
    """
    figures: list[dict[str, Any]] = []
    say("rrsim bench: this takes a while, figures come one by one")
    for figure in _measured(live_agents, vm=vm, swarm=swarm, search=search):
        figures.append(_figure(figure))
        if format_ == "text":
            print(_line(figures[-1]), flush=True)
    if format_ == "json":
        print(json_out.dumps({"figures": figures}))
    return OK if all(f["ok"] for f in figures) else PRODUCT


def _measured(live_agents: int, *, vm: bool, swarm: bool, search: bool) -> Iterator[Any]:
    if search:
        from rrsim.cli import bench_search

        return bench_search.measure()
    if swarm:
        from rrsim.cli import bench_swarm

        return bench_swarm.measure()
    if vm:
        from rrsim.cli import bench_vm

        return bench_vm.measure()
    if live_agents:
        from rrsim.cli import bench_live

        return bench_live.measure(live_agents)
    from rrsim.cli import bench as simulator

    return simulator.measure()


def _line(f: dict[str, Any]) -> str:
    limits = [f"{name} {f[name]:g}" for name in ("floor", "goal") if f[name] is not None]
    limits += [f"ratio {f['ratio']:.2f} against {f['against'] or 'the other'}"] if f["ratio"] is not None else []
    mark = "ok" if f["ok"] else "BEYOND ITS FLOOR"
    return f"{f['name']:<44} {f['value']:>11.4g} {f['unit']:<12} {', '.join(limits)}  {mark}"


def _figure(figure: Any) -> dict[str, Any]:
    """Return a figure as plain data, in the order of ``docs/cli.md``."""
    return {name: getattr(figure, name, None) for name in FIELDS}
