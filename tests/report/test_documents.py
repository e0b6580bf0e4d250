"""Grouping, JSON, JUnit, HTML, the matrix and bundles."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.report import bundle
from rrsim.report.grouping import counts, grouped, skipped
from rrsim.report.html import html
from rrsim.report.json_out import run_object, run_report
from rrsim.report.junit import junit
from rrsim.report.matrix import coverage, coverage_of, matrix_text, missing, read_proofs
from rrsim.report.reproduce import command
from rrsim.report.terminal import summary
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import CheckResult, Outcome, RunResult


def made(
    name: str, outcome: Outcome, cause: str = "", *, check: str = "I2", covers: tuple[str, ...] = ("R1",), **more: Any
) -> RunResult:
    """A result without a history."""
    checks = ()
    if outcome in ("failed", "known", "unknown"):
        word: Any = "unknown" if outcome == "unknown" else "failed"
        checks = (CheckResult(check=check, outcome=word, message=f"about {name}", cause=cause),)
    scenario = Scenario(name=name, covers=covers, area="area", path=f"scenarios/area/{name}.yaml", meta={"owner": "t"})
    more = {"backend": "sim", "seed": 1, "reason": "", **more}
    return RunResult(scenario=scenario, outcome=outcome, checks=checks, **more)


MIXED = [
    made("a", "passed"),
    made("b", "known", "old", reason="T-1"),
    made("c", "unknown", "no witness"),
    made("d", "failed", "rare"),
    made("e", "failed", "often"),
    made("f", "failed", "often"),
    made("g", "error", reason="ZeroDivisionError: x\ntrace"),
    made("h", "skipped", reason="needs bcdedit"),
]


def test_groups_new_first() -> None:
    """The product's new failures first, the frequent before the rare, known ones last."""
    groups = grouped(MIXED)
    assert [(g.outcome, g.cause, len(g.results)) for g in groups] == [
        ("failed", "often", 2), ("failed", "rare", 1), ("error", "ZeroDivisionError: x", 1),
        ("unknown", "no witness", 1), ("known", "old", 1),
    ]
    assert [g.new for g in groups] == [True, True, True, True, False]
    assert counts(MIXED) == {"passed": 1, "failed": 3, "known": 1, "unknown": 1, "skipped": 1, "error": 1}


def test_a_group_is_named_by_the_step_that_was_not_possible() -> None:
    """What else failed usually follows from it; it is named beside."""
    late = CheckResult(check="step 2", outcome="failed", message="about the step", cause="step impossible")
    result = made("a", "failed", "resumed instead of lost", check="expect verdict")
    result = msgspec.structs.replace(result, checks=(*result.checks, late))
    (group,) = grouped([result])
    assert (group.title, group.also) == ("step 2: step impossible", ("expect verdict",))
    assert "also failed: expect verdict" in html([result])


def test_run_object_is_plain_data(resumed: RunResult) -> None:
    """Everything in it can be written as JSON, and the restart is told in full."""
    data = msgspec.json.decode(msgspec.json.encode(run_object(resumed)))
    assert data["verdict"] == "resumed"
    assert set(data["restarts"][0]) == {
        "number", "customer", "session", "kind", "verdict", "name", "losses", "reason", "cause", "asked_us",
        "decided_us",
    }


def test_junit_separates_product_from_the_rest() -> None:
    """failure, error with type, skipped; properties on every case; new failures first."""
    root = ET.fromstring(junit(MIXED, ["x.yaml:3: bad"]))
    assert [root.get(k) for k in ("tests", "failures", "errors")] == ["9", "3", "3"]
    area, bad = root.findall("testsuite")
    assert area.get("name") == "area"
    assert [e.get("type") for e in bad.iter("error")] == ["rrsim.input"]
    cases = {c.get("name"): c for c in area.findall("testcase")}
    assert list(cases)[:2] == ["e", "f"]
    kinds = {n: [(x.tag, x.get("type")) for x in c if x.tag != "properties"] for n, c in cases.items()}
    assert kinds["a"] == []
    assert kinds["b"] == [("skipped", "rrsim.known")]
    assert kinds["c"] == [("error", "rrsim.unknown")]
    assert kinds["d"] == [("failure", "rare")]
    assert kinds["g"] == [("error", "rrsim.environment")]
    assert kinds["h"] == [("skipped", "rrsim.skipped")]
    properties = {p.get("name"): p.get("value") for p in cases["a"].iter("property")}
    own = {"seed": "1", "backend": "sim", "ids": "R1", "edge_cases": "", "verdicts": "", "meta.owner": "t"}
    assert properties == own


def test_junit_survives_characters_that_xml_has_not() -> None:
    """A control character in a message does not make the file unreadable."""
    ET.fromstring(junit([made("a", "failed", "nul \x00 esc \x1b <&>")]))


def test_junit_failure_shows_timeline_seed_and_command(expired: RunResult) -> None:
    """Everything to understand and repeat it, the command last."""
    check = CheckResult(check="I9", outcome="failed", message="no verdict", cause="late", entry=40)
    failed = msgspec.structs.replace(expired, outcome="failed", checks=(check,))
    (failure,) = ET.fromstring(junit([failed])).iter("failure")
    text = failure.text or ""
    assert "timeline around it" in text
    assert "\n> " in text
    assert "seed 1, backend sim" in text
    assert text.rstrip().endswith("rrsim run scenarios/area/made-here.yaml -k made-here --seed 1")


def test_a_live_failure_is_told_with_what_was_seen_and_stands_last(expired: RunResult) -> None:
    """No seed brings a live failure back; the end of a long log says what failed, after everything else."""
    check = CheckResult(check="I9", outcome="failed", message="no verdict", cause="late", entry=40)
    helped = ("stand-in: boot options (x)",)
    failed = msgspec.structs.replace(expired, outcome="failed", checks=(check,), backend="wine", stand_ins=helped)
    text = summary([failed], (), elapsed_s=1.0)
    wanted = ("boot options (x)", "timeline of made-here", "\n> ", "I9: late", "no verdict", "1 failed", "again, one")
    places = [text.find(part) for part in wanted]
    assert -1 not in places
    assert places == sorted(places)
    assert "no timeline: the run broke off" in summary([made("a", "error", backend="wine")], (), elapsed_s=1.0)
    assert "timeline" not in summary([msgspec.structs.replace(failed, backend="sim")], (), elapsed_s=1.0)


class Page(HTMLParser):
    """Collects what a page refers to, and which tags it opens."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.refers: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note references and ids."""
        self.tags.append(tag)
        self.refers += [v or "" for k, v in attrs if k in ("src", "href", "action", "data", "xlink:href")]
        self.ids.update(v or "" for k, v in attrs if k == "id")


def test_html_is_self_contained_and_links_work(resumed: RunResult, expired: RunResult) -> None:
    """No outside resource; every link points into the page."""
    text = html([resumed, expired, *MIXED], ["x.yaml:3: bad"], made="2031-01-01")
    page = Page(text)
    assert page.refers
    assert [r for r in page.refers if not r.startswith("#") or r[1:] not in page.ids] == []
    assert re.findall(r"url\(|@import|https?://", text) == []
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert page.tags.count("svg") == 2
    assert page.tags.count("link") == page.tags.count("img") == 0


def test_html_says_what_matters_first(resumed: RunResult) -> None:
    """Tiles, then failures with the new ones first, then requirements, then runs."""
    text = html([resumed, *MIXED])
    marks = ('class="tiles"', "I2: often", "I2: rare", "I2: old", "<h2>Requirements", "<h2>Runs")
    order = [text.index(mark) for mark in marks]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("wall_us", "words"),
    [(430, "in less than 50ms<"), (50_000, "in less than 50ms<"), (50_001, "in 100ms<"), (2_500_000, "in 2.5s<")],
)
def test_html_says_how_long_it_took(resumed: RunResult, wall_us: int, words: str) -> None:
    """A quick run did not take no time at all."""
    assert words in html([msgspec.structs.replace(resumed, wall_us=wall_us)])


def test_html_says_whose_restart_it_was(simulated: Callable[..., RunResult]) -> None:
    """With several customers; with one there is no column for that."""
    body = "steps: [{do: rep restarts}]\nexpect: {verdict: resumed}\n"
    assert "<th>customer</th>" not in html([simulated(body)]).replace("<th>customer</th><td", "")
    assert "<th>customer</th><th>restart</th>" in html([simulated(f"given: {{customers: 2}}\n{body}")])


def test_html_paints_an_expected_loss_grey(expired: RunResult) -> None:
    """In a run that passed, the verdict was what it should be: red would frighten for nothing."""
    assert expired.outcome == "passed"
    assert '<span class="verdicts"><span class="pill mute">expired</span>' in html([expired])
    failed = msgspec.structs.replace(expired, outcome="failed")
    assert '<span class="verdicts"><span class="pill bad">expired</span>' in html([failed])


def test_html_escapes(resumed: RunResult) -> None:
    """Names, reasons and problems cannot become markup."""
    evil = "<script>alert(1)</script>"
    scenario = Scenario(name=evil, case=evil, about=evil, area=evil, covers=(evil,), path=evil, meta={evil: evil})
    check = CheckResult(check=evil, outcome="failed", message=evil, cause=evil)
    result = msgspec.structs.replace(resumed, scenario=scenario, checks=(check,), outcome="failed", reason=evil)
    text = html([result], [evil], options=[evil])
    assert evil not in text
    assert Page(text).tags.count("script") == 1


def test_html_of_many_runs_stays_small(resumed: RunResult) -> None:
    """Only so many passed runs carry a picture; the rest are lines; failed ones are drawn."""
    failed = msgspec.structs.replace(
        resumed, outcome="failed", seed=9, checks=(CheckResult(check="I1", outcome="failed", cause="x"),)
    )
    text = html([resumed] * 2000 + [failed], details=5)
    assert text.count("<svg") == 6
    assert len(text) < 4_000_000
    assert "1995 runs are listed without a picture" in text
    assert html([resumed], details=0).count("<svg") == 0


def test_html_of_nothing() -> None:
    """An empty run has a page."""
    assert "<h2>Requirements" in html([])


def test_matrix_grades() -> None:
    """Simulator modelled; live real, unless a stand-in decided what the id is about; one real case is enough."""
    live = made("a", "passed", backend="wine", covers=("R2", "R6"))
    helped = made("b", "passed", backend="wine", covers=("R2", "R6"), stand_ins=("stand-in: boot options (x)",))
    rows = {r.id: r for r in coverage([helped, made("c", "passed", covers=("R6",))])}
    assert {c.backend: c.grade for c in rows["R6"].cells} == {"sim": "modelled", "wine": "real"}
    assert [c.grade for c in rows["R2"].cells if c.backend == "wine"] == ["stand-in"]
    (cell,) = next(r for r in coverage([live, helped]) if r.id == "R2").cells
    assert (cell.grade, cell.passed, cell.stand_in) == ("real", ("a", "b"), ("b",))
    assert "real: 2 passed (1 by stand-in)" in matrix_text(coverage([live, helped]))


def test_failed_live_run_does_not_make_an_id_real() -> None:
    """Only a case that passed says that an id was proved; what failed or was skipped is graded for the eye only."""
    failed = made("a", "failed", backend="wine", covers=("R6",))
    skipped = made("b", "skipped", backend="wine", covers=("R5",), reason="needs dns (step 1: dns fails)")
    rows = {r.id: r for r in coverage([failed, skipped])}
    assert (rows["R6"].state, rows["R5"].state) == ("failed", "unknown")
    assert "real" not in next(x for x in matrix_text(coverage([skipped])).splitlines() if x.startswith("R5"))


def test_what_could_not_run_is_counted_by_reason() -> None:
    """The reason without its explanation groups; text, JUnit and HTML name it."""
    results = [
        made("a", "skipped", backend="wine", reason="needs dns (step 1: dns fails)"),
        made("b", "skipped", backend="wine", reason="needs dns (step 2: dns fails (again))"),
        made("c", "skipped", backend="wine", reason="needs lock (step 1: x); wall clock (step 2: y)"),
        made("d", "passed", backend="wine", stand_ins=("stand-in: boot options (x)", "harness helper: eyes")),
    ]
    assert [(why, len(rs)) for why, rs in skipped(results)] == [("needs dns", 2), ("needs lock; wall clock", 1)]
    text = summary(results, (), elapsed_s=1.0)
    assert re.search(r"^ +2  needs dns$", text, re.MULTILINE)
    assert "  boot options (x)\n" in text
    assert "1 passed, 3 skipped" in text
    page = html(results)
    assert "needs lock; wall clock" in page
    assert "stand-in: boot options (x)" in page
    messages = [e.get("message") for e in ET.fromstring(junit(results)).iter("skipped")]
    assert messages[0] == "needs dns (step 1: dns fails)"


def test_what_was_left_behind_is_in_every_report() -> None:
    """A run that passed and could not take its machine away still passed; everybody sees what is left."""
    left = "the machine pc-1: saw: HostSlow; see to it: rrsim reap"
    results = [made("a", "passed", backend="wine", left_behind=(left,)), made("b", "passed", backend="wine")]
    text = summary(results, (), elapsed_s=1.0)
    assert f"LEFT BEHIND, which changes no outcome:\n  a, seed 1: {left}\n" in text
    assert "2 passed" in text
    assert [run["left_behind"] for run in run_report(results, (), exit_code=0)["runs"]] == [[left], []]
    assert f"<li><pre>a, seed 1: {left}</pre></li>" in html(results)
    properties = ET.fromstring(junit(results)).iter("property")
    assert [one.get("value") for one in properties if one.get("name") == "left_behind"] == [left]
    assert "LEFT BEHIND" not in summary(results[1:], (), elapsed_s=1.0)
    assert "could not be taken away" not in html(results[1:])


def test_grades_in_json_are_read_back() -> None:
    """`rrsim coverage --results` needs nothing but what `rrsim run --format json` wrote."""
    results = [
        made("a", "passed", backend="wine", covers=("R2",), stand_ins=("stand-in: boot options (x)",)),
        made("b", "failed", backend="wine", covers=("R6",)),
    ]
    report = msgspec.json.decode(msgspec.json.encode(run_report(results, (), exit_code=1)))
    assert coverage_of(read_proofs(report)) == coverage(results)
    with pytest.raises(ValueError, match="grades"):
        read_proofs({"runs": [{k: v for k, v in report["runs"][0].items() if k != "grades"}]})
    with pytest.raises(ValueError, match="rrsim run --format json"):
        read_proofs([])


def test_matrix_states() -> None:
    """A failure outweighs a pass; skipped everywhere is unknown, not green; one bad seed spoils a case."""
    rows = {
        r.id: r.state
        for r in coverage([
            made("a", "passed", covers=("R1", "R2")), made("b", "failed", covers=("R2",)),
            made("c", "skipped", covers=("R3",)), made("d", "passed", covers=("R4", "rule 3")),
            made("d", "unknown", covers=("R4",), seed=2),
        ])
    }
    assert [rows[f"R{n}"] for n in range(1, 6)] == ["passed", "failed", "unknown", "unknown", "none"]
    assert rows["rule 3"] == "passed"
    assert missing(coverage([made("a", "passed", covers=tuple(f"R{n}" for n in range(1, 14)))])) == ["R14"]


def test_bundle_keeps_the_run(expired: RunResult, tmp_path: Path) -> None:
    """What was saved is read back: the same scenario, seed, causes and history digest."""
    check = CheckResult(check="I9", outcome="failed", message="no verdict", cause="late")
    failed = msgspec.structs.replace(expired, outcome="failed", checks=(check,))
    saved = bundle.load(bundle.save(failed, str(tmp_path / "out")))
    assert saved.scenario == expired.scenario
    assert (saved.seed, saved.outcome, saved.causes) == (1, "failed", (("I9", "late"),))
    assert saved.digest == bundle.digest_of(expired.history) != ""


def test_bundle_names_are_safe() -> None:
    """A case may hold slashes and be very long; its folder may not."""
    result = made("x" * 300 + "/../../etc", "failed")
    name = bundle.folder_name(result)
    assert "/" not in name
    assert len(name) < 130


def test_no_secret_in_any_document(expired: RunResult, resumed: RunResult, tmp_path: Path) -> None:
    """Rule 5: the tickets and keys of a run are in no report and no bundle."""
    from rrsim.report.terminal import show

    assert resumed.history is not None
    secrets = {
        getattr(e, f) for _, _, e, _ in resumed.history.entries for f in ("ticket", "live_key", "fresh")
        if getattr(e, f, "")
    }
    assert len(secrets) >= 2
    failed = msgspec.structs.replace(resumed, outcome="failed", checks=(CheckResult(check="I1", outcome="failed"),))
    folder = Path(bundle.save(failed, str(tmp_path)))
    texts = [show(failed, everything=True), html([failed]), junit([failed]), *(p.read_text() for p in folder.iterdir())]
    assert [s for s in secrets for t in texts if s in t] == []


def test_reproduce_command_is_quoted() -> None:
    """It can be pasted into a shell, with everything that mattered."""
    s = Scenario(name="a", case="fault=it's, x", path="my scenarios/a.yaml")
    line = command(s, 3, backend="wine", profile="rescue", options=("--time-scale", "10"))
    import shlex

    assert shlex.split(line) == [
        "rrsim", "run", "my scenarios/a.yaml", "-k", "a[fault=it's, x]", "--seed", "3", "--backend", "wine",
        "--profile", "rescue", "--time-scale", "10",
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_history_free_results_draw_nothing(count: int, by_hand: Callable[..., History]) -> None:
    """A result whose history was let go is a line in the page."""
    assert html([made("a", "passed")] * count).count("<svg") == 0
