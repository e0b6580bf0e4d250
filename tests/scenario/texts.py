"""Scenario texts that several tests share."""

from __future__ import annotations

from pathlib import Path

FILES = Path(__file__).parent / "files"
"""Example files: one with rows, one with a product, one with overrides."""

HEAD = "rrsim: 1\nname: a case\n"
GOOD = HEAD + "steps:\n  - do: rep restarts\nexpect: {verdict: resumed}\n"
