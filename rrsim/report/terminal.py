"""Plain text for a terminal: the summary of many runs, and the readable timeline of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rrsim.report.grouping import Group, counts, grouped, left_behind, main_problem, skipped, stand_ins
from rrsim.report.phrases import DETAIL, PLAIN, Tone, brief_span, plural, span, stamp
from rrsim.report.reproduce import command_for, show_command
from rrsim.report.timeline import Line, Timeline, Window, around, extract, start_of
from rrsim.scenario.grading import PREFIX
from rrsim.scenario.result import CheckResult, RestartResult, RunResult

_CODES: Final = {"good": "32", "bad": "31", "warn": "33", "info": "", "mute": "2", "bold": "1"}
_OUTCOME_TONE: Final[dict[str, Tone]] = {
    "passed": "good", "failed": "bad", "known": "warn", "unknown": "warn", "skipped": "mute", "error": "bad",
}
_VERDICT_TONE: Final[dict[str, Tone]] = {"resumed": "good", "degraded": "warn", "unknown": "warn"}


class Paint:
    """Colour for those terminals that have it; otherwise the text as it is."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, tone: str) -> str:
        code = _CODES.get(tone, "")
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and code else text


PLAIN_PAINT: Final = Paint(False)


def indent(text: str, by: str) -> str:
    """Indent every line of a text."""
    return "\n".join(by + line for line in text.splitlines())


# --- many runs ------------------------------------------------------------------------------------------------


def heading(*, version: str, backend: str, seed: int, repeat: int, options: Sequence[str]) -> str:
    """Return the first line of a run: seed and options."""
    seeds = f"seed {seed}" if repeat == 1 else f"seeds {seed}..{seed + repeat - 1}"
    return " · ".join([f"rrsim {version}", f"backend {backend}", seeds, *options])


def run_line(result: RunResult, paint: Paint = PLAIN_PAINT) -> str:
    """Return one line about one run, for ``-v``."""
    verdicts = ", ".join(r.verdict for r in result.restarts) or "no restart"
    word = paint(f"{result.outcome:<8}", _OUTCOME_TONE[result.outcome])
    reason = f"  ({result.reason.partition(chr(10))[0]})" if result.reason else ""
    return f"{word} {result.scenario.id}  {verdicts}{reason}"


def check_text(check: CheckResult) -> str:
    """Return a failed or undecided check with its explanation."""
    cause = f" ({check.cause})" if check.cause else ""
    return f"{check.check} {check.outcome}{cause}\n{indent(check.message, '    ')}".rstrip()


def group_text(group: Group, paint: Paint = PLAIN_PAINT, limit: int = 5) -> str:
    """Return a group of failures: its title, one explanation, and which runs it hit."""
    label = {"failed": "NEW FAILURE", "error": "HARNESS ERROR", "unknown": "COULD NOT TELL", "known": "known issue"}
    head = f"{label.get(group.outcome, group.outcome)}  {group.title}  ({len(group.results)} run"
    head += "s)" if len(group.results) != 1 else ")"
    out = [paint(head, _OUTCOME_TONE[group.outcome])]
    first = group.results[0]
    problem = next((c for c in first.problems if c.check == group.check), None)
    text = problem.message if problem is not None and problem.message else first.reason
    if text:
        out.append(indent(text, "    "))
    if group.also:
        out.append(f"    also failed: {', '.join(group.also)}")
    out += [f"  - {r.scenario.id}, seed {r.seed}{_where(r)}" for r in group.results[:limit]]
    if len(group.results) > limit:
        out.append(f"  - and {len(group.results) - limit} more")
    return "\n".join(out)


def around_text(result: RunResult) -> str:
    """Return the timeline around what failed first in a run, its entry marked; empty if there is none."""
    problem = main_problem(result)
    if result.history is None or problem is None:
        return ""
    start = start_of(result.history)
    lines = [x for x in around(result.history, problem.entry) if x.weight >= PLAIN or x.entry == problem.entry]
    return "\n".join(line_text(x, start, marker=">" if x.entry == problem.entry else " ") for x in lines)


def _seen_live(result: RunResult) -> str:
    lines = around_text(result) or "  no timeline: the run broke off before there was one"
    return f"timeline of {result.scenario.id} around what failed:\n{lines}"


def _where(result: RunResult) -> str:
    return f"  {result.scenario.path}:{result.scenario.line}" if result.scenario.path else ""


def problem_text(problem: Any) -> str:
    """Return a problem of a scenario file: where, what, and what to do."""
    return str(problem)


def summary(
    results: Sequence[RunResult],
    problems: Sequence[Any],
    *,
    elapsed_s: float,
    interrupted: bool = False,
    planned: int = 0,
    profile: str = "",
    stale_issues: Sequence[Any] = (),
    paint: Paint = PLAIN_PAINT,
) -> str:
    """Return the end of ``rrsim run``: what matters most stands last, where a reader of a long log looks first.

    First what was skipped, which stand-ins took part, and what was seen around a live failure, which no seed brings
    back; then groups of failures, bad files, totals, and the commands that play the failures again.
    """
    parts = _skips(results, paint)
    helped = stand_ins(results)
    if helped:
        parts.append("stand-ins took part:\n" + "\n".join(f"  {name.removeprefix(PREFIX)}" for name in helped))
    groups = grouped(results)
    parts += [_seen_live(g.results[0]) for g in groups if g.new and g.results[0].backend != "sim"]
    parts += [group_text(g, paint) for g in groups]
    if problems:
        parts.append(paint(f"BAD INPUT  {len(problems)} problem{'s' if len(problems) != 1 else ''}", "bad"))
        parts += [indent(problem_text(p), "  ") for p in problems]
    if stale_issues:
        parts.append(paint("KNOWN ISSUES TO PUT RIGHT", "bad"))
        parts += [indent(problem_text(p), "  ") for p in stale_issues]
    left = left_behind(results)
    if left:
        parts.append(paint("LEFT BEHIND, which changes no outcome:", "warn") + "\n" + "\n".join(f"  {x}" for x in left))
    parts.append(_totals(results, elapsed_s, paint))
    if interrupted:
        parts.append(paint(f"stopped by the user after {len(results)} of {planned} runs", "warn"))
    again = [r for g in groups if g.new for r in g.results[:1]]
    if again:
        lines = [f"  {command_for(r, profile)}" for r in again[:8]]
        lines += [f"  {show_command(r.scenario, r.seed)}" for r in again[:1] if r.backend == "sim"]
        parts.append("again, one run of each kind:\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _skips(results: Sequence[RunResult], paint: Paint) -> list[str]:
    """Return what could not run here, counted by reason; ``-v`` has named every case."""
    groups = skipped(results)
    lines = [f"  {len(rs):>4}  {why}" for why, rs in groups]
    return [paint("SKIPPED, what a case needs and is not there:", "mute") + "\n" + "\n".join(lines)] if groups else []


def _totals(results: Sequence[RunResult], elapsed_s: float, paint: Paint) -> str:
    shown = [paint(f"{n} {outcome}", _OUTCOME_TONE[outcome]) for outcome, n in counts(results).items() if n]
    virtual = sum(r.virtual_us for r in results)
    text = ", ".join(shown) or "nothing ran"
    time = "real" if any(r.backend != "sim" for r in results) else "virtual"
    return f"{text}  ({plural(len(results), 'run')}, {span(virtual)} of {time} time in {elapsed_s:.2f} s)"


# --- one run --------------------------------------------------------------------------------------------------


def line_text(line: Line, start_us: int, paint: Paint = PLAIN_PAINT, marker: str = " ") -> str:
    """Return one line of the text timeline: time since the start, lane, what happened."""
    lane = paint(f"{line.lane:<10}", "bold")
    return f"{marker}{stamp(line.t_us - start_us):>11}  {lane} {paint(line.text, line.tone)}".rstrip()


def window_text(window: Window, start_us: int, several: bool = False) -> str:
    """Return a resume window in words: opening, closing, what was left; of ``several`` sessions, also which one."""
    name = f"resume window of restart {window.restart}" + (f" of {window.session}" if several else "")
    opened = f"opened {stamp(window.opened_us - start_us)} by {window.opened_by}"
    if window.closed_us < 0:
        return f"{name}: {opened}, still open at the end"
    took = brief_span(window.closed_us - window.opened_us)
    closed = f"closed {stamp(window.closed_us - start_us)}: {window.closed_by} after {took}"
    left = window.deadline_us - window.closed_us
    spare = f", {brief_span(left)} to spare" if window.deadline_us >= 0 and left > 0 else ""
    return f"{name}: {opened}, {closed}{spare}"


def restart_text(restart: RestartResult, paint: Paint = PLAIN_PAINT, several: bool = False) -> str:
    """Return what came of one restart; with ``several`` customers, whose it was."""
    name = f" {restart.name!r}" if restart.name else ""
    name += f" of customer {restart.customer}" if several else ""
    word = paint(restart.verdict.upper(), _VERDICT_TONE.get(restart.verdict, "bad"))
    losses = f" (loses: {', '.join(restart.losses)})" if restart.losses else ""
    reason = f": {restart.reason}" if restart.reason else ""
    cause = f", cause {restart.cause}" if restart.cause else ""
    return f"restart {restart.number}{name}, {restart.kind}{cause}: {word}{losses}{reason}"


def timeline_text(
    timeline: Timeline, *, everything: bool = False, paint: Paint = PLAIN_PAINT, marked: Iterable[int] = ()
) -> str:
    """Return the text timeline. ``marked`` entries carry an arrow."""
    least = DETAIL if everything else PLAIN
    arrows = set(marked)
    shown = [x for x in timeline.lines if x.weight >= least or x.entry in arrows]
    return "\n".join(line_text(x, timeline.start_us, paint, ">" if x.entry in arrows else " ") for x in shown)


def show(result: RunResult, *, everything: bool = False, paint: Paint = PLAIN_PAINT) -> str:
    """Return the readable timeline of one run, its windows, and its verdicts at the end."""
    s = result.scenario
    head = [paint(s.id, "bold") + f"  backend {result.backend}, seed {result.seed}"]
    if s.about:
        head.append(indent(s.about.strip(), "  "))
    if s.covers or s.edge_cases:
        head.append("  covers " + ", ".join((*s.covers, *s.edge_cases)))
    parts = ["\n".join(head)]
    several = s.given.customers > 1
    if result.history is not None:
        timeline = extract(result.history)
        marked = [c.entry for c in result.problems if c.entry >= 0]
        parts.append(timeline_text(timeline, everything=everything, paint=paint, marked=marked))
        if timeline.windows:
            parts.append("\n".join(window_text(w, timeline.start_us, several) for w in timeline.windows))
    verdicts = [restart_text(r, paint, several) for r in result.restarts] or ["no restart"]
    parts.append("\n".join(verdicts))
    if result.problems:
        parts.append("\n".join(check_text(c) for c in result.problems))
    reason = f": {result.reason}" if result.reason else ""
    parts.append(paint(result.outcome, _OUTCOME_TONE[result.outcome]) + reason)
    parts.append(command_for(result))
    return "\n\n".join(parts)
