"""What people see of the nights: the command, the page, the summary."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rrsim.cli import nights as command
from rrsim.cli.errors import CommandError
from rrsim.nightly import __main__ as main
from rrsim.nightly.history import slowest, stories, totals
from rrsim.nightly.outcomes import Night, Problem, Run
from rrsim.nightly.page import html
from rrsim.nightly.record import Record, StepRecord
from rrsim.nightly.summary import summary
from rrsim.nightly.text import report, seconds, trend_text

NIGHTS = [
    Night("2031-01-01", (Run("late", "wine", "passed", 10.0), Run("<b>odd</b>", "wine", "passed", 1.0)), 0),
    Night("2031-01-02", (Run("late", "wine", "failed", 30.0), Run("late", "wine", "passed", 10.0)), 1),
    Night("2031-01-03", (Run("late", "wine", "failed", 20.0), Run("new", "sim", "passed", 0.001)), None),
]


def write(root: Path, *nights: Night) -> Path:
    """Keep nights as a runner would."""
    for night in nights:
        folder = root / night.name
        folder.mkdir(parents=True)
        runs = [{"scenario": r.case, "backend": r.backend, "outcome": r.outcome, "wall_us": int((r.seconds or 0) * 1e6)}
                for r in night.runs]
        (folder / "wine.json").write_text(json.dumps({"format": 1, "runs": runs}))
        record = {"night": night.name, "began": "x", "exit_code": night.exit_code}
        (folder / "night.json").write_text(json.dumps(record))
    return root


def options(root: Path, **more: object) -> command.Options:
    """Options of the command."""
    return command.Options(folder=str(root), **more)  # type: ignore[arg-type]  # options of many types


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each night, two for each case worth a look, and the slowest."""
    assert command.nights(options(write(tmp_path, *NIGHTS))) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert rows[1][:6] == ["2031-01-01", "2", "2", "2", "0", "0"]
    assert rows[2][:6] == ["2031-01-02", "1", "2", "0", "0", "1"]
    assert rows[3][-1] == "-"
    assert ".~F  wine    late" in out
    assert "4 runs; 2 failures; 1 flaky nights; median 10.0 s; worst 30.0 s (2031-01-02)" in out
    assert "first failed 2031-01-02; failing since 2031-01-03" in out
    assert "odd" not in out.partition("slowest")[0]
    assert out.splitlines()[-3].split()[-1] == "late"


def test_all_cases_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --all, or by name."""
    root = write(tmp_path, *NIGHTS)
    command.nights(options(root, every=True, slowest=0))
    assert "odd" in capsys.readouterr().out
    command.nights(options(root, keyword="ODD", slowest=0))
    out = capsys.readouterr().out
    assert "odd" in out
    assert "late" not in out
    command.nights(options(root, backend="sim", every=True, slowest=0))
    out = capsys.readouterr().out
    assert "new" in out
    assert "late" not in out


def test_only_the_last_nights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.nights(options(write(tmp_path, *NIGHTS), last=2))
    out = capsys.readouterr().out
    assert "2031-01-01" not in out
    assert "~F  wine    late" in out


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.nights(options(write(tmp_path, *NIGHTS), format="json", marks=2)) == 0
    data = json.loads(capsys.readouterr().out)
    assert [night["name"] for night in data["nights"]] == ["2031-01-01", "2031-01-02", "2031-01-03"]
    first = data["cases"][0]
    assert (first["case"], first["marks"], first["now"], first["failures"]) == ("late", "~F", "failed", 2)
    assert data["problems"] == []


def test_bad_input_is_named_and_the_rest_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path, *NIGHTS)
    (root / "2031-01-02" / "other.xml").write_text("<testsuite>\n<testcase name='a'/>\n<testca")
    assert command.nights(options(root, format="json")) == 64
    captured = capsys.readouterr()
    assert f"{root}/2031-01-02/other.xml:3: " in captured.err
    data = json.loads(captured.out)
    assert {case["case"] for case in data["cases"]} == {"late", "<b>odd</b>", "new", "a"}
    assert data["problems"][0]["line"] == 3


def test_no_nights_is_bad_usage(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(CommandError) as caught:
            command.nights(options(folder))
        assert caught.value.code == 64


def test_a_page_that_cannot_be_written_costs_only_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.nights(options(write(tmp_path, *NIGHTS), html="/proc/none/x.html")) == 70
    assert "late" in capsys.readouterr().out


def page() -> str:
    """The page about the three nights."""
    told = stories(NIGHTS)
    return html(totals(NIGHTS), told, slowest(told, 5), [Problem("a<b.xml", 3, "bad & broken")])


def test_the_page_needs_nothing_else() -> None:
    """No network, no fonts, no pictures; what comes from results is text."""
    text = page()
    assert "default-src 'none'" in text
    assert not re.search(r"(?:src|href)=[\"'](?!#)", text)
    assert "http" not in text.replace("http-equiv", "")
    assert "<b>odd" not in text
    assert "&lt;b&gt;odd" in text
    assert "a&lt;b.xml:3: bad &amp; broken" in text


def test_the_page_shows_every_night_of_a_case() -> None:
    text = page()
    row = next(line for line in text.splitlines() if 'data-name="late wine"' in line)
    assert re.findall(r'title="([^"]+)"', row) == ["2031-01-01: passed", "2031-01-02: flaky", "2031-01-03: failed"]
    assert "never ended" in text
    few = html(totals(NIGHTS), stories(NIGHTS), (), marks=2)
    row = next(line for line in few.splitlines() if 'data-name="late wine"' in line)
    assert re.findall(r'title="([^"]+)"', row) == ["2031-01-02: flaky", "2031-01-03: failed"]


def test_the_page_of_no_nights() -> None:
    assert "did not pass last night" in html((), (), ())


def test_the_page_is_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "n.html"
    assert command.nights(options(write(tmp_path / "n", *NIGHTS), html=str(path))) == 0
    assert path.read_text().startswith("<!doctype html>")


def test_the_summary_names_what_did_not_pass() -> None:
    """And what wavered, which has failed the night too; second tries are marked as such."""
    steps = (
        StepRecord(name="wine-ci", part="wine", command=(), state="ended", limit_s=1, code=1, seconds=90),
        StepRecord(name="wine-ci-again", part="wine", command=(), state="ended", limit_s=1, counts=False),
        StepRecord(name="vm", part="vm", command=(), state="timed out", limit_s=1, code=70, note="ended | after"),
    )
    record = Record(night="2031-01-02", began="b", ended="e", commit="abc", steps=steps, exit_code=1)
    text = summary(record, stories(NIGHTS[:2]))
    assert text.startswith("# Night of 2031-01-02: the product failed (1)\n")
    assert "| wine-ci | ended | 1 | 1.5 |" in text
    assert "| wine-ci-again (second try, decides nothing) | ended | 0 | 0.0 |" in text
    assert "| vm | timed out: ended \\| after | 70 | 0.0 |" in text
    assert "| late | wine | flaky | `.~` | 2031-01-02 |" in text
    assert "odd" not in text
    good = Record(night="2031-01-01", began="b", ended="e", exit_code=0)
    assert summary(good, stories(NIGHTS[:1])).startswith("# Night of 2031-01-01: all passed (0)\n")
    assert "never ended" in summary(Record(night="2031-01-01", began="b"), ())


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0005, "500 us"), (0.25, "250 ms"), (59.94, "59.9 s"), (300, "5.0 min")]
)
def test_durations_as_people_read_them(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_trends_in_words() -> None:
    assert (trend_text(None), trend_text(2.0), trend_text(0.5)) == ("", "slower: 2.0 times", "faster: 2.0 times")


def test_a_report_of_nothing() -> None:
    assert "0 of 0" in report((), (), (), marks=5, every=False)


def test_the_command_line_of_a_night(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong words are bad usage, never taken for a product's failure."""
    assert main.arguments(["wine", "--seeds", "3"]).seeds == 3
    for words in (["mac"], ["--seeds", "0"], ["--hours", "99"], ["--no-such"], ["--jobs", "x"]):
        with pytest.raises(SystemExit) as caught:
            main.arguments(words)
        assert caught.value.code == 64, words
    with pytest.raises(SystemExit) as caught:
        main.arguments(["--help"])
    assert caught.value.code == 0


def test_a_night_that_cannot_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["simulator", "--out", "/proc/none"]) == 70
    assert "cannot be kept" in capsys.readouterr().err


def test_a_night_that_breaks_is_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the night itself must not look like one of the product."""
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rrsim.nightly.plan.night", broken)
    assert main.main(["simulator", "--out", str(tmp_path)]) == 70


def test_a_whole_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps are played, results read, pages written, old nights taken away; results that cannot be read fail it."""
    from rrsim.nightly.plan import Step

    def plan(_parts: object, folder: str, **_: object) -> list[Step]:
        text = json.dumps({"format": 1, "runs": [
            {"scenario": "late", "backend": "sim", "outcome": "passed", "wall_us": 1}]})
        return [Step(name="s", part="simulator", kind="rrsim", command=("/bin/echo", text), limit_s=60,
                     results="s.json")]

    monkeypatch.setattr("rrsim.nightly.plan.night", plan)
    root = tmp_path / "nights"
    assert [main.main(["--out", str(root), "--keep", "2"]) for _ in range(3)] == [0, 0, 0]
    kept = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    assert len(kept) == 2
    assert (root / "latest" / "summary.md").read_text() in capsys.readouterr().out
    assert "late" in (root / "nights.html").read_text()
    monkeypatch.setattr("rrsim.nightly.plan.night", lambda *_, **__: [
        Step(name="s", part="simulator", kind="rrsim", command=("/bin/echo", "{"), limit_s=60, results="s.json")])
    assert main.main(["--out", str(root)]) == 70
