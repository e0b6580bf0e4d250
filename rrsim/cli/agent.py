"""``rrsim agent``: making the agent for Windows. What needs Wine is imported when it is used."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from rrsim.cli import clock
from rrsim.cli.errors import CommandError, environment_error, say

agent_app = typer.Typer(
    name="agent",
    help="The agent, the program on the customer's PC.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@agent_app.callback()
def _group() -> None:
    """Keep the group a group: with one command alone, typer would drop its name."""


@agent_app.command("build", epilog="\b\nExamples:\n  rrsim agent build\n  rrsim agent build --format json")
def build_command(
    with_broken: Annotated[bool, typer.Option(
        "--with-broken", help="Also make rragent-broken.exe, the agent with deliberate bugs."
    )] = False,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Freeze the Windows agent under Wine, from pinned and checked packages; print its folder.

    The result is kept in the cache and used again until the agent's sources change.
    """
    if format_ not in {"text", "json"}:
        raise CommandError("--format text or --format json", repr(format_), "--format json")
    from rrsim.agent.build import BuildError, ensure_agent

    began = clock.elapsed_s()
    try:
        built = ensure_agent(with_broken, say)
    except BuildError as error:
        raise environment_error(error.expected, error.saw, error.try_) from error
    took_s = clock.elapsed_s() - began
    how = "found in the cache" if built.reused else f"built in {took_s:.1f} s"
    say(f"{how}, {built.manifest['size_bytes'] / 1e6:.1f} MB, digest {built.digest[:16]}")
    print(json.dumps({"path": str(built.path), "digest": built.digest, "reused": built.reused,
                      "manifest": built.manifest}, indent=2) if format_ == "json" else built.path)
