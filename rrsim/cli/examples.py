"""The examples at the end of each command's help. A test runs every one of them through the parser."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "run": (
        "rrsim run",
        "rrsim run scenarios/consent --seed 7 --repeat 20",
        "rrsim run scenarios -k wifi --html out/report.html --junit out/junit.xml",
        "rrsim run scenarios --covers R6 --format json",
        "rrsim run scenarios/consent --backend wine --jobs 2 -v",
        "rrsim run scenarios/dialup --backend libvirt --image wine-guest --keep-vm failed",
    ),
    "list": ("rrsim list", "rrsim list scenarios/safe_mode --covers SM-03", "rrsim list -k dial --format json"),
    "show": ("rrsim show start-menu --case agent=service", "rrsim show late --seed 7 -v"),
    "compare": (
        "rrsim compare same-user", "rrsim compare customer-agrees --case agent=service --backends sim,wine",
        "rrsim compare same-user rep-says-no --format json", "rrsim compare --cases scenarios/wine-ci.txt --jobs 2",
    ),
    "schema": ("rrsim schema",),
    "coverage": (
        "rrsim coverage",
        "rrsim coverage scenarios/network",
        "rrsim coverage --check",
        "rrsim coverage --results out/wine.json --cases",
    ),
    "replay": ("rrsim replay out/failures/late-seed1", "rrsim replay out/failures/late-seed1-wine --backend sim"),
    "reap": ("rrsim reap", "rrsim reap --list", "rrsim reap --kept --format json"),
    "doctor": ("rrsim doctor", "rrsim doctor --for wine", "rrsim doctor --json"),
    "nights": ("rrsim nights", "rrsim nights -k wifi --last 10", "rrsim nights --html out/nights.html"),
    "judge": ("rrsim judge out/failures/late-seed1/history.jsonl",),
    "new": ("rrsim new wifi-late", "rrsim new wifi-late --area network"),
    "broken": ("rrsim broken", "rrsim broken -k ticket", "rrsim broken --format json", "rrsim broken --backend wine",
               "rrsim broken --by search,swarm -k ticket"),
    "bench": ("rrsim bench", "rrsim bench --format json", "rrsim bench --live", "rrsim bench --live --agents 1000",
              "rrsim bench --vm", "rrsim bench --swarm", "rrsim bench --search"),
    "swarm": (
        "rrsim swarm --seeds 0..9999",
        "rrsim swarm --seeds 1000000.. --time 10m --out out/swarm",
        "rrsim swarm --seeds 0..999999 --cluster tcp://127.0.0.1:8786",
        "rrsim swarm --explain 77 -v",
    ),
    "shrink": (
        "rrsim shrink 77", "rrsim shrink out/swarm/i7-left-behind-file-ticket --out scenarios/found/mine.yaml",
        "rrsim shrink out/failures/late-seed1 --check I7",
    ),
    "conform": (
        "rrsim conform out/histories", "rrsim conform out/failures/late-seed1",
        "rrsim conform out/histories --format json",
    ),
    "search": (
        "rrsim search --all", "rrsim search application dial-up", "rrsim search --set nightly --memory 12GB",
        "rrsim search service-deep --fingerprints --checkpoint out/service-deep.search", "rrsim search --list",
    ),
    "serve": (
        "rrsim serve",
        "rrsim serve --agent-port 8443 --api-port 8080 --profile rescue",
        "rrsim serve --agent-host 0.0.0.0 --name support.example.test",
    ),
}
"""Command name to its examples."""


def epilog(command: str) -> str:
    """Return the examples as the last paragraph of the command's help; the mark keeps its lines apart."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[command])
