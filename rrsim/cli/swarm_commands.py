"""``rrsim swarm`` and ``rrsim shrink`` with their options; bodies are imported when a command is used."""

from __future__ import annotations

from typing import Annotated

import typer

from rrsim.cli.errors import CommandError


def swarm_command(
    seeds: Annotated[str, typer.Option(help="FROM..TO, both included; FROM.. goes on until the time is up.")] = "",
    time: Annotated[str, typer.Option(help="Stop after so long, such as 10m; without --seeds: 1m.")] = "",
    jobs: Annotated[int, typer.Option(min=0, help="Processes of this machine; 0: one for each processor.")] = 0,
    cluster: Annotated[str, typer.Option(help="tcp://HOST:PORT of a Dask scheduler, whose workers do it.")] = "",
    out: Annotated[str, typer.Option(help="Folder for plan and shrunk scenario of each failure.")] = "out/swarm",
    explain: Annotated[int, typer.Option(min=-1, help="Only print the plan of this seed, and what it comes to.")] = -1,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="With one seed: its plan and timeline.")] = False,
) -> None:
    """Play random scenarios from seeds, over the whole simulated world, and shrink what fails."""
    from rrsim.cli import swarm

    if format_ not in ("text", "json"):
        raise CommandError("--format text or --format json", repr(format_), "--format json")
    options = swarm.Options(
        seeds=seeds, time=time, jobs=jobs, cluster=cluster, out=out, explain=explain, format=format_, verbose=verbose
    )
    raise typer.Exit(swarm.swarm(options))


def shrink_command(
    what: Annotated[str, typer.Argument(help="A seed of rrsim swarm, a plan, a bundle, or a scenario of one case.")],
    out: Annotated[str, typer.Option(help="The scenario file to write; default: a name under out/shrunk/.")] = "",
    check: Annotated[str, typer.Option(help="The check that fails, such as I7; default: the main one.")] = "",
    most: Annotated[int, typer.Option(min=1, help="Replays at most.")] = 3000,
) -> None:
    """Turn a failing run into the smallest scenario file that fails in the same way."""
    from rrsim.cli import shrink

    raise typer.Exit(shrink.shrink_command(shrink.Options(what=what, out=out, check=check, most=most)))
