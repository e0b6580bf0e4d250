"""A way through the search as a scenario: the shortest way to a violation, in the form that every backend plays.

The search has no durations: any timer that runs may fire next. So what a way needs of time is put into the account (a
short resume window where the window ran out, a short restart limit where that did), and what people and faults did is
tied to what was seen last before it. The simulator then says whether the invariant breaks there too. Where it does not,
the order of timers is one that these durations do not bring about, and no scenario is made up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from msgspec.structs import replace

from rrsim.backends.sim import parts as words
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.backends.sim.runner import run
from rrsim.explore import network as net
from rrsim.explore.model import Model
from rrsim.explore.moves import Copies, JoinsToo, Move, Presents
from rrsim.explore.packing import unpack
from rrsim.explore.shrink.shrink import Shrunk, shrink
from rrsim.explore.slowly import Firing
from rrsim.explore.swarm.failures import failures
from rrsim.explore.ways import REFUSES
from rrsim.explore.world import World
from rrsim.protocol import messages as msg
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as do
from rrsim.scenario.accounts import account_of
from rrsim.scenario.model import (
    AccountSettings,
    CustomerHabits,
    Given,
    Moment,
    PcSetup,
    RepHabits,
    Scenario,
    Step,
)
from rrsim.scenario.vocabulary import tag
from rrsim.scenario.words import Duration

SHORT_US: Final = Duration(30_000_000)
LONG_US: Final = Duration(1_200_000_000)
OUTAGE_US: Final = Duration(45_000_000)
NAME: Final = "found-by-search"


class NotExpressible(ValueError):
    """No scenario can say what a way does, or none that was tried does the same."""


def as_scenario(model: Model, way: Sequence[Move], steps: Parts = REAL) -> Scenario:
    """Return a way as a scenario, with what it needs of time put into the account.

    Raises:
        NotExpressible: the way has something that no step of a scenario does.
    """
    if model.customers != 1:
        raise NotExpressible("expected a way with one customer; with several a scenario says less than the search did")
    world = World(model, steps)
    state, counts, last = world.start, Counter[str](), ""
    made: list[Step] = []
    for move in way:
        if move.to == "stage":
            break  # faults stop, and the harness ends what lives: every run does that by itself
        for action in _actions(move):
            moment = Moment(when=last, nth=counts[last]) if last else Moment()
            made.append(Step(moment, action))
        firing = _Telling(world, unpack(state, world.fields))
        try:
            state, _ = firing.carry_out(move)
        except REFUSES as error:  # only the last move of a way is one that a core refuses
            if move is not way[-1]:
                raise NotExpressible(f"expected a way that can be gone, saw {error}") from error
        for last in firing.tags:
            counts[last] += 1
    return Scenario(name=NAME, given=_given(model, way), steps=tuple(made))


class _Telling(Firing):
    """A move worked out, with the events of it that a step can wait for."""

    __slots__ = ("tags",)

    def __init__(self, world: World, numbers: list[int]) -> None:
        super().__init__(world, numbers, None)
        self.tags: list[str] = []

    def _say(self, source: str, what: Any) -> None:
        if source in ("server", "pc"):
            self.tags.append(tag(what))
        elif source == "agent hears" and hasattr(what, "message"):
            self.tags.append(f"message {tag(what.message)}")


def _actions(move: Move) -> Iterator[Any]:
    what = move.what
    if isinstance(what, msg.AskRestart):
        yield do.RepRestarts(from_=what.place, mode=what.boot_mode, bypass_controls=what.forced)
    elif isinstance(what, do.PowerCut):
        yield do.PowerCut(returns_after_us=OUTAGE_US)
    elif isinstance(what, do.Action):
        yield what
    elif isinstance(what, words.Press) and what.window == "leave prompt":
        yield do.CustomerAnswers(prompt="leave prompt", answer="yes" if what.button == "yes" else "no")
    elif isinstance(what, words.Press) and what.window == "chat":
        yield do.CustomerClosesChat()
    elif isinstance(what, words.Press) and what.window == "cancel option":
        yield do.CustomerCancelsReconnect()
    elif isinstance(what, words.TypeChat):
        yield do.CustomerChats(text=what.text)
    elif isinstance(what, net.Lose):
        yield do.ConnectionDrops()
    elif isinstance(what, net.Tried) and move.cost:
        yield do.CablePulled(returns_after_us=OUTAGE_US)
    elif isinstance(what, net.LineDown) and move.cost:
        yield do.CarrierLost()
    elif isinstance(what, JoinsToo):
        yield do.SecondConnection()
    elif isinstance(what, Presents):
        yield do.StrangerPresentsTicket(machine="the same machine" if what.pretends else "another machine",
                                        boot="old" if what.pretends else "new")
    elif move.cost and not isinstance(what, Copies):
        raise NotExpressible(f"expected what a step of a scenario does, saw: {type(what).__name__}")


def _given(model: Model, way: Sequence[Move]) -> Given:
    fired = {(move.to, move.what.name) for move in way if isinstance(move.what, TimerFired)}
    account = _changes(model.account)
    if ("server", "window") in fired:
        account = replace(account, resume_window_us=SHORT_US)
    if ("server", "limit") in fired or ("agent", "restart limit") in fired:
        account = replace(account, restart_limit_us=SHORT_US)
    said = [move.what for move in way if isinstance(move.what, msg.Confirm)]
    pressed = {(move.what.window, move.what.button) for move in way if isinstance(move.what, words.Press)}
    customer = CustomerHabits(
        at_restart_prompt=_answer("restart", pressed, fired), at_sharing_prompt=_answer("sharing", pressed, fired),
    )
    rep = RepHabits(confirms="no" if any(one.answer == "no" for one in said) else "yes", shares_screen=model.sharing)
    pc = PcSetup(network="dial-up") if model.dial_up else PcSetup()
    return Given(
        agent=model.mode, platform=model.platform, profile=model.account.profile, account=account, pc=pc,
        customer=customer, rep=rep,
    )  # fmt: skip


def _answer(kind: str, pressed: AbstractSet[tuple[str, str]], fired: AbstractSet[tuple[str, str]]) -> Any:
    """Return the customer's habit at a question: No if they said so, nothing if its time ran out."""
    if (f"{kind} prompt", "no") in pressed:
        return "no"
    return "ignore" if fired & {("agent", f"ask {kind}"), ("server", f"ask {kind}")} else "yes"


def _changes(account: Account) -> AccountSettings:
    """Return what differs from the profile of this account's name."""
    plain = account_of(Given(profile=account.profile))
    fields = {
        name: getattr(account, name) for name in AccountSettings.__struct_fields__
        if getattr(account, name) != getattr(plain, name)
    }
    times: dict[str, Any] = {name: Duration(value) for name, value in fields.items() if name.endswith("_us")}
    return replace(AccountSettings(), **{**fields, **times})


def found(
    model: Model, way: Sequence[Move], invariant: str, steps: Parts = REAL, *, most: int = 3_000
) -> Shrunk:
    """Return the smallest scenario of this way that breaks an invariant on the simulator, the same one if it can be.

    Args:
        model: the model that was searched.
        way: the moves of the violation, the last one included.
        invariant: which one breaks, such as ``I4``.
        steps: the step functions; a deliberate bug is looked for with its own.
        most: replays at most while it is made smaller.

    Raises:
        NotExpressible: no scenario can say it, or none that was tried breaks the invariant.
    """
    for case in _variants(as_scenario(model, way, steps)):
        fails = [one for one in failures(run(case, 1, steps)) if one.invariant and not one.known]
        if fails:
            # The same one if it can be; whole runs may show it at another, such as I4 where the search said I13.
            meant = min(fails, key=lambda one: one.check != invariant)
            made = shrink(case, 1, meant, parts=steps, most=most)
            if made.reproduces:
                return made
    raise NotExpressible(
        f"expected {invariant} to break on the simulator too, saw every invariant hold, or more break than a file can "
        "expect: the way needs an order of timers that these durations do not bring about"
    )


def _variants(case: Scenario) -> Iterator[Scenario]:
    """Yield the scenario, and others in which people are slower, so that what the way has first comes first."""
    yield case
    slow = replace(case.given.customer, logs_on_after_us=LONG_US)
    yield replace(case, given=replace(case.given, customer=slow))
    yield replace(case, steps=tuple(_longer(step) for step in case.steps))


def _longer(step: Step) -> Step:
    action = step.action
    if isinstance(action, do.PowerCut | do.CablePulled):
        return Step(step.moment, replace(action, returns_after_us=LONG_US))
    return step
