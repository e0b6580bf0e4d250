"""What a model is: a configuration with a name, and bounds that keep its state space finite."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from rrsim.protocol.messages import AgentMode, BootMode, Platform
from rrsim.protocol.settings import Account

INVARIANTS: Final = (
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "rule 9", "legal input",
)
"""Everything a search can check. ``legal input``: no core refuses an input that this world can produce."""


class ModelError(ValueError):
    """A model that cannot be searched; the message says why and what to change."""


class NoInvariant(ModelError):
    """The model checks nothing: a search of it could only pass."""


class NothingToExplore(ModelError):
    """The bounds leave nothing that could happen."""


class NotJudged(ModelError):
    """The invariants are not written for this account: the search would report what its profile allows."""


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
    account: Account = Account()
    mode: AgentMode = "application"
    platform: Platform = "windows"
    boot_modes: tuple[BootMode, ...] = ("normal",)
    """What the representative may ask for."""
    sharing: bool = False
    """The screen is shared when the search begins."""
    budget: Budget
    queue: int = 8
    """Most messages on their way in one direction of one connection; a longer queue is an error of the model."""
    invariants: tuple[str, ...] = INVARIANTS
    must_reach: tuple[str, ...]
    """Situations that must occur: a search that never meets one of them has failed."""
    left_out: tuple[str, ...] = ()
    """What the bounds leave out, in words."""


def check(model: Model) -> None:
    """Refuse a model that could only pass.

    Raises:
        NoInvariant: no invariant is named.
        UnknownInvariant: one is not in :data:`INVARIANTS`.
        NothingToExplore: the budget is empty.
        NotJudged: the account lets foreign restarts resume, or its expiry is not final.
    """
    if not model.invariants:
        raise NoInvariant(f"model {model.name!r} names no invariant; name some of {', '.join(INVARIANTS)}")
    unknown = [name for name in model.invariants if name not in INVARIANTS]
    if unknown:
        raise UnknownInvariant(f"model {model.name!r} names {', '.join(unknown)}; known: {', '.join(INVARIANTS)}")
    if model.account.foreign_resumes or not model.account.expiry_final:
        raise NotJudged(
            f"model {model.name!r}: expected an account with final expiry and without resuming foreign restarts; seen: "
            f"profile {model.account.profile!r}; use the default profile, or extend rrsim.explore.monitor first"
        )
    if model.budget.empty:
        raise NothingToExplore(f"the budget of model {model.name!r} is empty: nothing happens; allow an ask at least")
