"""The options of ``rrsim conform``; its body is imported when it is used."""

from __future__ import annotations

from typing import Annotated

import typer


def conform_command(
    paths: Annotated[list[str], typer.Argument(help="Histories, bundles, or folders with either.")],
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    most_states: Annotated[int, typer.Option(min=1, help="Give up on a history after so many states.")] = 300_000,
) -> None:
    """Hold the histories of runs against the model: what the witnesses saw must be something that the search allows.

    Exit code 0: every history that the model can speak of is allowed. 1: one is forbidden: a bug in the product, or in
    the model. 2: a limit was reached, or no history was one that the model can speak of. 64: no such file.
    """
    from rrsim.cli import conform

    raise typer.Exit(conform.conform(conform.Wanted(tuple(paths), format_, most_states)))
