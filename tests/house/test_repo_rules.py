"""This repository keeps its own rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import rules
from tests.house.rules import RULES

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {
    "asyncio", "hypothesis", "jinja2", "jsonschema", "libvirt", "litestar", "multiprocessing", "paramiko", "pytest",
    "simpy", "ssl", "uvicorn", "websockets", "winrm",
}
"""What a run on the simulator has no use for: start-up is part of speed."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[Path], list[str]]) -> None:
    """Each rule of the house holds for the whole tree."""
    found = rule(ROOT)
    assert not found, f"{rule.__doc__}\n" + "\n".join(found)


def commands_named(text: str) -> set[str]:
    """The commands of ``rrsim`` that a document names in its code."""
    return set(re.findall(r"(?:^ {4,}|`)(?:\.venv/bin/)?rrsim ([a-z]+)", text, re.MULTILINE))


def test_commands_named_in_documents_exist() -> None:
    """Every ``rrsim …`` in a document is a command of the program."""
    known = subprocess.run(
        [sys.executable, "-m", "rrsim", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    named = {name: page.name for page in pages for name in commands_named(page.read_text(encoding="utf-8"))}
    assert {"run", "show"} <= set(named), "the README no longer shows how to run a scenario"
    wrong = {name: page for name, page in named.items() if not re.search(rf"^  {name}\b", known, re.MULTILINE)}
    assert not wrong, f"no such command of rrsim: {wrong}"
    assert commands_named("    .venv/bin/rrsim brew\n") == {"brew"}


def imported_by(code: str) -> set[str]:
    """Top-level names of everything a fresh interpreter imports while it runs ``code``."""
    report = "import sys; print('\\nIMPORTED', *{n.split('.')[0] for n in sys.modules}, file=sys.stderr)"
    program = f"import atexit\natexit.register(lambda: exec({report!r}))\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("IMPORTED ")]
    assert lines, f"the interpreter ended without a report: {done.stderr}"
    return set(lines[-1].split()[1:])


def test_a_run_imports_nothing_it_does_not_use() -> None:
    """``rrsim run`` on the simulator pulls in no server, no virtual machine, no template engine."""
    scenario = next(iter(sorted((ROOT / "scenarios").rglob("*.yaml"))))
    code = f"import sys; sys.argv = ['rrsim', 'run', {str(scenario)!r}]\nfrom rrsim.cli.main import main\nmain()"
    names = imported_by(code)
    assert "rrsim" in names, "the command line was not reached"
    assert not names & HEAVY, f"rrsim run imports {sorted(names & HEAVY)}; import them where they are used"


def test_the_import_report_sees_a_heavy_import() -> None:
    """The check above can fail: a program that imports asyncio is seen to."""
    assert "asyncio" in imported_by("import asyncio")


def test_every_shell_is_there_and_needs_to_be_one() -> None:
    """A module is excused from being pure only while it exists and imports something impure."""
    for name in sorted(rules.SHELLS):
        assert f"rrsim/{name}:" in "\n".join(rules.impure_imports(ROOT)), f"{name} need not be a shell any more"


def test_lock_files_hold_exact_versions() -> None:
    """Every line of the lock files pins one version."""
    loose = [
        f"{path.name}: {line}"
        for path in sorted((ROOT / "requirements").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", "-r ")) and line.count("==") != 1
    ]
    assert not loose, f"not pinned: {loose}"
