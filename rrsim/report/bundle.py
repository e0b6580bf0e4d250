"""What a run that did not pass leaves behind: everything needed to look at it and to run it again.

A bundle is a folder::

    scenario.json   the case exactly as it ran (profile overrides included)
    history.jsonl   the whole history, secrets masked
    result.json     the run as in ``rrsim run --format json``, plus the history's digest
    timeline.txt    the readable timeline
    scenario.yaml   a copy of the scenario's file, if it came from one
    again.txt       the commands that repeat it
    evidence/       of a live run: screenshots, logs, the server's journal (rrsim.backends.live.evidence)
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.report import json_out, terminal
from rrsim.report.reproduce import command_for
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.scenario.words import Duration

LIMIT: Final = 100
"""A run of thousands of seeds saves only the first so many failures."""

FORMAT: Final = 1
EVIDENCE: Final = "evidence"


class BundleError(ValueError):
    """A bundle cannot be used; the message says what was expected and seen."""


class Bundle(msgspec.Struct, frozen=True):
    """A saved run, read back."""

    path: str
    scenario: Scenario
    backend: str
    seed: int
    outcome: str
    digest: str
    """Fingerprint of the history as it was; empty if the run had none."""
    causes: tuple[tuple[str, str], ...]
    """(check, cause) of every check that did not pass."""
    version: str
    time_scale: float = 1.0
    options: tuple[str, ...] = ()
    """Words of the command line that a repetition needs besides backend and seed."""


def digest_of(history: History | None) -> str:
    """Return the digest of a history's content, by which two runs are called identical; empty without one."""
    if history is None:
        return ""
    from rrsim.scenario import history_io

    return history_io.digest(history)


def _hook_out(value: Any) -> Any:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(f"cannot write {type(value).__name__}")


def _hook_in(kind: type, value: Any) -> Any:
    if kind is Duration and isinstance(value, int):
        return Duration(value)
    raise NotImplementedError(f"cannot read {kind.__name__}")


def encode_scenario(scenario: Scenario) -> bytes:
    """Write a case as JSON."""
    return msgspec.json.format(msgspec.json.encode(scenario, enc_hook=_hook_out), indent=1)


def decode_scenario(data: bytes) -> Scenario:
    """Read a case back.

    Raises:
        BundleError: this is no scenario of this version.
    """
    try:
        return msgspec.json.decode(data, type=Scenario, dec_hook=_hook_in)
    except msgspec.MsgspecError as error:
        raise BundleError(f"expected scenario.json of rrsim {__version__}; saw: {error}") from error


def folder_name(result: RunResult) -> str:
    """Return a file name for a run: its id without awkward characters, and the seed."""
    plain = re.sub(r"[^A-Za-z0-9._=-]+", "-", result.scenario.id).strip("-.")
    short = plain if len(plain) <= 100 else f"{plain[:88]}-{hashlib.sha256(plain.encode()).hexdigest()[:10]}"
    return f"{short}-seed{result.seed}" + ("" if result.backend == "sim" else f"-{result.backend}")


def save(result: RunResult, root: str) -> str:
    """Write a bundle under ``root`` and return its folder. An older bundle of the same run is overwritten."""
    folder = Path(root) / folder_name(result)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.json").write_bytes(encode_scenario(result.scenario))
    about = {
        "format": FORMAT,
        "rrsim": __version__,
        "python": platform.python_version(),
        "digest": digest_of(result.history),
        "options": list(result.options),
        "run": json_out.run_object(result),
    }
    (folder / "result.json").write_text(json_out.dumps(about), encoding="utf-8")
    (folder / "timeline.txt").write_text(terminal.show(result, everything=True) + "\n", encoding="utf-8")
    again = [f"rrsim replay {folder}", command_for(result)]
    again += [f"rrsim replay {folder} --backend sim"] if result.backend != "sim" else []
    (folder / "again.txt").write_text("\n".join(again) + "\n", encoding="utf-8")
    history = folder / "history.jsonl"
    history.unlink(missing_ok=True)
    if result.history is not None:
        from rrsim.scenario import history_io

        history.write_bytes(history_io.dump(result.history))
    shutil.rmtree(folder / EVIDENCE, ignore_errors=True)
    if result.evidence:
        shutil.copytree(result.evidence, folder / EVIDENCE)
    source = Path(result.scenario.path) if result.scenario.path else None
    if source is not None and source.is_file():
        (folder / "scenario.yaml").write_bytes(source.read_bytes())
    return str(folder)


def load(path: str) -> Bundle:
    """Read a bundle.

    Raises:
        BundleError: a file is missing, damaged, or of another format.
    """
    folder = Path(path)
    try:
        scenario = decode_scenario((folder / "scenario.json").read_bytes())
        about = msgspec.json.decode((folder / "result.json").read_bytes())
        run = about["run"]
        if about["format"] != FORMAT:
            raise BundleError(f"expected a bundle of format {FORMAT}; saw format {about['format']}")
        causes = tuple((str(c["check"]), str(c.get("cause", ""))) for c in run["checks"])
        return Bundle(
            path=path, scenario=scenario, backend=str(run["backend"]), seed=int(run["seed"]),
            outcome=str(run["outcome"]), digest=str(about["digest"]), causes=causes, version=str(about["rrsim"]),
            time_scale=float(run.get("time_scale", 1)), options=tuple(map(str, about.get("options", ()))),
        )
    except OSError as error:
        raise BundleError(f"expected a folder with scenario.json and result.json; saw: {error}") from error
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"expected an undamaged result.json; saw: {type(error).__name__}: {error}") from error
