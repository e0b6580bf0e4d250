"""What a probe is: one open question about Windows, what is run to answer it, and how the answer is read.

A command prints ``name=value`` lines. An answer is *yes*, *no*, or *could not tell*; the last one is never taken for
one of the others, and says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

Answer = Literal["yes", "no", "could not tell"]
Situation = Literal[
    "running", "safe mode", "signed in to safe mode", "signed in", "encrypted, then safe mode", "one safe start",
    "after one safe start", "restarted from the Start menu", "restarted with /g",
]
"""In which state of the machine something is asked. Each begins with the image as it was built."""
SAFE: Final = "2"
"""Windows' number for safe mode with networking."""


class Values(msgspec.Struct, frozen=True):
    """What was seen when a question was asked."""

    printed: Mapping[str, str]
    """What the command printed, by name; empty if nothing in the machine answered."""
    channel: str = ""
    """Through which shell it was asked; empty: none answered."""
    error: str = ""
    """Why there is no answer, or what the command wrote to its error stream."""
    host: Mapping[str, str] = {}
    """What the host knows: ``accelerator``, ``kvm`` (``offered`` or ``none``), ``signed in``, and whether plain safe
    mode answered before (``safe mode``)."""


class Read(msgspec.Struct, frozen=True):
    """An answer with what it rests on."""

    answer: Answer
    evidence: str


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One open question."""

    id: str
    question: str
    situation: Situation
    command: str
    """PowerShell that prints ``name=value`` lines."""
    read: Callable[[Values], Read]
    if_yes: str
    """What *yes* means for rrsim."""
    if_no: str
    prepare: str = ""
    """PowerShell that is run in normal Windows before the situation begins."""
    channel: str = ""
    """Shell that the question is about: it is asked through this one if it answers."""


def parse(out: str) -> dict[str, str]:
    """Return the ``name=value`` lines of what a command printed."""
    found: dict[str, str] = {}
    for line in out.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.replace("-", "").isalnum():
            found[name] = value.strip()
    return found


def unanswered(seen: Values) -> Read:
    """Return that nothing can be concluded, and why."""
    return Read("could not tell", seen.error or "nothing in the machine answered")


def by_value(name: str, *, yes: str, no: str) -> Callable[[Values], Read]:
    """Return a reader that compares one printed value with two patterns, *yes* first; any other is no answer."""

    def read(seen: Values) -> Read:
        if name not in seen.printed:
            return unanswered(seen)
        value = seen.printed[name]
        evidence = f"{name}={value or '(empty)'} through {seen.channel}" + (f"; {seen.error}" if seen.error else "")
        if re.fullmatch(yes, value):
            return Read("yes", evidence)
        if re.fullmatch(no, value):
            return Read("no", evidence)
        return Read("could not tell", evidence)

    return read


def by_channel(channel: str) -> Callable[[Values], Read]:
    """Return a reader for whether a shell answers: no is only said if another shell showed the machine to be up."""

    def read(seen: Values) -> Read:
        if not seen.channel:
            return unanswered(seen)
        told = ", ".join(f"{name}={value}" for name, value in seen.printed.items())
        if seen.channel == channel:
            return Read("yes", f"it answers ({told})")
        return Read("no", f"it does not answer, while {seen.channel} does ({told})")

    return read


def signed_in(then: Callable[[Values], Read]) -> Callable[[Values], Read]:
    """Return a reader that says nothing unless somebody is known to have signed in."""

    def read(seen: Values) -> Read:
        if seen.host.get("signed in") != "yes":
            return Read("could not tell", "nobody could be signed in; look at the picture of the screen")
        return then(seen)

    return read


def by_order(first: str, second: str) -> Callable[[Values], Read]:
    """Return a reader for whether one moment came no later than another; both are printed as whole numbers."""

    def read(seen: Values) -> Read:
        values = [seen.printed.get(name, "") for name in (first, second)]
        if not all(value.isdecimal() for value in values):
            return Read("could not tell", seen.error or f"{first}={values[0]}, {second}={values[1]}")
        early, late = (int(value) for value in values)
        seconds = abs(late - early) / 10_000_000
        evidence = f"{first} came {seconds:.1f} s {'before' if early <= late else 'after'} {second}"
        return Read("yes" if early <= late else "no", evidence)

    return read


def accelerated(seen: Values) -> Read:
    """Read whether Windows runs on the host's KVM: no is only said if KVM was there and Windows did not run on it."""
    accelerator, offered = seen.host.get("accelerator", ""), seen.host.get("kvm", "")
    evidence = f"accelerator {accelerator or 'unknown'}, KVM {offered or 'unknown'}"
    if accelerator == "kvm":
        return Read("yes", evidence) if seen.channel else Read("could not tell", f"{evidence}; nothing answered")
    if offered == "offered" and seen.channel:
        return Read("no", f"{evidence}: Windows runs, but on the emulated processor only")
    return Read("could not tell", evidence)


def unlocked(seen: Values) -> Read:
    """Read whether an encrypted Windows came up in safe mode: one that stands still, where the same Windows came up
    before it was encrypted, asks for its key."""
    if not seen.channel:
        if seen.host.get("safe mode") == "yes":
            return Read("no", "nothing answers, while unencrypted safe mode did; look at the picture of the screen")
        return unanswered(seen)
    return by_value("protection", yes="1", no="(?!)")(seen)
