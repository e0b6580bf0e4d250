"""The JSON Schema accepts what loading accepts, refuses the usual mistakes, and the guide's tables are current."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rrsim.scenario.actions import AnyAction
from rrsim.scenario.describe import TABLES, MissingMarker, refresh
from rrsim.scenario.durations import PATTERN
from rrsim.scenario.ids import EDGE_CASES, KNOWN_REQUIREMENTS
from rrsim.scenario.loader import load_text
from rrsim.scenario.model import Moment
from rrsim.scenario.schema import COVERS_PATTERN, EDGE_CASE_PATTERN, json_schema
from rrsim.scenario.vocabulary import EVENT_TYPES
from rrsim.scenario.words import yaml_key
from rrsim.scenario.yaml_nodes import parse_document, read_document
from tests.scenario.texts import FILES, GOOD

ROOT = FILES.parents[2]
GUIDE = ROOT / "docs" / "scenarios.md"


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_files_that_load_are_valid(validator: Any) -> None:
    files = sorted([*FILES.glob("*.yaml"), *(ROOT / "scenarios").glob("**/*.yaml")])
    assert len(files) >= 3
    wrong = {f.name: [e.message[:200] for e in validator.iter_errors(read_document(str(f)).data)] for f in files}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rrsim: 1", "rrsim: 2"),
        ("rrsim: 1\n", ""),
        ("name: a case", "nam: a case"),
        ("name: a case", "name: a [case]"),
        ("do: rep restarts", "do: rep restart"),
        ("do: rep restarts", "from: tools menu"),
        ("do: rep restarts", "do: rep restarts\n    frm: tools menu"),
        ("do: rep restarts", "do: rep restarts\n    delay: 5"),
        ("do: rep restarts", "do: rep restarts\n    when: boot bgan"),
        ("do: rep restarts", "do: power is cut\n    returns after: 5 min"),
        ("do: rep restarts", "do: a security tool blocks"),
        ("verdict: resumed", "verdict: resume"),
        ("expect: {verdict: resumed}", "given: {}"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\ncovers: [R15]"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\nedge cases: [R1]"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\ngiven: {customers: two}"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\ngiven: {pc: {network: wlan}}"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\nmatrix: {}"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\nmatrix: {x: []}"),
        ("expect: {verdict: resumed}", "expect: {verdict: resumed}\ncases: [{set: {}}]"),
    ],
)
def test_usual_mistakes_are_not_valid(validator: Any, old: str, new: str) -> None:
    assert validator.is_valid(parse_document("f", GOOD).data)
    text = GOOD.replace(old, new)
    assert text != GOOD
    assert not validator.is_valid(parse_document("f", text).data)


def test_the_schema_knows_every_phrase_event_and_id() -> None:
    schema = json_schema()
    phrases = {
        d["properties"]["do"]["const"]
        for d in schema["$defs"].values()
        if "do" in d.get("properties", {}) and "const" in d["properties"]["do"]
    }
    assert len(phrases) == len(AnyAction.__args__)
    assert set(schema["$defs"]["event"]["enum"]) == set(EVENT_TYPES)
    import re

    assert all(re.match(COVERS_PATTERN, one) for one in KNOWN_REQUIREMENTS)
    assert all(re.match(EDGE_CASE_PATTERN, one) for one in EDGE_CASES)
    assert not re.match(COVERS_PATTERN, "R15")
    assert schema["$defs"]["duration"]["pattern"] == PATTERN


def test_no_key_of_an_action_is_a_key_of_a_moment() -> None:
    moment = {yaml_key(f) for f in Moment.__struct_fields__} | {"do"}
    for action in AnyAction.__args__:
        assert not moment & {yaml_key(f) for f in action.__struct_fields__}, action


def test_the_ids_are_those_of_the_specification() -> None:
    assert len(KNOWN_REQUIREMENTS) == len(set(KNOWN_REQUIREMENTS)) == 14 + 5 + 13 + 14
    assert len(EDGE_CASES) == len(set(EDGE_CASES)) == 126
    assert list(EDGE_CASES[:2]) == ["IN-01", "IN-02"]


# --- the guide --------------------------------------------------------------------------------------------------


def test_the_tables_of_the_guide_are_current() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert refresh(text) == text, "write them anew: python -m rrsim.scenario.describe docs/scenarios.md"
    assert "<!-- draws -->" in text


def test_examples_of_the_guide_load() -> None:
    parts = GUIDE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    whole = [part.split("```")[0] for part in parts if part.startswith("rrsim: 1\n")]
    assert len(whole) >= 4
    for text in whole:
        assert load_text(text, "guide.yaml")


def test_errors_of_the_guide_are_what_loading_says() -> None:
    text = GUIDE.read_text(encoding="utf-8").split("## Common mistakes")[1]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `") and " | " in line]
    assert len(rows) >= 10
    from rrsim.scenario.loader import ScenarioError

    for wrong, said, *_ in rows:
        snippet = wrong.removeprefix("| `").removesuffix("`").replace("⏎", "\n")
        file = snippet if snippet.startswith("rrsim") else _around(snippet)
        with pytest.raises(ScenarioError) as caught:
            load_text(file, "my.yaml")
        assert said.strip().removesuffix(" |").strip("`") in str(caught.value)


def _around(snippet: str) -> str:
    """Make a file of a line: a step if it begins with a dash, else a part of the top level."""
    file = "rrsim: 1\nname: mine\n"
    file += f"steps:\n  {snippet}\n" if snippet.startswith("- ") else f"{snippet}\n"
    if "steps:" not in file:
        file += "steps: [do: rep restarts]\n"
    return file if "expect:" in file else file + "expect: {verdict: resumed}\n"


def test_a_missing_or_unknown_table_is_named() -> None:
    places = "".join(f"<!-- table {name} --><!-- end -->\n" for name in TABLES)
    assert "| key | takes |" in refresh(places)
    with pytest.raises(MissingMarker, match="saw none for actions"):
        refresh(places.replace("table actions", "other actions"))
    with pytest.raises(MissingMarker, match="saw 'nothing'"):
        refresh(places + "<!-- table nothing --><!-- end -->")


def test_the_schema_is_small_enough_for_an_editor(tmp_path: Path) -> None:
    import json

    assert len(json.dumps(json_schema())) < 150_000
