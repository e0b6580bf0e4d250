"""The named durations of the modelled PC, in microseconds: lowest and highest ordinary value.

A part never knows how long something takes: it names a draw, and the world decides (``docs/scenarios.md``). Sources:
the published Windows measurements collected for this project (shutdown of a virtual machine 12.8 s in all: user
session 3.8, preshutdown 1.6, services 4.2, kernel 2.9; boot 61 s to 258 s; updates add minutes to tens of minutes).
Ranges marked *assumed* have no measurement behind them yet.
"""

from __future__ import annotations

from typing import Final

MS: Final = 1_000
S: Final = 1_000_000
MINUTE: Final = 60 * S

DRAWS: Final[dict[str, tuple[int, int]]] = {
    # Boot: together 13 s to 150 s up to the welcome screen, the measured 61 s to 258 s include logon and shell.
    "pc firmware": (3 * S, 25 * S),
    "pc loading": (5 * S, 60 * S),
    "pc services": (5 * S, 60 * S),
    # A hibernated kernel is read back instead of a boot (assumed).
    "pc fast startup": (4 * S, 15 * S),
    # "Working on updates": minutes; long means 20 minutes and more (BO-01).
    "pc updates short": (30 * S, 5 * MINUTE),
    "pc updates long": (20 * MINUTE, 45 * MINUTE),
    # Automatic repair after two failed boots, BO-04 (assumed).
    "pc recovery": (2 * MINUTE, 10 * MINUTE),
    # The service control manager starts automatic services within its 30 s start limit (BO-08).
    "pc service start": (500 * MS, 25 * S),
    # Missed limit (30 s) plus the recovery action's delay (assumed 1 s to 60 s).
    "pc service late start": (31 * S, 90 * S),
    "pc service recovery": (1 * S, 60 * S),
    # Logon: automatic sign-in, the user's shell, and programs started by Run and RunOnce. Windows promises no
    # promptness for the last (assumed).
    "pc auto logon": (500 * MS, 4 * S),
    "pc shell": (2 * S, 20 * S),
    "pc autostart": (500 * MS, 10 * S),
    "pc helper": (300 * MS, 3 * S),
    "pc logoff": (1 * S, 5 * S),
    # Shutdown: programs have 5 s to answer before the block screen; the user session measured 3.8 s; services have
    # about 20 s (WaitToKillServiceTimeout); Windows gives up at the block screen after about a minute (SH-02).
    "pc shutdown apps": (1 * S, 5 * S),
    "pc shutdown grace": (500 * MS, 5 * S),
    "pc shutdown services": (2 * S, 20 * S),
    "pc block gives up": (55 * S, 65 * S),
    # One call to the operating system (assumed).
    "os call": (1 * MS, 20 * MS),
}
"""Name of the draw -> (lowest, highest) in microseconds."""
