"""Cases: products, rows and overrides, and what is refused about them."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.scenario.actions import PowerCut
from rrsim.scenario.errors import TroubleFound
from rrsim.scenario.loader import ScenarioError, load_file, load_text
from rrsim.scenario.matrix import MAX_CASES, expand
from rrsim.scenario.words import Duration
from tests.scenario.texts import FILES


def cases(**data: Any) -> dict[str, dict[str, Any]]:
    return {case.name: case.data for case in expand(data)}


def refused(**data: Any) -> str:
    with pytest.raises(TroubleFound) as caught:
        expand(data)
    trouble = caught.value.troubles[0]
    return f"{trouble.at}: {trouble.message}; {trouble.hint}"


def test_a_file_without_matrix_is_one_case_without_a_name() -> None:
    assert cases(a=1) == {"": {"a": 1}}


def test_a_product_has_every_combination_in_order() -> None:
    made = cases(a="${x}", b="${y}", matrix={"x": [1, 2], "y": ["m", "n"]})
    assert list(made) == ["x=1, y=m", "x=1, y=n", "x=2, y=m", "x=2, y=n"]
    assert made["x=2, y=n"] == {"a": 2, "b": "n"}


def test_exceptions_leave_combinations_out() -> None:
    matrix = {"x": [1, 2], "y": [{"case": "far", "v": 3}, {"v": 4}], "except": [{"x": 1, "y": "far"}]}
    assert list(cases(a="${x}", b="${y}", matrix=matrix)) == ["x=1, y=v 4", "x=2, y=far", "x=2, y=v 4"]


def test_rows_are_taken_as_listed() -> None:
    rows = [{"back": "9m", "ok": True}, {"case": "late", "back": "10m", "ok": False}]
    made = cases(a="after ${back}", b=["${ok}"], matrix=rows)
    assert made == {"back=9m, ok=true": {"a": "after 9m", "b": [True]}, "late": {"a": "after 10m", "b": [False]}}


def test_a_value_alone_keeps_its_type_and_may_be_a_mapping() -> None:
    made = cases(a="${x}", t="${ x } and ${y}", matrix=[{"x": 5, "y": True}])
    assert made["x=5, y=true"] == {"a": 5, "t": "5 and true"}
    made = cases(a={"k": "${x}"}, matrix={"x": [{"case": "one", "p": 1, "q": False}]})
    assert made == {"x=one": {"a": {"k": {"p": 1, "q": False}}}}


def test_parameters_work_in_keys() -> None:
    assert cases(a={"${x} time": 1}, matrix={"x": ["slow"]}) == {"x=slow": {"a": {"slow time": 1}}}


def test_what_a_case_does_not_change_is_shared() -> None:
    first, second = cases(a={"deep": [1]}, b="${x}", matrix={"x": [1, 2]}).values()
    assert first["a"] is second["a"]


def test_a_phrase_with_its_keys_comes_from_the_matrix() -> None:
    loaded = {s.case: s for s in load_file(FILES / "faults_in_phases.yaml")}
    assert len(loaded) == 8
    cut = loaded["fault=power is cut returns after 30s, phase=loading"].steps[1]
    assert cut.action == PowerCut(returns_after_us=Duration(30_000_000))
    assert (cut.moment.when, cut.moment.where, cut.moment.delay_us) == ("phase began", {"phase": "loading"}, 500_000)
    assert "fault=short server outage, phase=welcome" in loaded


def test_overrides_change_single_values_and_leave_the_rest() -> None:
    lan, wifi, dial = load_file(FILES / "networks.yaml")
    assert (lan.given.pc.network, wifi.given.pc.network, dial.given.pc.network) == ("lan", "wifi", "dial-up")
    assert wifi.given.pc.wifi_returns_after_us == 20_000_000
    assert dial.given.customer.dials_after_us == 120_000_000
    assert wifi.steps is not dial.steps
    assert (wifi.steps[1].moment.delay_us, dial.steps[1].moment.delay_us) == (90_000_000, 5_000_000)
    assert dial.given.durations == wifi.given.durations == {"pc firmware": 12_000_000}
    assert cases(steps=[{"a": 1}, {"b": 1}], cases=[{"case": "x", "set": {"steps.2.b": 2}}]) == {
        "x": {"steps": [{"a": 1}, {"b": 2}]}
    }


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"a": "${x}"}, "expected a parameter of the matrix, saw ${x}; add a 'matrix:'"),
        ({"a": "${bakc}", "matrix": {"back": [1]}}, "saw ${bakc}; ${back}"),
        ({"a": "${x", "matrix": {"x": [1]}}, "close the brace"),
        ({"a": 1, "matrix": {"x": [1]}}, "expected every parameter to be used, saw no ${x}"),
        ({"a": "${x}", "matrix": [{"x": 1, "y": 2}]}, "saw no ${y}"),
        ({"a": "${x}", "matrix": {"x": []}}, "expected a list of values, saw an empty list"),
        ({"a": "${x}", "matrix": {"x": 5}}, "expected a list of values, saw 5"),
        ({"a": "${x}", "matrix": {}}, "expected at least one parameter"),
        ({"a": "${x}", "matrix": []}, "expected at least one row"),
        ({"a": "${x}", "matrix": "x"}, "expected parameters with lists"),
        ({"a": "${x}", "matrix": [5]}, "expected a row of parameters"),
        ({"a": "${x}", "matrix": [{"case": "x"}]}, "expected rows with parameters, saw none"),
        ({"a": "${x}${y}", "matrix": [{"x": 1, "y": 1}, {"x": 2}]}, "saw no 'y'; add 'y: …'"),
        ({"a": "${x}", "matrix": {"x": [1, 1]}}, "saw 'x=1' twice"),
        ({"a": "${x}", "matrix": {"x": [[1]]}}, "saw a list"),
        ({"a": "${x}", "matrix": {"x": ["${y}"], "y": [1]}}, "saw another parameter"),
        ({"a": "${x} s", "matrix": {"x": [{"k": 1}]}}, "let ${x} stand alone"),
        ({"a": "${x}", "matrix": {"x": [1, 2], "except": [{"x": 3}]}}, "expected a combination that occurs, saw x=3"),
        ({"a": "${x}", "matrix": {"x": [1, 2], "except": [{"y": 3}]}}, "expected a parameter of this matrix"),
        ({"a": "${x}", "matrix": {"x": [1], "except": [{"x": 1}]}}, "expected at least one case to remain"),
        ({"a": "${x}", "matrix": {"x": [1], "except": []}}, "expected a list of combinations"),
        ({"a": "${x}", "matrix": {"x": [1], "except": [5]}}, "expected a combination, saw 5"),
        (
            {"a": "${x}${y}", "matrix": {"x": list(range(50)), "y": list(range(50))}},
            f"at most {MAX_CASES} cases, saw 2500",
        ),
        ({"a": "${x}", "matrix": [{"x": n} for n in range(MAX_CASES + 1)]}, f"at most {MAX_CASES} cases, saw 2001"),
        ({"a": 1, "matrix": {"x": [1]}, "cases": []}, "saw both"),
        ({"a": 1, "cases": []}, "expected a list of cases"),
        ({"a": 1, "cases": [{"set": {"a": 2}}]}, "expected 'case: name'"),
        ({"a": 1, "cases": [{"case": "x", "a": 2}]}, "expected 'case' or 'set', saw 'a'"),
        ({"a": 1, "cases": [{"case": "x", "set": 5}]}, "expected places and values, saw 5"),
        ({"a": 1, "cases": [{"case": "x"}, {"case": "x"}]}, "saw 'x' twice"),
        ({"a": 1, "cases": [{"case": "x", "set": {"a.b": 2}}]}, "expected a mapping at 'a', saw 1"),
        (
            {"steps": [{"called": "one"}], "cases": [{"case": "x", "set": {"steps.2.at": "1s"}}]},
            "expected an entry of 'steps', saw '2'; a number from 1 to 1, or one of: one",
        ),
    ],
)
def test_bad_matrices_are_named(data: dict[str, Any], said: str) -> None:
    assert said in refused(**data)


HEAD = """\
rrsim: 1
name: x
steps:
  - do: rep restarts
  - {do: power is cut, returns after: $, delay: 1s}
expect: {verdict: resumed}
"""


def test_a_wrong_value_in_a_case_is_told_once_with_its_line_and_case() -> None:
    text = HEAD.replace("$", "'${back}'") + "matrix:\n  back: [9m, 10, 11]\n"
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "f.yaml")
    said = [str(p) for p in caught.value.problems]
    assert len(said) == 2
    for line, number in zip(said, (10, 11), strict=True):
        assert line.startswith(f"f.yaml:5: steps.2.returns after [back={number}]: expected a duration such as 9m")
        assert line.endswith(f"saw {number}, which has no unit; try: write {number}s or {number}m")
    with pytest.raises(ScenarioError, match=r"inside \{ \} and"):
        load_text(HEAD.replace("$", "${back}") + "matrix:\n  back: [9m]\n")
    text = HEAD.replace("$", "9m") + "cases:\n  - case: good\n  - case: bad\n    set: {given.pc.network: wlan}\n"
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml:9: given.pc.network [bad]: expected one of")


def test_a_parameter_cannot_repeat_a_key_of_its_step() -> None:
    text = "rrsim: 1\nname: x\nsteps:\n  - {do: '${fault}', delay: 1s}\nexpect: {verdict: lost}\n"
    text += "matrix: {fault: [{do: power is cut, delay: 2s}]}\n"
    with pytest.raises(ScenarioError, match=r"steps\.1\.delay \[.*\]: expected 'delay' once"):
        load_text(text)
