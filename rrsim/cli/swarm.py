"""``rrsim swarm``: random runs from seeds, what they found, each new failure as a scenario."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.cli import clock
from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.cli.exit_codes import HARNESS, PRODUCT, UNKNOWN, worst
from rrsim.cli.status import StatusLine
from rrsim.explore.cluster.opened import open_cluster
from rrsim.explore.cluster.seam import ClusterError
from rrsim.explore.shrink.shrink import Shrunk, reason, shrink
from rrsim.explore.shrink.written import scenario_yaml
from rrsim.explore.swarm import plan as plans
from rrsim.explore.swarm.campaign import BIG_RUN, Campaign, Progress, Report, Wanted
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.failures import failures
from rrsim.explore.swarm.novelty import ONE_IN
from rrsim.explore.swarm.run import Group, outcome_of, play
from rrsim.explore.swarm.situations import MUST_REACH
from rrsim.report import json_out, terminal
from rrsim.report.phrases import plural
from rrsim.scenario.durations import WrongDuration, parse

MOST_SEED: Final = 2**63 - 1
EVERY_S: Final = 2.0
"""How often progress is said where there is no terminal to rewrite a line on."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    seeds: str = ""
    time: str = ""
    jobs: int = 0
    cluster: str = ""
    out: str = "out/swarm"
    explain: int = -1
    format: str = "text"
    verbose: bool = False


def parse_seeds(text: str) -> tuple[int, int | None]:
    """Read ``FROM..TO`` (both included), ``FROM..`` without an end, or one seed.

    Raises:
        CommandError: anything else.
    """
    found = re.fullmatch(r"([0-9]{1,19})(\.\.([0-9]{1,19})?)?", text)
    if found is not None:
        first = int(found[1])
        last = int(found[3]) if found[3] else None if found[2] else first
        if max(first, last or 0) <= MOST_SEED and (last is None or first <= last):
            return first, last
    raise CommandError(
        "--seeds FROM..TO with whole numbers from 0 to 2^63-1, FROM first", repr(text), "--seeds 0..9999"
    )


def swarm(options: Options) -> int:
    """Play, report, keep what failed, and return the exit code."""
    if options.explain >= 0:
        return explain(options.explain, verbose=options.verbose)
    limit_s = _seconds(options.time)
    first, last = parse_seeds(options.seeds) if options.seeds else (0, None)
    if last is None and limit_s is None:
        limit_s = 60.0
    if first == last and options.verbose:
        return explain(first, verbose=True)
    report, took_s = _play(options, first, last, limit_s)
    kept = _keep(report, options.out)
    code = exit_code(report)
    if options.format == "json":
        print(json_out.dumps(_as_json(report, kept, took_s, code)))
    else:
        print(told(report, kept, took_s))
    return code


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        us = parse(text)
    except WrongDuration as error:
        raise CommandError("--time with a duration such as 10m", repr(text), error.hint) from error
    if us == 0:
        raise CommandError("--time of more than nothing", repr(text), "--time 10m")
    return us / 1e6


def _play(options: Options, first: int, last: int | None, limit_s: float | None) -> tuple[Report, float]:
    began = clock.elapsed_s()
    tasks = None if last is None else -(-(last - first + 1) // 1000)
    try:
        cluster = open_cluster(options.cluster, options.jobs, tasks)
    except ClusterError as error:
        raise environment_error("a cluster that can be used", str(error), "leaving --cluster out") from error
    until = f"{last}" if last is not None else ""
    say(f"rrsim swarm · rrsim {__version__} · seeds {first}..{until} · {cluster.name}"
        + (f" · at most {limit_s:g} s" if limit_s else ""))
    line = Line(began)
    try:
        campaign = Campaign(cluster, Wanted(first=first, last=last), line.shows)
        report = campaign.play(lambda: limit_s is not None and clock.elapsed_s() - began >= limit_s)
    finally:
        line.close()
        cluster.close()
    return report, clock.elapsed_s() - began


class Line:
    """Progress on stderr: one line that is written anew on a terminal, a line now and then elsewhere."""

    def __init__(self, began: float) -> None:
        self._began = self._said = began
        self._line = StatusLine()

    def shows(self, now: Progress) -> None:
        """Show how far it is."""
        at = clock.elapsed_s()
        if at - self._said < (0.2 if self._line.terminal else EVERY_S):
            return
        self._said = at
        of = f" of {now.total}" if now.total is not None else ""
        rate = now.done / max(at - self._began, 1e-9)
        self._line.show(
            f"{now.done}{of} runs, {rate:.0f} runs/s, about {now.triples} different steps, "
            f"{now.situations} of {len(MUST_REACH)} situations, {plural(now.groups, 'kind')} of failure"
        )

    def close(self) -> None:
        """Leave the line."""
        self._line.leave()


# --- what is kept -----------------------------------------------------------------------------------------------


class Kept(msgspec.Struct, frozen=True):
    """A failure's files."""

    group: Group
    folder: str
    shrunk: Shrunk


def _keep(report: Report, out: str) -> list[Kept]:
    """Shrink the first run of every failure that nobody has explained, and write it down."""
    news = [group for group in report.groups if not group.failure.known]
    kept = []
    for group in news:
        try:
            kept.append(_keep_one(group, out))
        except KeyboardInterrupt:
            report.interrupted = True
            say(f"stopped by the user; {plural(len(news) - len(kept), 'failure')} not shrunk")
            break
    return kept


def _keep_one(group: Group, out: str) -> Kept:
    failure, seed = group.failure, group.seeds[0]
    plan = msgspec.structs.replace(draw_plan(seed), check=failure.check, cause=failure.cause)
    say(f"shrinking {failure.title} (seed {seed}, {plural(len(plan.steps), 'step')})")
    shrunk = shrink(plans.as_scenario(plan), seed, failure)
    folder = Path(out) / slug(f"{failure.check} {failure.cause}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_bytes(plans.encode(plan))
    (folder / "scenario.yaml").write_text(file_of(shrunk, seed), encoding="utf-8")
    lines = [failure.title, f"{plural(group.count, 'run')}, seeds {', '.join(map(str, group.seeds))}", "",
             terminal.show(play(plan), everything=True)]
    (folder / "failure.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Kept(group, str(folder), shrunk)


def slug(text: str) -> str:
    """Return a name for files: a few plain characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:80] or "failure"


def file_of(shrunk: Shrunk, drawn_from: int | None = None) -> str:
    """Return the scenario file of a shrunk failure, with what a reader has to know as remarks."""
    failure = shrunk.failure
    remarks = [failure.title + (f" ({failure.known})" if failure.known else "")]
    if drawn_from is not None:
        remarks.append(f"found by rrsim swarm --seeds {drawn_from}..{drawn_from} with rrsim {__version__}")
    if failure.invariant:
        remarks.append("passes as long as the bug is there: it expects the invariant to be broken")
    else:
        remarks.append("fails as long as the bug is there")
    if shrunk.seed != 1:
        remarks.append(f"needs --seed {shrunk.seed}")
    return scenario_yaml(shrunk.scenario, tuple(remarks))


# --- what is said -----------------------------------------------------------------------------------------------


def exit_code(report: Report) -> int:
    """Return the exit code: the product's failures, what could not be told, and what went wrong with the harness."""
    codes = {0}
    for group in report.groups:
        if group.failure.known:
            continue
        codes.add(HARNESS if group.failure.check == "harness" else PRODUCT if group.failure.sure else UNKNOWN)
    if report.lost or report.apart or report.interrupted:
        codes.add(HARNESS)
    if report.big and report.never:
        codes.add(PRODUCT)
    return worst(codes)


def told(report: Report, kept: list[Kept], took_s: float) -> str:
    """Return the report as text."""
    lines = []
    folders = {id(one.group): one for one in kept}
    for group in report.groups:
        failure = group.failure
        word = "known" if failure.known else "FAILED" if failure.sure else "UNKNOWN"
        why = f" -- {failure.known}" if failure.known else ""
        lines.append(f"{word:<8}{failure.title}: {plural(group.count, 'run')}, first seed {group.seeds[0]}{why}")
        one = folders.get(id(group))
        if one is not None:
            before, after = one.shrunk.steps_before, len(one.shrunk.scenario.steps)
            again = "" if one.shrunk.reproduces else "; more than that is wrong in it, see failure.txt"
            lines.append(f"        {one.folder}/scenario.yaml: {before} steps became {after}{again}")
    if report.never:
        severe = "never reached" if report.big else f"not reached (only {BIG_RUN} seeds have to)"
        lines.append(f"{severe}: {', '.join(report.never)}")
    lines += [f"LOST    {one}" for one in report.lost]
    if report.apart:
        seeds = ", ".join(map(str, report.apart))
        lines.append(f"APART   workers disagree on seeds {seeds}: no result can be believed")
    elif report.compared:
        lines.append(f"{plural(report.compared, 'seed')} played again by another worker: the same histories")
    triples, sum_ = ", ".join(f"{name} {n}" for name, n in report.triples.items()), sum(report.triples.values())
    lines.append(f"one world in {ONE_IN} showed about {sum_} different (component, state, event): {triples}")
    rate = report.done / max(took_s, 1e-9)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(report.outcomes.items(), key=lambda c: -c[1]))
    lines.append(
        f"{plural(report.done, 'run')} (seeds {report.first}..{report.last}) in {took_s:.1f} s, {rate:.0f} runs/s: "
        f"{counts or 'none'}; {report.situations and len(report.situations)} of {len(MUST_REACH)} situations; "
        f"digest {report.digest[:16]}" + ("; stopped by the user" if report.interrupted else "")
    )
    return "\n".join(lines)


def _as_json(report: Report, kept: list[Kept], took_s: float, code: int) -> dict[str, Any]:
    folders = {id(one.group): one for one in kept}
    groups = []
    for group in report.groups:
        one = folders.get(id(group))
        groups.append({
            "check": group.failure.check, "cause": group.failure.cause, "sure": group.failure.sure,
            "known": group.failure.known, "runs": group.count, "seeds": group.seeds,
            "folder": one.folder if one else "", "steps": len(one.shrunk.scenario.steps) if one else None,
        })
    return {
        "format": 1, "rrsim": __version__, "first": report.first, "last": report.last, "runs": report.done,
        "outcomes": report.outcomes, "groups": groups, "situations": report.situations, "never": list(report.never),
        "triples": report.triples, "events": report.events, "virtual_us": report.virtual_us, "steps": report.steps,
        "impossible_steps": report.impossible, "compared": report.compared, "apart": report.apart,
        "lost": report.lost, "interrupted": report.interrupted, "digest": report.digest,
        "wall_us": round(took_s * 1e6), "exit_code": code,
    }


def explain(seed: int, *, verbose: bool) -> int:
    """Print a seed's plan as a scenario, what it came to, and why; with ``verbose`` its timeline too."""
    plan = draw_plan(seed)
    case = plans.as_scenario(plan)
    on = ", ".join(f"{kind} {how}" for kind, how in plan.faults.items()) or "none"
    print(scenario_yaml(case, (f"seed {seed}; kinds of misfortune: {on}",)))
    result = play(plan)
    found = failures(result)
    for restart in result.restarts:
        print(f"# restart {restart.number} of customer {restart.customer}: {restart.kind}, {restart.verdict}"
              + (f" ({restart.reason})" if restart.reason else ""))
    for one in found:
        print(f"# {one.title}" + (f" -- {one.known}" if one.known else ""))
    print(f"# {outcome_of(found)}")
    if verbose:
        print(terminal.show(result, everything=True, paint=terminal.Paint(sys.stdout.isatty())))
    codes = [HARNESS if one.check == "harness" else PRODUCT if one.sure else UNKNOWN for one in found if not one.known]
    return worst([0, *codes])


__all__ = ["Options", "explain", "parse_seeds", "reason", "swarm"]
