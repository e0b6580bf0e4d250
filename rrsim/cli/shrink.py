"""``rrsim shrink``: a failing plan, seed or bundle becomes the smallest scenario that fails in the same way."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rrsim.cli import clock
from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import OK, PRODUCT
from rrsim.cli.swarm import MOST_SEED, file_of, slug
from rrsim.explore.shrink.shrink import MOST_REPLAYS, DoesNotFail, Shrunk, reason, shrink
from rrsim.explore.swarm import plan as plans
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.failures import Failure
from rrsim.report import bundle
from rrsim.report.phrases import plural
from rrsim.scenario import loader, needs
from rrsim.scenario.accounts import account_of
from rrsim.scenario.errors import ScenarioError
from rrsim.scenario.model import Scenario


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    what: str
    out: str = ""
    check: str = ""
    most: int = MOST_REPLAYS


class _Subject(msgspec.Struct, frozen=True):
    case: Scenario
    seed: int
    check: str = ""
    cause: str = ""
    drawn_from: int | None = None


def shrink_command(options: Options) -> int:
    """Shrink, write the scenario, say what can run it, and return the exit code: 0, or 1 if it does not reproduce.

    Raises:
        CommandError: there is nothing to shrink, or it does not fail.
    """
    subject = _subject(options.what)
    failure = _failure(subject, options.check)
    say(f"rrsim shrink · {subject.case.id} · seed {subject.seed} · {failure.title}")
    line = _Line()
    try:
        shrunk = shrink(subject.case, subject.seed, failure, most=options.most, progress=line.shows)
    except DoesNotFail as error:
        raise CommandError("something that fails on the simulator", str(error), "rrsim swarm") from error
    path = Path(options.out or f"out/shrunk/{slug(f'{failure.check} {failure.cause}')}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file_of(shrunk, subject.drawn_from), encoding="utf-8")
    print(_told(shrunk, path))
    return OK if shrunk.reproduces and _reads_back(path, shrunk) else PRODUCT


def _failure(subject: _Subject, check: str) -> Failure:
    """Return why the subject fails: as asked, as its file says, or its main reason."""
    wanted = check or subject.check
    try:
        found = reason(subject.case, subject.seed, only=wanted, cause="" if check else subject.cause)
    except DoesNotFail as error:
        raise CommandError(
            "something that fails on the simulator", str(error), "rrsim swarm, or another --check"
        ) from error
    return found


def _subject(what: str) -> _Subject:
    """Find out what is meant: a seed, a plan, a bundle, or a scenario file."""
    if what.isascii() and what.isdigit():
        seed = int(what)
        if seed > MOST_SEED:
            raise CommandError("a seed from 0 to 2^63-1", what, "rrsim shrink 7")
        return _Subject(plans.as_scenario(draw_plan(seed)), seed, drawn_from=seed)
    path = Path(what)
    if path.is_dir():
        return _of_folder(path)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return _of_scenario(path)
    try:
        plan = plans.decode(path.read_bytes(), what)
    except OSError as error:
        raise CommandError("a seed, a plan (JSON), a bundle or a scenario", str(error), "rrsim shrink 7") from error
    except plans.PlanError as error:
        raise CommandError("a plan that this version can use", str(error), "a plan.json under out/swarm/") from error
    return _of_plan(plan)


def _of_plan(plan: plans.Plan) -> _Subject:
    return _Subject(plans.as_scenario(plan), plan.seed, plan.check, plan.cause, plan.seed)


def _of_folder(path: Path) -> _Subject:
    plan = path / "plan.json"
    if plan.is_file():
        return _subject(str(plan))
    try:
        saved = bundle.load(str(path))
    except bundle.BundleError as error:
        raise CommandError(
            "a bundle of rrsim run, or a folder of rrsim swarm", str(error), "out/failures/NAME"
        ) from error
    check, cause = saved.causes[0] if saved.causes else ("", "")
    return _Subject(saved.scenario, saved.seed, check, cause)


def _of_scenario(path: Path) -> _Subject:
    try:
        cases = loader.load_file(path)
    except ScenarioError as error:
        raise CommandError("a scenario file that can be used", str(error), "rrsim list") from error
    if len(cases) != 1:
        raise CommandError("a scenario of one case", f"{path} with {len(cases)}", "a bundle of the case that fails")
    return _Subject(cases[0], 1)


class _Line:
    """Progress on stderr once shrinking takes longer than a second."""

    def __init__(self) -> None:
        self._next = clock.elapsed_s() + 1

    def shows(self, replays: int, steps: int, settings: int) -> None:
        """Say how small it is by now."""
        if clock.elapsed_s() >= self._next:
            say(f"… {replays} replays, {plural(steps, 'step')}, {plural(settings, 'setting')} left")
            self._next = clock.elapsed_s() + 2


def _reads_back(path: Path, shrunk: Shrunk) -> bool:
    """Whether the file says what was meant, as the loader reads it."""
    (read,) = loader.load_file(path)
    mine = shrunk.scenario
    return (read.given, read.steps, read.expect) == (mine.given, mine.steps, mine.expect)


def _told(shrunk: Shrunk, path: Path) -> str:
    case = shrunk.scenario
    seed = "" if shrunk.seed == 1 else f" --seed {shrunk.seed}"
    lines = [
        f"{path}: {shrunk.failure.title}",
        f"{shrunk.steps_before} steps became {len(case.steps)}, {plural(shrunk.replays, 'replay')}"
        + ("" if shrunk.complete else "; stopped by --most, a smaller one may exist"),
        *(f"{name}: {can}" for name, can in backends_of(case).items()),
        f"  rrsim run {path}{seed}",
    ]
    if not shrunk.reproduces:
        lines.insert(2, "the file alone does not show it: more than this is wrong in the run")
    return "\n".join(lines)


def backends_of(case: Scenario) -> dict[str, str]:
    """Return which backends can play a case: ``yes``, or what they lack."""
    found = {"sim": "yes"}
    wanted = needs.needs(case)
    try:
        from rrsim.backends.live.vm import guest_pc
        from rrsim.backends.live.wine import bench, pc
    except ImportError as error:
        return {**found, "wine, libvirt": f"not known here: {error}"}
    live = {"wine": (pc.CAPABILITIES, pc.RESOLUTION_US, bench.DEFAULT_SCALE),
            "libvirt": (guest_pc.CAPABILITIES, guest_pc.RESOLUTION_US, 1.0)}  # fmt: skip
    for name, (has, resolution_us, scale) in live.items():
        can = bench.MAC if case.given.platform == "mac" else has
        missing = sorted(set(wanted) - set(can))
        close = needs.too_close(case, account_of(case.given), resolution_us, scale)
        if missing:
            found[name] = f"no, needs {', '.join(f'{one} ({wanted[one]})' for one in missing)}"
        elif close:
            found[name] = f"no, needs a finer resolution ({close})"
        else:
            found[name] = "yes"
    return found
