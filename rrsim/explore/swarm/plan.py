"""The plan of a random run: who takes part, and every decision that was taken, as ``(event pattern, n-th, action)``.

A plan is a scenario without expectations, and :func:`as_scenario` says so. As a file it is JSON that names its format
and the version of rrsim that wrote it: a plan of another format means something else, and is refused by name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.scenario.model import Expect, Given, Scenario, Step
from rrsim.scenario.words import Duration

FORMAT: Final = 1
MAX_BYTES: Final = 1_000_000
"""More than any plan; a larger file is something else."""
MAX_STEPS: Final = 1_000


class PlanError(ValueError):
    """A plan cannot be used; the message says what was expected, what was seen and what to try."""


class PlanDamaged(PlanError):
    """The bytes are no plan, or not a whole one."""


class PlanOfAnotherVersion(PlanError):
    """The plan was written in another format, or speaks of things that this version does not know."""


class Plan(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Everything that was decided about one random run."""

    rrsim_plan: int = FORMAT
    rrsim: str = __version__
    """The version that wrote it."""
    seed: int
    """The seed it was drawn from, which is also the run's seed: what a plan leaves open is drawn from it."""
    faults: dict[str, str] = {}
    """The swarm's configuration: kinds of misfortune that were on, ``rare`` or ``frequent``; all others were off."""
    given: Given = Given()
    steps: tuple[Step, ...] = ()
    check: str = ""
    """What failed when the plan was kept: the check, such as ``I7``; empty: nothing."""
    cause: str = ""


def as_scenario(plan: Plan) -> Scenario:
    """Return the plan as a scenario that expects nothing but the invariants."""
    return Scenario(
        name=f"swarm-{plan.seed}", area="swarm", given=plan.given, steps=plan.steps, expect=NOTHING_SPECIAL
    )


NOTHING_SPECIAL: Final = Expect()


def from_scenario(scenario: Scenario, seed: int) -> Plan:
    """Return a scenario's set-up and steps as a plan; its expectations stay behind."""
    return Plan(seed=seed, given=scenario.given, steps=scenario.steps)


def _out(value: Any) -> int:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(f"cannot write {type(value).__name__}")


def _in(kind: type[Any], value: Any) -> Any:
    if kind is Duration and type(value) is int and value >= 0:
        return Duration(value)
    raise ValueError(f"expected microseconds from 0, saw {value!r}")


_ENCODER: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_out)
_DECODER: Final = msgspec.json.Decoder(Plan, dec_hook=_in)


def encode(plan: Plan) -> bytes:
    """Write a plan as JSON; the same plan gives the same bytes in every process."""
    return msgspec.json.format(_ENCODER.encode(plan), indent=1) + b"\n"


def decode(data: bytes, name: str = "plan") -> Plan:
    """Read a plan; ``name`` is the file's name, for errors.

    Raises:
        PlanDamaged: too large, no JSON, or not a whole plan.
        PlanOfAnotherVersion: another format, or words that this version does not know.
    """
    if len(data) > MAX_BYTES:
        raise PlanDamaged(f"{name}: expected a plan of at most {MAX_BYTES} bytes, saw {len(data)}; try a plan.json")
    try:
        raw: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanDamaged(f"{name}: expected the JSON of a plan, saw: {error}; is the file whole?") from None
    if not isinstance(raw, dict) or "rrsim_plan" not in raw:
        raise PlanDamaged(f"{name}: expected a plan with 'rrsim_plan', saw none; try a plan.json that swarm wrote")
    if raw["rrsim_plan"] != FORMAT:
        raise PlanOfAnotherVersion(
            f"{name}: expected plan format {FORMAT}, saw {raw['rrsim_plan']!r}; use the rrsim that wrote it: "
            f"{raw.get('rrsim', 'unknown')}"
        )
    try:
        plan = _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        writer = raw.get("rrsim")
        if writer != __version__:
            raise PlanOfAnotherVersion(
                f"{name}: expected a plan of rrsim {__version__}, saw one of {writer!r} with: {error}; "
                "use the rrsim that wrote it"
            ) from None
        raise PlanDamaged(f"{name}: expected a whole plan, saw: {error}; the file is damaged") from None
    if len(plan.steps) > MAX_STEPS:
        raise PlanDamaged(f"{name}: expected at most {MAX_STEPS} steps, saw {len(plan.steps)}")
    if not 0 <= plan.seed < 2**63:
        raise PlanDamaged(f"{name}: expected a seed from 0 to 2^63-1, saw {plan.seed}")
    return plan
