"""``rrsim replay`` (does a saved failure recur?) and ``rrsim judge`` (the checks again over a recorded history)."""

from __future__ import annotations

import sys
from pathlib import Path

from rrsim.cli import backends, choose
from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import exit_code
from rrsim.report import bundle, json_out, terminal
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult


def replay(path: str, format_: str, everything: bool) -> int:
    """Run a bundle's case with its seed and say whether the same happens. The exit code is that of the new run.

    Raises:
        CommandError: the bundle cannot be used.
    """
    try:
        saved = bundle.load(path)
    except bundle.BundleError as error:
        raise CommandError("a bundle that rrsim run left", str(error), "a folder under out/failures/") from error
    say(f"rrsim replay · {saved.scenario.id} · backend {saved.backend} · seed {saved.seed} · saved by {saved.version}")
    result = backends.run_safely(backends.runner_for(saved.backend), saved.scenario, saved.seed, saved.backend)
    causes = tuple((c.check, c.cause) for c in result.problems)
    same_digest = bool(saved.digest) and bundle.digest_of(result.history) == saved.digest
    recurs = result.outcome == saved.outcome and set(causes) == set(saved.causes)
    if format_ == "json":
        print(json_out.dumps({"recurs": recurs, "same_history": same_digest, "saved_outcome": saved.outcome,
                              "run": json_out.run_object(result)}))
    else:
        print(_told(saved, result, recurs, same_digest))
        if everything:
            print("\n" + terminal.show(result, everything=True, paint=terminal.Paint(sys.stdout.isatty())))
    return exit_code([result.outcome])


def _told(saved: bundle.Bundle, result: RunResult, recurs: bool, same_digest: bool) -> str:
    history = "identical history" if same_digest else "another history than the saved one"
    if recurs:
        head = f"it recurs: {result.outcome}, {history}"
    else:
        head = f"it does not recur: it was {saved.outcome}, now it is {result.outcome}; {history}"
    return "\n".join([head, *(terminal.check_text(c) for c in result.problems)])


def judge_history(path: str, scenario_file: str, case: str, format_: str) -> int:
    """Check a recorded history against a scenario's expectations and all invariants.

    Raises:
        CommandError: the history or the scenario cannot be used.
    """
    from rrsim.scenario import history_io
    from rrsim.scenario.judge import judge

    file = Path(path) / "history.jsonl" if Path(path).is_dir() else Path(path)
    try:
        history = history_io.load(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError("a history that rrsim recorded", f"{file}: {error}", "history.jsonl of a bundle") from error
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
