"""``rrsim replay`` (does a saved failure recur?) and ``rrsim judge`` (the checks again over a recorded history)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from rrsim.cli import backends, choose, engine
from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import exit_code
from rrsim.report import bundle, json_out, terminal
from rrsim.report.phrases import span
from rrsim.scenario import observed
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult


def replay(path: str, format_: str, everything: bool, backend: str = "") -> int:
    """Run a bundle's case with its seed and say whether the same happens. The exit code is that of the new run.

    Args:
        path: the bundle.
        format_: ``text`` or ``json``.
        everything: print the timeline too.
        backend: where to run it; empty: where it ran. A live run is played on the simulator with the durations that
            were observed in it.

    Raises:
        CommandError: the bundle cannot be used, or cannot be played there.
    """
    try:
        saved = bundle.load(path)
    except bundle.BundleError as error:
        raise CommandError("a bundle that rrsim run left", str(error), "a folder under out/failures/") from error
    where = backend or saved.backend
    backends.check_backend(where)
    say(f"rrsim replay · {saved.scenario.id} · backend {where} · seed {saved.seed} · saved by {saved.version}")
    case, found = saved.scenario, tuple[observed.Seen, ...]()
    if where == "sim" and saved.backend != "sim":
        found = observed.durations(_history(Path(path) / "history.jsonl"), saved.time_scale)
        case = observed.as_observed(case, found)
    with engine.opened(where, **_live_options(saved, where)) as opened:
        result = opened.run(case, saved.seed)
    causes = tuple((c.check, c.cause) for c in result.problems)
    same_digest = bool(saved.digest) and bundle.digest_of(result.history) == saved.digest
    recurs = result.outcome == saved.outcome and set(causes) == set(saved.causes)
    if format_ == "json":
        print(json_out.dumps({
            "recurs": recurs, "same_history": same_digest, "saved_outcome": saved.outcome,
            "observed": [msgspec.to_builtins(one) for one in found], "run": json_out.run_object(result),
        }))
    else:
        print(_told(saved, result, recurs, same_digest, found))
        if everything:
            print("\n" + terminal.show(result, everything=True, paint=terminal.Paint(sys.stdout.isatty())))
    return exit_code([result.outcome])


def _live_options(saved: bundle.Bundle, where: str) -> dict[str, Any]:
    """Return the scale and the adapters of a live run that is repeated live."""
    if where == "sim" or saved.backend == "sim":
        return {}
    words = dict(zip(saved.options[::2], saved.options[1::2], strict=False))
    return {
        "time_scale": saved.time_scale, "agent": words.get("--agent", ""), "server": words.get("--server", ""),
    }


def _told(
    saved: bundle.Bundle, result: RunResult, recurs: bool, same_digest: bool, found: tuple[observed.Seen, ...]
) -> str:
    history = "identical history" if same_digest else "another history than the saved one"
    if result.backend != saved.backend:
        history = f"on backend {result.backend}; the failed run was on {saved.backend}"
    if recurs:
        head = f"it recurs: {result.outcome}, {history}"
    else:
        head = f"it does not recur: it was {saved.outcome}, now it is {result.outcome}; {history}"
    taken = [f"taken from the run on {saved.backend}, time scale {saved.time_scale:g}:"] if found else []
    taken += [f"  {one.draw:<22} {_shown(one)}" for one in found]
    before = [f"{check}: {cause}" for check, cause in saved.causes]
    was = [f"it failed then: {'; '.join(before)}"] if before and not recurs else []
    return "\n".join([*taken, head, *was, *(terminal.check_text(c) for c in result.problems)])


def _shown(one: observed.Seen) -> str:
    text = span(one.us)
    return text if one.times == 1 else f"{text}  (seen {one.times} times, {span(one.least_us)} to {span(one.most_us)})"


def _history(file: Path) -> History:
    from rrsim.scenario import history_io

    try:
        return history_io.load(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError("a history that rrsim recorded", f"{file}: {error}", "history.jsonl of a bundle") from error


def judge_history(path: str, scenario_file: str, case: str, format_: str) -> int:
    """Check a recorded history against a scenario's expectations and all invariants.

    Raises:
        CommandError: the history or the scenario cannot be used.
    """
    from rrsim.scenario.judge import judge

    file = Path(path) / "history.jsonl" if Path(path).is_dir() else Path(path)
    history = _history(file)
    scenario = _scenario_for(file, history.header.scenario, scenario_file, case)
    found = judge(scenario, history)
    result = RunResult(
        scenario=scenario, backend=history.header.backend, seed=history.header.seed, outcome=found.outcome,
        restarts=found.restarts, checks=found.checks, history=history, stand_ins=history.header.stand_ins,
        virtual_us=history.entries[-1][0] if history.entries else 0, events=len(history),
    )
    if format_ == "json":
        print(json_out.dumps({"run": json_out.run_object(result)}))
    else:
        print(terminal.show(result, paint=terminal.Paint(sys.stdout.isatty())))
    return exit_code([result.outcome])


def _scenario_for(file: Path, id_: str, scenario_file: str, case: str) -> Scenario:
    """Find the scenario of a history: the file given, or the ``scenario.json`` beside it."""
    if scenario_file:
        scenarios, problems = choose.load((scenario_file,))
        if not scenarios and problems:
            raise CommandError("a scenario that can be used", str(problems[0]), "rrsim list")
        exact = [s for s in scenarios if not case and s.id == id_]
        return exact[0] if exact else choose.find_one(scenarios, scenarios[0].name, case)
    beside = file.with_name("scenario.json")
    try:
        return bundle.decode_scenario(beside.read_bytes())
    except (OSError, bundle.BundleError) as error:
        raise CommandError("the scenario of this history", str(error), "--scenario scenarios/AREA/NAME.yaml") from error
