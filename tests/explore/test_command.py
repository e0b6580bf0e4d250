"""``rrsim search``: what it prints, what it keeps, and its exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from rrsim.cli import search as command
from rrsim.cli.errors import CommandError
from rrsim.cli.main import run as rrsim
from rrsim.explore import models
from rrsim.explore.model import Budget
from rrsim.explore.models import MODELS, of_set

SMALL = replace(
    MODELS["application"], name="small", budget=Budget(asks=1), must_reach=("resumed",), left_out=("nearly everything",)
)
BROKEN = replace(SMALL, name="broken", must_reach=("resumed", "a miracle"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only small models exist."""
    there = {"small": SMALL, "broken": BROKEN}
    monkeypatch.setattr(models, "MODELS", there)
    monkeypatch.setattr(command, "MODELS", there)


@pytest.mark.usefixtures("small")
def test_a_search_that_holds_says_what_it_covered_and_what_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert rrsim(["search", "small"]) == 0
    out, err = capsys.readouterr()
    assert "model small: passed" in out
    assert "covered: every state within the bounds, each once" in out
    assert "left out: nearly everything" in out
    assert "left out: none of: power cuts" in out
    assert "states/s" in err


@pytest.mark.usefixtures("small")
def test_a_situation_that_never_occurs_gives_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "deep" / "found.json"
    assert rrsim(["search", "--all", "--json", str(target)]) == 1
    out = capsys.readouterr().out
    assert "never occurred, and must: a miracle" in out
    assert "2 models: 1 passed, 1 failed" in out
    data = json.loads(target.read_text(encoding="utf-8"))
    assert [model["outcome"] for model in data["models"]] == ["passed", "failed"]
    assert data["models"][1]["never"] == ["a miracle"]
    assert data["models"][0]["states"] > 1_000


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("limit", [("--max-states", "500"), ("--memory", "1MB")])
def test_a_limit_gives_2_and_never_a_pass(capsys: pytest.CaptureFixture[str], limit: tuple[str, str]) -> None:
    assert rrsim(["search", "small", *limit]) == 2
    out = capsys.readouterr().out
    assert "model small: incomplete" in out
    assert "raise the limit" in out
    assert "were followed further" in out
    assert "not known: whether every state leads to an end" in out


@pytest.mark.usefixtures("small")
def test_a_checkpoint_is_kept_used_and_taken_away(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "small.search"
    assert rrsim(["search", "small", "--max-states", "900", "--checkpoint", str(kept)]) == 2
    assert "goes on from there" in capsys.readouterr().err
    assert kept.exists()
    assert rrsim(["search", "small", "--checkpoint", str(kept)]) == 0
    again = capsys.readouterr()
    assert "going on from" in again.err
    assert not kept.exists()
    assert rrsim(["search", "small"]) == 0
    assert capsys.readouterr().out == again.out


@pytest.mark.usefixtures("small")
def test_a_checkpoint_that_is_of_no_use_gives_64(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "small.search"
    kept.write_bytes(b"rrsim search checkpoint 1\nnonsense")
    assert rrsim(["search", "small", "--checkpoint", str(kept)]) == 64
    assert "CorruptCheckpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "no model named 'nonsense'"),
        (["--set", "weekly"], "--set standard or --set nightly"),
        (["application", "--all"], "names of models, or --all"),
        (["application", "mac", "--checkpoint", "x"], "one model with --checkpoint"),
        (["mac", "--memory", "much"], "a size in memory"),
        (["mac", "--memory", "0"], "a size in memory"),
        (["mac", "--max-states", "-1"], "max-states"),
    ],
)
def test_bad_usage_gives_64_and_says_what_to_try(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert rrsim(["search", *arguments]) == 64
    err = capsys.readouterr().err
    assert told in err
    assert "try: " in err


@pytest.mark.usefixtures("small")
def test_a_model_beyond_its_own_bounds_is_the_harness_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(models.MODELS, "small", replace(SMALL, queue=1))
    assert rrsim(["search", "small"]) == 70
    assert "more than 1 messages wait" in capsys.readouterr().err


def test_sizes() -> None:
    assert command.size_bytes("4GB") == 4_000_000_000
    assert command.size_bytes("1.5 GiB") == 3 * 2**29
    assert command.size_bytes("300") == 300
    with pytest.raises(CommandError):
        command.size_bytes("4 sheep")


def test_the_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert rrsim(["search", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in MODELS)
    assert rrsim(["search", "--list", "--set", "nightly"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(of_set("nightly"))


def test_ctrl_c_keeps_the_partial_result(tmp_path: Path) -> None:
    """A user stops a search that is far from its end: what was covered is printed, kept, and no pass."""
    kept, target = tmp_path / "deep.search", tmp_path / "found.json"
    arguments = ["application-deep", "--checkpoint", str(kept), "--json", str(target)]
    going = subprocess.Popen(
        [sys.executable, "-m", "rrsim", "search", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert going.stderr is not None
    line = going.stderr.readline()
    assert "application-deep" in line, "progress is shown after a second"
    going.send_signal(signal.SIGINT)
    out, err = going.communicate(timeout=60)
    assert going.returncode == 2, err
    assert "incomplete: stopped by the user" in out
    assert "stopped by the user: 1 of 1 models were begun" in err
    assert json.loads(target.read_text(encoding="utf-8"))["models"][0]["states"] > 100
    assert kept.stat().st_size > 1_000


def test_a_wish_to_stop_ends_the_other_models_too(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def looked(watched: command._Watched, progress: object) -> str:
        watched._stopped.append(command.STOPPED)
        return command.STOPPED

    monkeypatch.setattr(command._Watched, "look", looked)
    assert rrsim(["search", "--all"]) == 2
    out, err = capsys.readouterr()
    assert "model small: incomplete" in out
    assert "model broken" not in out
    assert "1 of 2 models were begun" in err


def test_progress_is_shown_and_checkpoints_are_written_now_and_then(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("PATIENCE_S", "EVERY_S", "SAVED_EVERY_S"):
        monkeypatch.setattr(command, name, 0.0)
    written: list[Path] = []
    monkeypatch.setattr(command, "save", lambda _, path: written.append(path))
    assert rrsim(["search", "small", "--checkpoint", str(tmp_path / "kept")]) == 0
    err = capsys.readouterr().err
    assert "depth" in err
    assert "frontier" in err
    assert len(written) > 1
