"""The commands and their options. Bodies live in modules of their own and are imported when a command is used."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from rrsim.cli.agent import agent_app
from rrsim.cli.conform_command import conform_command
from rrsim.cli.errors import CommandError, say, unusable_file
from rrsim.cli.examples import epilog
from rrsim.cli.exit_codes import HARNESS, USAGE
from rrsim.cli.image import image_app
from rrsim.cli.search_commands import search_command
from rrsim.cli.serve import serve_command
from rrsim.cli.swarm_commands import shrink_command, swarm_command

app = typer.Typer(
    name="rrsim",
    help="Prove that Reboot and Reconnect brings the right support session back, or ends it as it must.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Paths = Annotated[list[str] | None, typer.Argument(help="Scenario files or folders; default: scenarios/.")]
In = Annotated[str, typer.Option("--in", help="Where to look for scenarios.")]
Seed = Annotated[str, typer.Option(help="A number, or 'random' (printed, so that it can be repeated).")]
Backend = Annotated[str, typer.Option(help="sim, wine for real machines, libvirt for virtual ones.")]
TimeScale = Annotated[float, typer.Option(
    help="Live backends: how many times shorter waiting is; 0: the backend's own."
)]
Agent = Annotated[str, typer.Option(help="Live backends: adapter of the agent; default: the bundled one.")]
Server = Annotated[str, typer.Option(help="Live backends: adapter of the session server; default: the bundled one.")]
Format = Annotated[str, typer.Option("--format", help="text or json.")]
Image = Annotated[str, typer.Option(help="Backend libvirt: what machines are made from; default: wine-guest.")]
Uri = Annotated[str, typer.Option(help="Backend libvirt: connection URI of libvirt; default: this computer's.")]
Accelerator = Annotated[str, typer.Option(help="Backend libvirt: kvm or tcg; default: KVM where it is proved to work.")]
Slots = Annotated[int, typer.Option(min=0, help="Backend libvirt: how many machines the host carries; 0: by itself.")]
Cold = Annotated[bool, typer.Option("--cold", help="Backend libvirt: boot machines, instead of using a kept state.")]
KeepVm = Annotated[str, typer.Option(help="Backend libvirt: keep machines after a case: never, failed, always.")]
Pause = Annotated[bool, typer.Option(
    "--pause-on-failure", help="Backend libvirt: wait after a failed case, and say how to look inside its machines."
)]
KnownIssues = Annotated[str, typer.Option(
    help="Known issues (YAML) that do not fail the run; default: known-issues.yaml if it is there; 'none': no list."
)]


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from rrsim import __version__

        print(f"rrsim {__version__}")
        raise typer.Exit(0)


@app.command("run", epilog=epilog("run"))
def run_command(
    paths: Paths = None,
    backend: Backend = "sim",
    seed: Seed = "1",
    repeat: Annotated[int, typer.Option(min=1, help="Run every case with this many seeds.")] = 1,
    profile: Annotated[str, typer.Option(help="Run under this named profile.")] = "",
    time_scale: TimeScale = 0.0,
    agent: Agent = "",
    server: Server = "",
    keyword: Annotated[str, typer.Option("-k", help="Only cases whose id contains this.")] = "",
    covers: Annotated[str, typer.Option(help="Only cases that cover this id, such as R6 or LO-10.")] = "",
    cases: Annotated[str, typer.Option(help="Only the cases whose ids stand in this file, one a line.")] = "",
    format_: Format = "text",
    junit: Annotated[str, typer.Option(help="Write JUnit XML to this file.")] = "",
    html: Annotated[str, typer.Option(help="Write one self-contained HTML report to this file.")] = "",
    html_details: Annotated[int, typer.Option(min=0, help="How many passed runs the report draws.")] = 60,
    known_issues: KnownIssues = "",
    bundle_dir: Annotated[str, typer.Option(help="Where failed runs are saved; empty: nowhere.")] = "out/failures",
    histories: Annotated[str, typer.Option(help="Keep the history of every run here, passed or not.")] = "",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop after the first failure.")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes, or machines, at a time; 0: as many as help.")] = 0,
    cluster: Annotated[str, typer.Option(help="tcp://HOST:PORT of a Dask scheduler, whose workers play.")] = "",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="One line for every run.")] = False,
    image: Image = "",
    uri: Uri = "",
    accelerator: Accelerator = "",
    slots: Slots = 0,
    cold: Cold = False,
    keep_vm: KeepVm = "",
    pause_on_failure: Pause = False,
) -> None:
    """Run scenarios and judge them."""
    from rrsim.cli import run
    from rrsim.cli.vm_options import vm_options

    vm = vm_options(image, uri, accelerator, slots, keep_vm, cold=cold, pause=pause_on_failure)
    options = run.Options(
        paths=tuple(paths or ()), backend=backend, seed=run.parse_seed(seed), repeat=repeat, profile=profile,
        time_scale=time_scale, agent=agent, server=server, keyword=keyword, covers=covers, cases=cases,
        format=_format(format_), junit=junit, html=html, html_details=html_details, known_issues=known_issues,
        bundle_dir=bundle_dir, histories=histories, fail_fast=fail_fast, jobs=jobs, verbose=verbose, vm=vm,
        cluster=cluster,
    )
    raise typer.Exit(run.run(options))


@app.command("list", epilog=epilog("list"))
def list_command(
    paths: Paths = None,
    keyword: Annotated[str, typer.Option("-k", help="Only cases whose id contains this.")] = "",
    covers: Annotated[str, typer.Option(help="Only cases that cover this id.")] = "",
    format_: Format = "text",
) -> None:
    """List the cases with what they cover."""
    from rrsim.cli import listing

    raise typer.Exit(listing.list_cases(tuple(paths or ()), keyword, covers, _format(format_)))


@app.command("show", epilog=epilog("show"))
def show_command(
    scenario: Annotated[str, typer.Argument(help="Name, file, or part of the name.")],
    case: Annotated[str, typer.Option(help="Which case of its matrix.")] = "",
    in_: In = "scenarios",
    seed: Seed = "1",
    profile: Annotated[str, typer.Option(help="Run under this named profile.")] = "",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Every event, also the small ones.")] = False,
) -> None:
    """Run one case and print its timeline."""
    from rrsim.cli import listing
    from rrsim.cli.run import parse_seed

    raise typer.Exit(listing.show(scenario, case, in_, parse_seed(seed), profile, verbose))


@app.command("compare", epilog=epilog("compare"))
def compare_command(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Name, file, or part of the name; may be several.")
    ] = None,
    case: Annotated[str, typer.Option(help="Which case of its matrix.")] = "",
    cases: Annotated[
        str, typer.Option("--cases", metavar="<file>", help="The cases whose ids stand in this file, one a line.")
    ] = "",
    backends: Annotated[str, typer.Option(help="Two backends.")] = "sim,wine",
    in_: In = "scenarios",
    time_scale: TimeScale = 0.0,
    seed: Seed = "1",
    jobs: Annotated[int, typer.Option(min=0, help="Processes, or machines, at a time; 0: as many as help.")] = 0,
    format_: Format = "text",
) -> None:
    """Run a case on two backends and show every difference between what their witnesses saw."""
    from rrsim.cli import compare
    from rrsim.cli.run import parse_seed

    options = compare.Options(
        scenarios=tuple(scenarios or ()), case=case, cases=cases, root=in_, backends=backends, time_scale=time_scale,
        seed=parse_seed(seed), jobs=jobs, format=_format(format_),
    )
    raise typer.Exit(compare.compare(options))


@app.command("schema", epilog=epilog("schema"))
def schema_command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from rrsim.cli import listing

    raise typer.Exit(listing.schema())


@app.command("coverage", epilog=epilog("coverage"))
def coverage_command(
    paths: Paths = None,
    backend: Annotated[str, typer.Option(help="sim or wine; default: sim, or all that the results are of.")] = "",
    results: Annotated[list[str] | None, typer.Option(
        help="What `rrsim run --format json` wrote: nothing is run again. May be repeated."
    )] = None,
    time_scale: TimeScale = 0.0,
    check: Annotated[bool, typer.Option("--check", help="Fail unless every R id has a passing scenario.")] = False,
    format_: Format = "text",
    cases: Annotated[bool, typer.Option("--cases", help="Name the cases under each id.")] = False,
    seed: Seed = "1",
    known_issues: KnownIssues = "",
) -> None:
    """Print the matrix of requirements, scenarios and backends, graded modelled, stand-in or real."""
    from rrsim.cli import coverage
    from rrsim.cli.run import parse_seed

    wanted = coverage.Wanted(
        paths=tuple(paths or ()), backend=backend, results=tuple(results or ()), time_scale=time_scale, check=check,
        format=_format(format_), cases=cases, seed=parse_seed(seed), known_issues=known_issues,
    )
    raise typer.Exit(coverage.coverage_command(wanted))


@app.command("replay", epilog=epilog("replay"))
def replay_command(
    bundle: Annotated[str, typer.Argument(help="The folder that a failed run left.")],
    backend: Annotated[str, typer.Option(
        help="sim: play a failed live run on the simulator with the durations observed in it; default: where it ran."
    )] = "",
    format_: Format = "text",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print the timeline too.")] = False,
) -> None:
    """Run a saved failure again and say whether it recurs."""
    from rrsim.cli import replay

    raise typer.Exit(replay.replay(bundle, _format(format_), verbose, backend))


@app.command("reap", epilog=epilog("reap"))
def reap_command(
    format_: Format = "text",
    uri: Annotated[str, typer.Option(help="Host of virtual machines; default: this computer's libvirt.")] = "",
    kept: Annotated[bool, typer.Option("--kept", help="Also virtual machines that were kept to be looked at.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Change nothing; list what there is on the host.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Also what later runs would start from.")] = False,
) -> None:
    """Clear away what killed live runs left: processes, displays, Wine prefixes, virtual machines, folders.

    Runs that are going on are left alone, and so are virtual machines whose lease is not over.
    """
    from rrsim.cli import reap

    wanted = reap.Wanted(format=_format(format_), uri=uri, kept=kept, only_list=only_list, images=images)
    raise typer.Exit(reap.reap(wanted))


@app.command("judge", epilog=epilog("judge"))
def judge_command(
    history: Annotated[str, typer.Argument(help="A recorded history (history.jsonl of a bundle).")],
    scenario: Annotated[str, typer.Option(help="File whose expectations hold; default: scenario.json beside it.")] = "",
    case: Annotated[str, typer.Option(help="Which case of the file's matrix.")] = "",
    format_: Format = "text",
) -> None:
    """Check a recorded history again, without running anything."""
    from rrsim.cli import replay

    raise typer.Exit(replay.judge_history(history, scenario, case, _format(format_)))


@app.command("new", epilog=epilog("new"))
def new_command(
    name: Annotated[str, typer.Argument(help="Name of the scenario, such as wifi-late.")],
    area: Annotated[str, typer.Option(help="Folder under scenarios/.")] = "my",
    root: Annotated[str, typer.Option(help="Where the areas are.")] = "scenarios",
) -> None:
    """Write a scenario file to start from."""
    from rrsim.cli import scaffold

    raise typer.Exit(scaffold.new(name, area, root))


@app.command("broken", epilog=epilog("broken"))
def broken_command(
    paths: Paths = None,
    format_: Format = "text",
    keyword: Annotated[str, typer.Option("-k", help="Only bugs whose name contains this.")] = "",
    backend: Annotated[str, typer.Option(help="sim: every bug; wine: broken agents on real machines.")] = "sim",
    jobs: Annotated[int, typer.Option(min=0, help="Machines or processes at a time; 0: as many as help.")] = 0,
    by: Annotated[str, typer.Option(help="Who hunts: some of scenarios, search, swarm; default: scenarios.")] = "",
    starts: Annotated[int, typer.Option(min=1, help="With --by swarm: from so many first seeds.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="With --by swarm: seeds at most from each.")] = 2_000,
    keep: Annotated[str, typer.Option(help="With --by: a file that keeps each result; go on from it.")] = "",
) -> None:
    """Hunt every deliberate bug; one that survives fails."""
    from rrsim.cli import measure

    if by:
        from rrsim.cli import score

        wanted = score.Wanted(
            by=by, format=format_, keyword=keyword, starts=starts, seeds=seeds, jobs=jobs, keep=keep
        )
        raise typer.Exit(score.run(wanted))
    if backend != "sim":
        raise typer.Exit(measure.broken_live(backend, _format(format_), keyword, tuple(paths or ()), jobs))
    raise typer.Exit(measure.broken(_format(format_), keyword, tuple(paths or ())))


@app.command("bench", epilog=epilog("bench"))
def bench_command(
    format_: Format = "text",
    live: Annotated[bool, typer.Option("--live", help="Measure the session server under load instead.")] = False,
    agents: Annotated[int, typer.Option(min=1, help="With --live: how many agents are connected.")] = 5000,
    vm: Annotated[bool, typer.Option("--vm", help="Measure virtual machines instead.")] = False,
    swarm: Annotated[bool, typer.Option("--swarm", help="Measure random runs and shrinking instead.")] = False,
    search: Annotated[bool, typer.Option("--search", help="Measure the exhaustive search instead.")] = False,
) -> None:
    """Measure the simulator, swarms, searches, the session server or virtual machines against their floors."""
    from rrsim.cli import measure

    count = agents if live else 0
    raise typer.Exit(measure.bench(_format(format_), live_agents=count, vm=vm, swarm=swarm, search=search))


@app.command("doctor", epilog=epilog("doctor"))
def doctor_command(
    for_: Annotated[str, typer.Option("--for", help="sim, wine, vm or all.")] = "all",
    uri: Annotated[str, typer.Option(help="libvirt's address; default: that of runs in virtual machines.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object in place of lines.")] = False,
) -> None:
    """Try what rrsim needs of this computer, and name what does not work with its cure."""
    from rrsim.cli import doctor

    raise typer.Exit(doctor.doctor(for_, "json" if json else "text", uri))


@app.command("nights", epilog=epilog("nights"))
def nights_command(
    folder: Annotated[str, typer.Argument(help="Where the nights are kept.")] = "out/nightly",
    last: Annotated[int, typer.Option(min=0, help="Only so many of the newest nights; 0: all.")] = 0,
    marks: Annotated[int, typer.Option(min=1, help="How many nights of a case are shown.")] = 14,
    keyword: Annotated[str, typer.Option("-k", help="Only cases whose id contains this.")] = "",
    backend: Annotated[str, typer.Option(help="Only this backend; default: all.")] = "",
    slowest: Annotated[int, typer.Option(min=0, help="How many of the slowest cases.")] = 10,
    every: Annotated[bool, typer.Option("--all", help="Every case, not only those worth a look.")] = False,
    html: Annotated[str, typer.Option(help="Write one self-contained HTML page to this file.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object in place of lines.")] = False,
) -> None:
    """Durations and flakes over the kept nights."""
    from rrsim.cli import nights

    options = nights.Options(
        folder=folder, last=last, marks=marks, keyword=keyword, backend=backend, slowest=slowest, every=every,
        html=html, format="json" if json else "text",
    )
    raise typer.Exit(nights.nights(options))


app.command("swarm", epilog=epilog("swarm"))(swarm_command)
app.command("shrink", epilog=epilog("shrink"))(shrink_command)
app.command("search", epilog=epilog("search"))(search_command)
app.command("conform", epilog=epilog("conform"))(conform_command)
app.command("serve", epilog=epilog("serve"))(serve_command)
app.add_typer(agent_app)
app.add_typer(image_app)


def _format(name: str) -> str:
    if name not in ("text", "json"):
        raise CommandError("--format text or --format json", repr(name), "--format json")
    return name


def invoke(argv: list[str]) -> int:
    """Run a command line and return its exit code. Usage errors give 64, everything unforeseen 70."""
    try:
        result: Any = app(args=argv, prog_name="rrsim", standalone_mode=False)
    except CommandError as error:
        say(error.lines())
        return error.code
    except typer.TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        say("stopped by the user")
        return HARNESS
    except BrokenPipeError:
        _silence_stdout()
        return HARNESS
    except ImportError as error:
        say(f"expected: all parts of rrsim\n     saw: {error}\n     try: pip install -e . in a fresh checkout")
        return HARNESS
    except OSError as error:
        say(unusable_file(error))
        return HARNESS
    except Exception as error:  # noqa: BLE001 (Python would end with 1, and that says that the product failed)
        if type(error).__name__ == "ScenarioError":
            say(str(error))
            return USAGE
        import traceback  # most commands end without

        say(f"{traceback.format_exc()}\n"
            f"expected: no error inside rrsim\n     saw: {type(error).__name__}: {error}\n"
            "     try: the same again; if it comes again, report it with these lines")
        return HARNESS
    return result if isinstance(result, int) else 0


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(error.format_message())
        return USAGE
    command = context.command_path if context is not None else "rrsim"
    say(f"expected: {command} with the options that `{command} --help` lists")
    say(f"     saw: {error.format_message()}\n     try: {command} --help")
    return USAGE


def _silence_stdout() -> None:
    """Keep Python from complaining again about a reader that went away."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
