"""What a model is: a configuration with a name, and bounds that keep its state space finite."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from rrsim.protocol.messages import AgentMode, BootMode, Platform
from rrsim.protocol.settings import Account
from rrsim.scenario.actions import Thing

INVARIANTS: Final = (
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "R11", "rule 5", "rule 9",
    "rule 12", "legal input",
)
"""Everything a search can check. ``legal input``: no core refuses an input that this world can produce."""

MOST_CUSTOMERS: Final = 2
"""Two customers show whether one disturbs the other; every further one multiplies the states and shows nothing new."""


class ModelError(ValueError):
    """A model that cannot be searched; the message says why and what to change."""


class NoInvariant(ModelError):
    """The model checks nothing: a search of it could only pass."""


class NothingToExplore(ModelError):
    """The bounds leave nothing that could happen."""


class NotJudged(ModelError):
    """The abstract world does not have what this account relies on: the search would judge something else."""


class TooManyCustomers(ModelError):
    """The composed state has no room for so many."""


class UnknownInvariant(ModelError):
    """The model names an invariant that no search can check."""


class Budget(msgspec.Struct, frozen=True, gc=False, cache_hash=True, kw_only=True):
    """How often each thing that nobody is bound to do may still happen. Each is at most a small number."""

    asks: int = 0
    """The representative uses the restart control."""
    faults: int = 0
    """Misfortunes of all kinds below together."""
    sudden: int = 0
    """A power cut, a crash of the PC, or the death of the agent's process (rule 14)."""
    losses: int = 0
    """A connection is lost with everything on its way; both ends learn of it later, each in its own time."""
    failures: int = 0
    """An attempt to connect fails."""
    troubles: int = 0
    """Windows takes the right to restart away, or the customer closes the chat window: one or the other."""
    foreign: int = 0
    """The customer restarts from the start menu (rule 3)."""
    chats: int = 0
    """The customer types a line."""
    cancels: int = 0
    """The customer presses the phone mode's *cancel the reconnect* (R11)."""
    duplicates: int = 0
    """A message inside the session arrives twice in a row."""
    refusals: int = 0
    """From now on a security tool denies what touches one thing of ours, or the disk is full, until faults stop."""
    strangers: int = 0
    """A second machine copies the saved ticket, to present it at any later time, or joins with the session's code."""

    def less(self, kind: str) -> Budget:
        """Return what is left after one of ``kind``. When the common budget is spent nothing is left of any kind: equal
        futures are equal states."""
        if kind == "asks":
            return replace(self, asks=self.asks - 1)
        if self.faults == 1:
            return Budget(asks=self.asks)
        return replace(self, **{kind: getattr(self, kind) - 1, "faults": self.faults - 1})

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return self == NO_BUDGET


NO_BUDGET: Final = Budget()


class Model(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One small named configuration. Times of the account are erased: a timer that runs may fire next."""

    name: str
    about: str
    nightly: bool = False
    """Too large for every commit: searched at night, as far as memory allows."""
    account: Account = Account()
    mode: AgentMode = "application"
    platform: Platform = "windows"
    boot_modes: tuple[BootMode, ...] = ("normal",)
    """What the representative may ask for."""
    sharing: bool = False
    """The screen is shared when the search begins."""
    dial_up: bool = False
    """The internet is a telephone call: gone with the PC, back when the customer dials (R12)."""
    customers: int = 1
    """Each has a PC and a session of their own; the budget is common."""
    denied: tuple[Thing, ...] = ()
    """What of ours a security tool may deny (SE-10), where the budget has refusals. A full disk always counts too."""
    budget: Budget
    queue: int = 8
    """Most messages on their way in one direction of one connection; a longer queue is an error of the model."""
    invariants: tuple[str, ...] = INVARIANTS
    must_reach: tuple[str, ...]
    """Situations that must occur: a search that never meets one of them has failed."""
    left_out: tuple[str, ...] = ()
    """What the bounds leave out, in words."""


def check(model: Model) -> None:
    """Refuse a model that could only pass, or that means something this search does not know.

    Raises:
        NoInvariant: no invariant is named.
        UnknownInvariant: one is not in :data:`INVARIANTS`.
        NothingToExplore: the budget is empty.
        NotJudged: the account closes its window with the connection: the search has no front desk that tells of it.
        TooManyCustomers: there are none, or more than :data:`MOST_CUSTOMERS`.
    """
    if not model.invariants:
        raise NoInvariant(f"model {model.name!r} names no invariant; name some of {', '.join(INVARIANTS)}")
    unknown = [name for name in model.invariants if name not in INVARIANTS]
    if unknown:
        raise UnknownInvariant(f"model {model.name!r} names {', '.join(unknown)}; known: {', '.join(INVARIANTS)}")
    if model.account.window_closes == "connected":
        raise NotJudged(
            f"model {model.name!r}: expected an account whose window closes with the resumption; seen: window_closes "
            f"'connected'; use the default, or let rrsim.explore.network tell of a hello first"
        )
    if not 1 <= model.customers <= MOST_CUSTOMERS:
        raise TooManyCustomers(
            f"model {model.name!r}: expected 1 to {MOST_CUSTOMERS} customers; seen: {model.customers}"
        )
    if model.budget.empty:
        raise NothingToExplore(f"the budget of model {model.name!r} is empty: nothing happens; allow an ask at least")
