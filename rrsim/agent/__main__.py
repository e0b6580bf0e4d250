"""``rragent``: the agent as a program.

``rragent install|uninstall|status`` for administrators; ``rragent`` or ``rragent join`` for customers. ``service``,
``helper``, ``agent`` and ``resume`` are started by Windows or by the agent itself. No verb ever takes a secret.
"""

from __future__ import annotations

import sys

USAGE = """usage: rragent [VERB]

  join        ask for the support code and join the session (what a double click does)
  install     install and start the service; needs an administrator and rragent.json beside the program
  uninstall   remove the service and everything it may have left
  status      say what is installed and running
  version     print the version

Example: rragent install
"""


def main(arguments: list[str] | None = None) -> int:
    """Carry out one verb and return the process's exit code: 0 done, 1 refused or failed, 64 unknown verb."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = words[0] if words else "join"
    if verb in ("version", "--version"):
        from rrsim import __version__

        _say(f"rragent {__version__}")
        return 0
    if verb in ("help", "--help", "-h", "/?"):
        _say(USAGE)
        return 0
    code = 64
    if sys.platform == "win32":
        from rrsim.agent.windows import verbs

        if verb in verbs.VERBS:
            try:
                code = verbs.VERBS[verb](words[1:])
            except Exception as error:  # noqa: BLE001 (a windowed program has nobody to show a traceback to: log it)
                code = verbs.failed(verb, error)
        else:
            _say(f"unknown verb {verb!r}\n\n{USAGE}")
    else:
        _say("rragent is a Windows program; on this system use the simulator or the Wine machine")
    return code


def _say(text: str) -> None:
    """Print, if there is anywhere to print to: a windowed program may have no standard streams."""
    if sys.stdout is not None:
        print(text, flush=True)  # noqa: T201 (this is a command line)


if __name__ == "__main__":
    sys.exit(main())
