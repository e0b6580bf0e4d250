"""How much of each part's behaviour a swarm has seen: distinct (component, state, event) triples.

The simulator remembers every step of a part, and asks the part's own code only for a triple that it does not know yet.
So the step functions here are the real ones with an ear: they hear exactly the triples that are new to their memory. An
ear costs more than the step itself, so only one world in :data:`ONE_IN` is listened to, always the same ones.

Triples are counted in sketches of fixed size (HyperLogLog: Flajolet and others, 2007): memory stays the same over any
number of runs, and sketches of different processes merge into what one process would have found. The fingerprints are
BLAKE2b of a canonical form, never ``hash()``, so they are the same in every process.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any, Final

import msgspec

from rrsim.backends.sim.compiled import REAL, Parts, memo_of
from rrsim.backends.sim.memo import StepFunction
from rrsim.scenario.words import Duration

ONE_IN: Final = 16
"""One world in so many is listened to: enough to see whether seeds still bring news."""
COMPONENTS: Final = ("agent", "server", "pc", "net", "person", "rep")
_BITS: Final = 12
SIZE: Final = 1 << _BITS
"""Registers of a sketch. The estimate is off by about 1.04 / sqrt(SIZE): 1.6 %."""
ERROR: Final = 1.04 / math.sqrt(SIZE)


def _out(value: Any) -> int:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(f"cannot fingerprint {type(value).__name__}")


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic", enc_hook=_out)


class Sketch:
    """An estimate of how many different things were seen, in :data:`SIZE` bytes."""

    __slots__ = ("registers",)

    def __init__(self, registers: bytes = b"") -> None:
        """Start empty, or with the registers of another one.

        Raises:
            ValueError: registers of another size.
        """
        if registers and len(registers) != SIZE:
            raise ValueError(f"expected {SIZE} registers, saw {len(registers)}; is it of another version of rrsim?")
        self.registers = bytearray(registers or SIZE)

    def add(self, fingerprint: int) -> None:
        """Take something into account, by 64 bits that look random."""
        place = fingerprint >> (64 - _BITS)
        rest = fingerprint & ((1 << (64 - _BITS)) - 1)
        rank = (64 - _BITS) - rest.bit_length() + 1
        self.registers[place] = max(rank, self.registers[place])

    def merge(self, other: Sketch) -> None:
        """Take everything into account that another sketch has seen."""
        self.registers = bytearray(map(max, self.registers, other.registers))

    def count(self) -> int:
        """Return the estimate."""
        empty = self.registers.count(0)
        if empty > SIZE // 20:  # few things: how many registers are still empty tells it better
            return round(SIZE * math.log(SIZE / empty))
        raw = 0.7213 / (1 + 1.079 / SIZE) * SIZE * SIZE / sum(2.0 ** -rank for rank in self.registers)
        return round(raw)


class Ear:
    """A step function that notes each (state, event) it is asked for, and else is the real one."""

    __slots__ = ("component", "heard", "sketch", "step")

    def __init__(self, component: str, step: StepFunction) -> None:
        self.component = component.encode()
        self.step = step
        self.sketch = Sketch()
        self.heard = 0
        """How many steps were worked out because this process did not remember them."""

    def __call__(self, state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        """Take the step."""
        self.heard += 1
        kind = type(event).__name__.encode()
        form = b"\0".join((self.component, kind, _ENCODER.encode(state), _ENCODER.encode(event)))
        self.sketch.add(int.from_bytes(blake2b(form, digest_size=8).digest(), "big"))
        return self.step(state, event)


class Novelty:
    """The ears on all components of a world, and the parts that have them."""

    def __init__(self, parts: Parts = REAL) -> None:
        self.ears = {name: Ear(name, getattr(parts, name)) for name in COMPONENTS}
        changed: dict[str, Any] = dict(self.ears)
        self.parts = Parts(server_apply=parts.server_apply, world=parts.world, **changed)

    @property
    def heard(self) -> int:
        """How many steps were worked out anew so far."""
        return sum(ear.heard for ear in self.ears.values())

    def renew(self) -> None:
        """Forget what was heard, so that somebody else hears everything as new."""
        for ear in self.ears.values():
            memo_of(ear).forget()
            ear.sketch = Sketch()

    def take(self) -> dict[str, bytes]:
        """Return what was seen since the last time, and begin anew."""
        seen = {name: bytes(ear.sketch.registers) for name, ear in self.ears.items()}
        for ear in self.ears.values():
            ear.sketch = Sketch()
        return seen
