
"""``rrsim broken`` and ``rrsim bench``."""

from __future__ import annotations

from typing import Any

from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import OK, PRODUCT
from rrsim.report import json_out


def broken(format_: str, keyword: str) -> int:
    """Hunt every deliberate bug with the scenarios. One that survives gives exit code 1.

    Raises:
        CommandError: no bug has such a name.
    """
    from rrsim.broken.hunt import hunt_all

    bugs: list[dict[str, Any]] = []
    for result in hunt_all():
        if keyword.casefold() not in result.name.casefold():
            continue
        bugs.append({"name": result.name, "about": result.about, "caught": result.caught, "by": list(result.by)})
        if format_ == "text":
            print(f"{'caught  ' if result.caught else 'SURVIVED'} {result.name}: {', '.join(result.by[:4])}", flush=True)
    if not bugs:
        raise CommandError("the name of a deliberate bug, or part of it", repr(keyword), "rrsim broken")
    alive = [b["name"] for b in bugs if not b["caught"]]
    if format_ == "json":
        print(json_out.dumps({"bugs": bugs}))
    else:
        print(f"{len(bugs) - len(alive)} of {len(bugs)} bugs caught")
    if alive:
        say(f"expected: every bug caught\n     saw: {', '.join(alive)} survived\n     try: a scenario that reaches it")
    return PRODUCT if alive else OK


def bench(format_: str) -> int:
    """Measure. A figure beyond its floor gives exit code 1."""
    from rrsim.backends.sim.bench import measure

    figures = [_figure(f) for f in measure()]
    if format_ == "json":
        print(json_out.dumps({"figures": figures}))
    else:
        for f in figures:
            ratio = f"  ratio {f['ratio']:.2f}" if isinstance(f.get("ratio"), (int, float)) else ""
            mark = "ok" if f["ok"] else "BELOW FLOOR"
            print(f"{f['name']:<44} {f['value']:>12.4g} {f['unit']:<10} floor {f['floor']}  goal {f['goal']}{ratio}  {mark}")
    return OK if all(f["ok"] for f in figures) else PRODUCT


def _figure(figure: Any) -> dict[str, Any]:
    """Return a figure as plain data, whether it came as a dict or as a struct."""
    names = ("name", "value", "unit", "floor", "goal", "ratio", "ok")
    if isinstance(figure, dict):
        return {n: figure.get(n) for n in names}
    return {n: getattr(figure, n, None) for n in names}
