"""``rragent join``: ask the customer for the code and bring it to whoever is the agent on this PC.

Where the service is installed it is the agent, and no second one is made beside it: right after a boot it is given
time to come up.
"""

from __future__ import annotations

import sys
import threading
from typing import Final

from rrsim.agent.windows import paths
from rrsim.agent.windows.pipe import PipeBusy, application_pipe, send_code, service_pipe
from rrsim.agent.windows.ui import ask_code

assert sys.platform == "win32"

SERVICE_TRIES: Final = 30
SERVICE_WAIT_S: Final = 0.5
"""An installed service that does not listen yet is asked again after so long, so many times."""


def main() -> int:
    """Show the code window; return 0 if the code was handed over or the session is over, 1 if it could not be."""
    code = ask_code(paths.read_config().language)
    if not code:
        return 1
    if send_code(service_pipe(), code):
        return 0
    from rrsim.agent.windows import facts

    if facts.service_is_installed():
        return _to_the_service(code)
    if send_code(application_pipe(), code):
        return 0
    from rrsim.agent.windows import application

    try:
        application.be_the_agent(code)
    except PipeBusy:
        # Two windows were answered at the same moment: the other one became the agent.
        return 0 if send_code(application_pipe(), code) else 1
    return 0


def _to_the_service(code: str) -> int:
    never = threading.Event()
    for _ in range(SERVICE_TRIES):
        never.wait(SERVICE_WAIT_S)
        if send_code(service_pipe(), code):
            return 0
    return 1
