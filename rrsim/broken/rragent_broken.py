"""``rragent-broken.exe``: the Windows agent with one deliberate bug of the catalogue in its core.

It takes the verbs of ``rragent.exe`` and is installed under that name. The file ``broken.txt`` beside the program names
the bug; without it, or with a name that is no bug of the agent's core, the program refuses to start, so that a broken
agent is never mistaken for a sound one.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Final

from rrsim.agent import core
from rrsim.agent.__main__ import main as agent_main
from rrsim.backends.sim.memo import StepFunction
from rrsim.broken import agent_bugs

NAME_FILE: Final = "broken.txt"
REFUSED: Final = 78


class NoSuchBug(ValueError):
    """The name file is missing, or names no bug of the agent's core."""


def step_of(name: str) -> StepFunction:
    """Return the step function of an agent with the bug of this name.

    Raises:
        NoSuchBug: there is no such bug, or it sits elsewhere than in the agent's core.
    """
    for bug in agent_bugs.BUGS:
        if bug.name == name:
            step = bug.parts().agent
            if step is not core.step:
                return step
    raise NoSuchBug(f"expected the name of a bug in the agent's core, saw {name!r}; `rrsim broken` lists them")


def name_beside(program: Path) -> str:
    """Return the bug's name from the file beside the program.

    Raises:
        NoSuchBug: there is no such file.
    """
    try:
        return (program.parent / NAME_FILE).read_text(encoding="utf-8").strip()
    except OSError as error:
        saw = f"expected {NAME_FILE} beside the program, saw: {error.strerror}"
        raise NoSuchBug(f"{saw}; write the bug's name into it") from None


def main() -> int:
    """Put the bug in and carry out a verb of the agent; 78: there is no such bug."""
    try:
        step = step_of(name_beside(Path(sys.executable)))
    except NoSuchBug as error:
        if sys.stdout is not None:
            print(error, flush=True)  # noqa: T201 (this is a command line)
        return REFUSED
    if sys.platform == "win32":
        from rrsim.agent.windows import application, service

        service.STEP = step
        application.be_the_agent = partial(application.be_the_agent, step=step)
    return agent_main()


if __name__ == "__main__":
    sys.exit(main())
