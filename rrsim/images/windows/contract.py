"""Running the machine contract on an image, and reading what pytest wrote about it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from rrsim.images.windows.verify import Contract, ContractRow

OUTCOMES: Final = {"failure": "failed", "error": "error", "skipped": "skipped"}
WORDS: Final = 300
LINES_KEPT: Final = 40
PUT_AWAY_S: Final = 400.0
"""Putting a machine away may take that long where the processor is emulated and the host is busy."""
LINE_BYTES: Final = 1 << 20
"""A line that is longer is no word of pytest's."""
SAID: Final = re.compile(r"::(\S+) (PASSED|FAILED|ERROR|SKIPPED)")
"""A test and its outcome, as pytest prints them with ``-v``."""


def _quiet(_: str) -> None:
    """Nobody wants to hear of it."""


def suite(
    command: list[str], junit: Path, limit_s: float, *,
    environment: Mapping[str, str] | None = None, folder: Path | None = None, say: Callable[[str], None] = _quiet,
) -> Contract:
    """Return the machine contract as a program of its own, which writes JUnit results to ``junit``.

    Args:
        command: the program and its arguments.
        junit: where it writes its results.
        limit_s: seconds after which it is ended.
        environment: its environment; None: ours.
        folder: where it runs; None: here.
        say: hears each test's outcome in the moment in which pytest prints it.
    """

    async def run() -> tuple[ContractRow, ...]:
        await asyncio.to_thread(junit.unlink, missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env=environment, cwd=folder, start_new_session=True, limit=LINE_BYTES,
        )
        last: deque[str] = deque(maxlen=LINES_KEPT)
        try:
            async with asyncio.timeout(limit_s):
                await _listen(process, last, say)
        except TimeoutError:
            raise RuntimeError(f"expected the machine contract to end within {limit_s:g} s, saw it at work") from None
        finally:
            await _end(process)
        how = f"it ended with {process.returncode}: {' '.join(last)[-WORDS:]}"
        return await asyncio.to_thread(_results, junit, how)

    return run


def _results(junit: Path, how: str) -> tuple[ContractRow, ...]:
    if not junit.is_file():
        raise RuntimeError(f"expected the machine contract's results in {junit}, saw none; {how}")
    return rows_of(junit.read_bytes())


async def _listen(process: asyncio.subprocess.Process, last: deque[str], say: Callable[[str], None]) -> None:
    assert process.stdout is not None, "started with a pipe"
    while line := await process.stdout.readline():
        text = line.decode(errors="replace").rstrip()
        last.append(text)
        if found := SAID.search(text):
            say(f"  {found[2].lower():<8} {found[1]}")
    await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it as Ctrl-C does, which takes its machines away, and at last by force."""
    for number, patience_s in ((signal.SIGINT, PUT_AWAY_S), (signal.SIGKILL, 10.0)):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await process.wait()


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
