"""What a night does, step by step. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from rrsim.nightly.record import Kind

Part = Literal["simulator", "wine", "vm"]
PARTS: Final[tuple[Part, ...]] = ("simulator", "wine", "vm")
SEEDS: Final = 20
SWARM_SEEDS: Final = 10_000
"""More than a night's swarm plays for each seed of the simulator's: nights do not look where others have looked."""
HOUR_S: Final = 3600.0
COMPARED: Final = ("restart-into-safe-mode", "place=chat window")
"""The case that both kinds of real machines play, and the model with them: it has most of what a boot can be."""
COMPARED_AT: Final = 5.0
"""The time scale of virtual machines; Wine's own would have another order of what happens at one time."""
LISTS: Final = "scenarios"
"""Where the lists of cases are."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a night."""

    name: str
    """Names its log and its reports."""
    part: Part
    kind: Kind
    command: tuple[str, ...]
    limit_s: float
    results: str = ""
    """The file its standard output goes to; empty: into the log."""
    environment: dict[str, str] = {}
    again: tuple[str, ...] = ()
    """The command that plays chosen cases a second time; :data:`CASES` in it stands for their list. Empty: none."""
    counts: bool = True
    deep: bool = False
    """Goes on until a limit stops it: exit code 2 is how it ends, and no failure."""


CASES: Final = "{cases}"
AGAIN: Final = "-again"


def _scenarios(
    name: str, part: Part, folder: str, words: tuple[str, ...], limit_s: float, cases: str = "", again: bool = False
) -> Step:
    """Return a step that plays scenarios, with every report; the histories of real machines are witnesses later."""
    def command(own: str, which: tuple[str, ...]) -> tuple[str, ...]:
        reports = ("--junit", f"{folder}/{own}.xml", "--html", f"{folder}/{own}.html")
        return (
            "rrsim", "run", "scenarios/", *words, *which, "--format", "json", *reports,
            "--bundle-dir", f"{folder}/failures/{own}",
            *(("--histories", f"{folder}/histories/{own}") if part != "simulator" else ()),
        )

    return Step(
        name=name, part=part, kind="rrsim", command=command(name, ("--cases", cases) if cases else ()),
        limit_s=limit_s, results=f"{name}.json",
        again=command(name + AGAIN, ("--cases", CASES)) if again else (),
    )


def night(parts: Sequence[Part], folder: str, *, first_seed: int, seeds: int = SEEDS, jobs: int = 2) -> list[Step]:
    """Return the steps of a night.

    Args:
        parts: which of :data:`PARTS`.
        folder: where its reports go.
        first_seed: the simulator's first seed; another one every night, so that the nights look in many places.
        seeds: how many seeds each case gets on the simulator.
        jobs: machines, or processes, at a time.
    """
    steps: list[Step] = []
    if "simulator" in parts:
        words = ("--seed", str(first_seed), "--repeat", str(seeds))
        steps += [
            _scenarios("simulator", "simulator", folder, words, HOUR_S),
            Step(name="broken", part="simulator", kind="rrsim", command=("rrsim", "broken", "--format", "json"),
                 limit_s=HOUR_S, results="broken.json"),
            *_exploration(folder, first_seed),
        ]
    if "wine" in parts:
        steps += _wine(folder, jobs)
    if "vm" in parts:
        steps += _vm(folder, jobs)
    return steps


def _exploration(folder: str, first_seed: int) -> list[Step]:
    """Return the steps that look where no scenario does: every interleaving of small models, and random runs."""
    search = ("rrsim", "search", "--json")
    swarm = ("rrsim", "swarm", "--seeds", f"{first_seed * SWARM_SEEDS}..", "--time", "30m", "--out", f"{folder}/swarm")
    return [
        Step(name="search", part="simulator", kind="rrsim", limit_s=HOUR_S,
             command=(*search, f"{folder}/search.json", "--all")),
        Step(name="search-deep", part="simulator", kind="rrsim", limit_s=2 * HOUR_S, deep=True,
             command=(*search, f"{folder}/search-deep.json", "--set", "nightly", "--memory", "8GB")),
        Step(name="swarm", part="simulator", kind="rrsim", limit_s=HOUR_S, command=(*swarm, "--format", "json"),
             results="swarm.json"),
    ]  # fmt: skip


def _wine(folder: str, jobs: int) -> list[Step]:
    words = ("--backend", "wine", "--jobs", str(jobs))
    often = (*words, "--repeat", "3")
    return [
        _doctor("wine"),
        Step(name="wine-tests", part="wine", kind="pytest", limit_s=3 * HOUR_S,
             command=("pytest", "tests", "-n", str(jobs), "-m", "wine", "--junitxml", f"{folder}/wine-tests.xml"),
             environment={"RRSIM_BROKEN": "all"}),
        _scenarios("wine-ci", "wine", folder, often, 2 * HOUR_S, f"{LISTS}/wine-ci.txt", again=True),
        _scenarios("wine-more", "wine", folder, words, 2 * HOUR_S, f"{LISTS}/wine-nightly.txt", again=True),
        Step(name="wine-conform", part="wine", kind="rrsim", limit_s=HOUR_S, results="wine-conform.json",
             command=("rrsim", "conform", f"{folder}/histories", "--format", "json")),
        Step(name="wine-load", part="wine", kind="rrsim", command=("rrsim", "bench", "--live", "--format", "json"),
             limit_s=HOUR_S, results="wine-load.json"),
        _reap("wine"),
    ]


def _vm(folder: str, jobs: int) -> list[Step]:
    """Return the steps in virtual machines. The real ten minutes come before the tests, lest the night be over."""
    words = ("--backend", "libvirt", "--time-scale", "1", "--jobs", str(jobs))
    return [
        Step(name="vm-binding", part="vm", kind="make", limit_s=HOUR_S / 2,
             command=("make", "--no-print-directory", ".venv/libvirt.stamp")),
        _doctor("vm"),
        Step(name="vm-image", part="vm", kind="rrsim", command=("rrsim", "image", "build", "wine-guest"),
             limit_s=HOUR_S),
        _scenarios("vm", "vm", folder, words, 3 * HOUR_S, f"{LISTS}/vm-nightly.txt"),
        Step(name="vm-conform", part="vm", kind="rrsim", limit_s=HOUR_S, results="vm-conform.json",
             command=("rrsim", "conform", f"{folder}/histories/vm", "--format", "json")),
        Step(name="vm-compare", part="vm", kind="rrsim", limit_s=HOUR_S, results="vm-compare.json",
             command=("rrsim", "compare", COMPARED[0], "--case", COMPARED[1], "--backends", "wine,libvirt",
                      "--time-scale", f"{COMPARED_AT:g}", "--format", "json")),
        Step(name="vm-speed", part="vm", kind="rrsim", command=("rrsim", "bench", "--vm", "--format", "json"),
             limit_s=HOUR_S, results="vm-speed.json"),
        Step(name="vm-tests", part="vm", kind="pytest", limit_s=3 * HOUR_S,
             command=("pytest", "tests", "-m", "libvirt", "--junitxml", f"{folder}/vm-tests.xml")),
        _reap("vm"),
    ]


def _doctor(part: Literal["wine", "vm"]) -> Step:
    """Return the step that says what this computer lacks, before anything fails for lack of it."""
    return Step(name=f"{part}-doctor", part=part, kind="rrsim", limit_s=900,
                command=("rrsim", "doctor", "--for", part, "--json"), results=f"{part}-doctor.json")


def _reap(part: Literal["wine", "vm"]) -> Step:
    """Return the step that takes away what a step that was ended left."""
    return Step(name=f"{part}-reap", part=part, kind="rrsim", command=("rrsim", "reap"), limit_s=300)


def second_try(step: Step, cases: str) -> Step:
    """Return the step that plays the cases of a list a second time. What comes of it decides nothing."""
    name = step.name + AGAIN
    command = tuple(cases if word == CASES else word for word in step.again)
    return Step(name=name, part=step.part, kind=step.kind, command=command, limit_s=HOUR_S, results=f"{name}.json",
                counts=False)
