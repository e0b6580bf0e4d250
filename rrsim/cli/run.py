"""``rrsim run``: seed and options first, progress, groups of failures, totals, the reproduce command last."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.cli import backends, choose, clock, engine
from rrsim.cli.errors import CommandError, say, unusable_file
from rrsim.cli.execute import Executed, plan
from rrsim.cli.exit_codes import HARNESS, exit_code, worst
from rrsim.report import json_out, terminal
from rrsim.report.phrases import plural
from rrsim.scenario.result import RunResult


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    paths: tuple[str, ...] = ()
    backend: str = "sim"
    seed: int = 1
    repeat: int = 1
    profile: str = ""
    time_scale: float = 0.0
    """0: the backend's own."""
    agent: str = ""
    server: str = ""
    """Names of adapters; empty: the bundled ones."""
    keyword: str = ""
    covers: str = ""
    cases: str = ""
    """A file that lists the ids of the cases to run."""
    format: str = "text"
    junit: str = ""
    html: str = ""
    html_details: int = 60
    known_issues: str = ""
    bundle_dir: str = "out/failures"
    histories: str = ""
    """Folder for the history of every run; empty: nowhere."""
    fail_fast: bool = False
    verbose: bool = False
    jobs: int = 0
    """How many processes, or machines, at a time; 0: as many as help."""
    cluster: str = ""
    """Address of a Dask scheduler whose workers play; empty: this computer does."""
    vm: Mapping[str, Any] = MappingProxyType({})
    """What was chosen for virtual machines, by field of ``VmOptions``."""

    def shown(self) -> list[str]:
        """Return the options that differ from the ordinary, for the heading."""
        pairs = {
            "profile": self.profile, "-k": self.keyword, "covers": self.covers, "cases": self.cases,
            "known issues": self.known_issues, "agent": self.agent, "server": self.server,
            "time scale": f"{self.time_scale:g}" if self.time_scale else "", "image": str(self.vm.get("image", "")),
            "cluster": self.cluster,
        }
        out = [f"{name} {value}" for name, value in pairs.items() if value]
        return out + (["fail fast"] if self.fail_fast else [])


def parse_seed(text: str) -> int:
    """Read ``--seed``: a whole number from 0, or ``random``.

    Raises:
        CommandError: anything else.
    """
    if text == "random":
        return clock.random_seed()
    if text.isascii() and text.isdigit() and int(text) < 2**63:
        return int(text)
    raise CommandError("--seed with a whole number from 0 to 2^63-1, or random", repr(text), "--seed 1")


def run(options: Options) -> int:
    """Run scenarios as asked, write what was asked for, and return the exit code."""
    if not options.cluster:
        backends.check_backend(options.backend)
    backends.check_options(options.backend, options.time_scale, options.agent, options.server)
    scenarios, problems = choose.load(options.paths)
    chosen = choose.matching(scenarios, options.keyword, options.covers)
    if options.cases:
        chosen = choose.listed(chosen, options.cases, among=scenarios)
    if not chosen and not problems:
        raise CommandError("at least one case to run", _nothing(options, len(scenarios)), "rrsim list")
    chosen = [backends.with_profile(s, options.profile) for s in chosen]
    options = msgspec.structs.replace(options, known_issues=issues_file(options.known_issues))
    issues = read_issues(options.known_issues)
    say(terminal.heading(version=__version__, backend=options.backend, seed=options.seed, repeat=options.repeat,
                         options=options.shown()))
    runs = list(plan(chosen, options.seed, options.repeat))
    with engine.opened(
        options.backend, time_scale=options.time_scale, agent=options.agent, server=options.server, vm=options.vm,
        cluster=options.cluster,
    ) as opened:
        executed = opened.execute(runs, fail_fast=options.fail_fast, keep_history=_Keeper(options),
                                  each=_line_printer(options), jobs=options.jobs)
        whole = len(chosen) == len(scenarios) and len(executed.results) == len(runs)
        results, stale = mark_known(executed.results, issues, whole)
        code = exit_code(
            (r.outcome for r in results), bad_input=bool(problems), interrupted=executed.interrupted,
            stale_issues=bool(stale),
        )
        done = Done(options, results, problems, stale, executed, len(runs), code)
        try:
            for line in _write(done):
                say(line)
        except OSError as error:  # a report that cannot be written must not cost the summary
            say(unusable_file(error))
            done = msgspec.structs.replace(done, code=worst((code, HARNESS)))
        _print(done)
    return done.code


class Done(msgspec.Struct, frozen=True, gc=False):
    """Everything there is to report."""

    options: Options
    results: Sequence[RunResult]
    problems: Sequence[Any]
    stale: Sequence[Any]
    executed: Executed
    planned: int
    code: int


def _nothing(options: Options, loaded: int) -> str:
    asked = [f"-k {options.keyword!r}"] if options.keyword else []
    asked += [f"--covers {options.covers}"] if options.covers else []
    asked += [f"--cases {options.cases}"] if options.cases else []
    return f"{loaded} cases loaded, none of them matches {' and '.join(asked) or 'the given paths'}"


class _Keeper:
    """Keeps histories of failed runs, and of as many passed ones as the HTML report will draw, or of all."""

    def __init__(self, options: Options) -> None:
        self._passed_left = options.html_details if options.html else 0
        self._all = bool(options.histories)

    def __call__(self, result: RunResult) -> bool:
        if self._all or result.outcome != "passed":
            return True
        self._passed_left -= 1
        return self._passed_left >= 0


def _line_printer(options: Options) -> Any:
    if not options.verbose:
        return None
    paint = terminal.Paint(sys.stderr.isatty())
    return lambda result: say(terminal.run_line(result, paint))


DEFAULT_ISSUES: Final = "known-issues.yaml"


def issues_file(wanted: str, folder: str = ".") -> str:
    """Return the list of known issues to use: as wanted, else ``known-issues.yaml`` of the folder, else none (empty).

    ``none`` uses no list at all.
    """
    if wanted == "none":
        return ""
    default = Path(folder) / DEFAULT_ISSUES
    return wanted or (str(default) if default.is_file() else "")


def read_issues(path: str) -> Any:
    """Read a list of known issues; None without a path.

    Raises:
        CommandError: the path is no file.
    """
    if not path:
        return None
    if not Path(path).is_file():
        raise CommandError("--known-issues with a YAML file", f"{path!r}, which is no file", "leaving the option out")
    from rrsim.scenario import known_issues

    return known_issues.load(path)


def mark_known(results: list[RunResult], issues: Any, whole: bool) -> tuple[Sequence[RunResult], Sequence[Any]]:
    """Mark known failures, and return the entries that have expired or whose scenarios pass."""
    if issues is None:
        return results, ()
    from rrsim.scenario import known_issues

    return known_issues.apply(results, issues, clock.today(), complete=whole)


def _write(done: Done) -> list[str]:
    """Write the files that were asked for and return one line about each."""
    said, options = [], done.options
    if options.junit:
        from rrsim.report.junit import junit

        said.append(_save(options.junit, junit(done.results, (*done.problems, *done.stale)), "JUnit"))
    if options.html:
        from rrsim.report.html import html

        page = html(done.results, (*done.problems, *done.stale), made=clock.now_text(), details=options.html_details,
                    options=options.shown())
        said.append(_save(options.html, page, "HTML"))
    bad = [r for r in done.results if r.outcome in ("failed", "unknown", "error")]
    if options.bundle_dir and bad:
        from rrsim.report import bundle

        where = [bundle.save(r, options.bundle_dir) for r in bad[: bundle.LIMIT]]
        said.append(f"saved {plural(len(where), 'run')} that did not pass under {options.bundle_dir}/")
        said.append(f"  rrsim replay {where[0]}")
    if options.histories:
        said.append(_save_histories(done.results, Path(options.histories)))
    return said


def _save_histories(results: Sequence[RunResult], folder: Path) -> str:
    from rrsim.report import bundle
    from rrsim.scenario import history_io

    folder.mkdir(parents=True, exist_ok=True)
    kept = 0
    for result in results:
        if result.history is not None:
            (folder / f"{bundle.folder_name(result)}.jsonl").write_bytes(history_io.dump(result.history))
            kept += 1
    return f"histories of {plural(kept, 'run')}: {folder}/"


def _save(path: str, text: str, what: str) -> str:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return f"{what} report: {path}"


def _print(done: Done) -> None:
    options, interrupted = done.options, done.executed.interrupted
    if options.format == "json":
        report = json_out.run_report(
            done.results, done.problems, exit_code=done.code, interrupted=interrupted, stale_issues=done.stale
        )
        print(json_out.dumps(report))
        return
    text = terminal.summary(
        done.results, done.problems, elapsed_s=done.executed.elapsed_s, interrupted=interrupted, planned=done.planned,
        profile=options.profile, stale_issues=done.stale, paint=terminal.Paint(sys.stdout.isatty()),
    )
    print(text, flush=True)
