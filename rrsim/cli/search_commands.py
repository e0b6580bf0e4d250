"""The options of ``rrsim search``; its body is imported when it is used."""

from __future__ import annotations

from typing import Annotated

import typer


def search_command(
    models: Annotated[list[str] | None, typer.Argument(help="Names of models; default: the whole set.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every model of the set.")] = False,
    set_: Annotated[str, typer.Option("--set", help="standard, or nightly: as deep as memory allows.")] = "standard",
    only_list: Annotated[bool, typer.Option("--list", help="Search nothing; list the models.")] = False,
    fingerprints: Annotated[bool, typer.Option(
        "--fingerprints", help="Keep 64 bits of each state: a third of the memory, and a tiny chance to miss a state."
    )] = False,
    max_states: Annotated[int, typer.Option(min=0, help="Stop a search after so many states; 0: no limit.")] = 0,
    memory: Annotated[str, typer.Option(help="Stop a search when the process holds so much, such as 4GB.")] = "4GB",
    checkpoint: Annotated[str, typer.Option(
        help="With one model: go on from this file if it is there, and keep the search in it when it stops."
    )] = "",
    found: Annotated[str, typer.Option(help="Write what is broken into this folder, as scenario files.")] = "",
    json: Annotated[str, typer.Option("--json", help="Write everything found to this file as JSON.")] = "",
) -> None:
    """Go through every interleaving of small models and check every state.

    Exit code 0: everything within the bounds was seen, and holds. 1: something is broken, or never occurred and must.
    2: a limit or Ctrl-C stopped a search, which keeps what it covered. 64: no such model, or a checkpoint that is of no
    use.
    """
    from rrsim.cli import search

    wanted = search.Wanted(
        models=tuple(models or ()), every=every, set=set_, only_list=only_list, fingerprints=fingerprints,
        max_states=max_states, memory=memory, checkpoint=checkpoint, json=json, found=found,
    )
    raise typer.Exit(search.search(wanted))
