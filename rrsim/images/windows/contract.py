"""Running the machine contract on an image, and reading what pytest wrote about it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from rrsim.images.windows.verify import Contract, ContractRow

OUTCOMES: Final = {"failure": "failed", "error": "error", "skipped": "skipped"}
WORDS: Final = 300


def suite(command: list[str], junit: Path, limit_s: float) -> Contract:
    """Return the machine contract as a program of its own, which writes JUnit results to ``junit``."""

    async def run() -> tuple[ContractRow, ...]:
        return await asyncio.to_thread(_run, command, junit, limit_s)

    return run


def _run(command: list[str], junit: Path, limit_s: float) -> tuple[ContractRow, ...]:
    """Run it; a program that takes too long is ended.

    Raises:
        RuntimeError: it took too long, or wrote no result.
    """
    junit.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"expected the machine contract to end within {limit_s:g} s, saw it at work") from error
    if not junit.is_file():
        raise RuntimeError(
            f"expected the machine contract's results in {junit}, saw none; it ended with {done.returncode}: "
            f"{(done.stderr or done.stdout).strip()[-WORDS:]}"
        )
    return rows_of(junit.read_bytes())


def rows_of(junit: bytes) -> tuple[ContractRow, ...]:
    """Return one row a test. A suite without a test is an error: it would prove nothing.

    Raises:
        RuntimeError: this is no JUnit result, or there is no test in it.
    """
    if b"<!DOCTYPE" in junit or b"<!ENTITY" in junit:
        raise RuntimeError("expected plain JUnit results of the machine contract, saw a document type")
    try:
        root = ET.fromstring(junit)  # noqa: S314 -- without a document type there are no entities to expand
    except ET.ParseError as error:
        raise RuntimeError(f"expected JUnit results of the machine contract, saw: {error}") from error
    rows = tuple(_row(case) for case in root.iter("testcase"))
    if not rows:
        raise RuntimeError("expected tests in the results of the machine contract, saw none")
    return rows


def _row(case: ET.Element) -> ContractRow:
    for tag, outcome in OUTCOMES.items():
        found = case.find(tag)
        if found is not None:
            message = " ".join((found.get("message") or found.text or "").split())[:WORDS]
            return ContractRow(case.get("name", ""), outcome, message)
    return ContractRow(case.get("name", ""), "passed")
