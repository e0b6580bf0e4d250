"""``rrsim reap``: what killed live runs left on this computer is cleared away."""

from __future__ import annotations

from rrsim.cli.errors import environment_error
from rrsim.cli.exit_codes import OK
from rrsim.report import json_out
from rrsim.report.phrases import plural


def reap(format_: str) -> int:
    """Clear away every run whose owner is gone and print what that was.

    Raises:
        CommandError: the packages for live runs are not installed, so there cannot have been any.
    """
    try:
        from rrsim.backends.live import state
    except ImportError as error:
        raise environment_error(
            "the packages for live runs", f"no module {error.name}", "pip install 'rrsim[live]'"
        ) from None
    gone = state.reap()
    if format_ == "json":
        print(json_out.dumps({
            "runs": list(gone.runs), "machines": list(gone.machines), "processes": gone.processes,
        }))
        return OK
    if not gone.runs:
        print(f"nothing to clear away under {state.runs_home()}")
        return OK
    others = f"{gone.processes} other {'process' if gone.processes == 1 else 'processes'}"
    print(f"cleared away {plural(len(gone.runs), 'run')}, {plural(len(gone.machines), 'machine')} and {others}:")
    for name in (*gone.runs, *gone.machines):
        print(f"  {name}")
    return OK
