"""What the customer reads: complete in every language, and never without words."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from rrsim.agent.windows.texts import FALLBACK, REASONS, Texts, parse, word

ROOT = Path(__file__).parents[3] / "rrsim"
FOLDER = ROOT / "agent" / "windows" / "texts"
FILES = sorted(FOLDER.glob("*.txt"))


def read(path: Path) -> dict[str, str]:
    return parse(path.read_text(encoding="utf-8"), path.name)


def literals(node: ast.AST) -> set[str]:
    """The words in an expression, those that it only compares with left out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        return {node.value}
    children = [] if isinstance(node, ast.Compare) else ast.iter_child_nodes(node)
    return {text for child in children for text in literals(child)}


def said_in(folder: str, calls: dict[str, int]) -> set[str]:
    """The literal words handed to these calls, at the given place of their arguments."""
    found = set()
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            places = [node.args[calls[name]]] if name in calls and len(node.args) > calls[name] else []
            places += [k.value for k in node.keywords if folder == "agent" and k.arg == "tell"]
            found |= {text for place in places for text in literals(place)}
    return found


def test_there_are_languages():
    assert {path.stem for path in FILES} >= {"en", "de"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_language_has_every_text_and_no_other(path):
    assert set(read(path)) == set(read(FOLDER / f"{FALLBACK}.txt"))
    assert all(read(path).values())


def test_german_is_not_english():
    english, german = read(FOLDER / "en.txt"), read(FOLDER / "de.txt")
    assert {key for key in english if english[key] == german[key]} == {"ok"}


def test_every_word_of_the_agent_has_a_text():
    told = said_in("agent", {"Tell": 0})
    assert {"expired", "lost", "cancelled", "line not sent", "already in a session"} <= told
    texts = read(FOLDER / "en.txt")
    assert {what for what in told if word(what, texts) == "tell.other"} == set()


def test_every_reason_of_the_server_has_a_text():
    said = said_in("server", {"TurnedAway": 0, "finish": 1, "SessionOver": 0, "reject": 3})
    assert {"session expired", "session ended", "unknown session"} <= said
    texts = read(FOLDER / "en.txt")
    assert {what for what in said if word(what, texts) == "tell.other"} == set()


def test_every_reason_leads_to_a_text():
    texts = read(FOLDER / "en.txt")
    assert {key for key in REASONS.values() if f"tell.{key}" not in texts} == set()


def test_a_reason_nobody_foresaw_has_words_too():
    assert "over" in Texts("en", pytest.fail).tell("the moon is in the wrong phase")


def test_what_follows_a_colon_does_not_matter():
    texts = Texts("en", pytest.fail)
    assert texts.tell("no common protocol version: this side speaks 1") == texts.tell("version")


def test_each_question_and_button_has_one_access_key():
    for path in FILES:
        texts = read(path)
        for group in (("yes", "no"), ("chat.send", "chat.end")):
            keys = [match[1].lower() for key in group for match in re.finditer(r"&(\w)", texts[key])]
            assert len(keys) == len(set(keys)) == len(group), (path.stem, group)


@pytest.mark.parametrize(("language", "found"), [
    ("de", "de"), ("de-AT", "de"), ("de_CH", "de"), ("DE", "de"), ("en-GB", "en"), ("en", "en"),
])
def test_the_nearest_language_is_taken(language, found):
    assert Texts(language, pytest.fail).language == found


@pytest.mark.parametrize("language", ["fr", "", "../../secret", "de/..", "x" * 500, "d"])
def test_without_a_file_it_is_english_and_the_log_says_so(language):
    said = []
    texts = Texts(language, said.append)
    assert texts.language == "en"
    assert texts["ok"] == "OK"
    assert len(said) == 1
    assert len(said[0]) < 200


def test_a_file_adds_a_language_and_what_it_lacks_is_english(tmp_path):
    (tmp_path / "nl.txt").write_text("# Nederlands\n\nyes = &Ja\nchat.title = één\\ntwee\n", encoding="utf-8")
    texts = Texts("nl", pytest.fail, tmp_path)
    assert (texts.language, texts["yes"], texts["chat.title"]) == ("nl", "&Ja", "één\ntwee")
    assert texts["no"] == "&No"


def test_a_broken_file_is_named_and_english_is_shown(tmp_path):
    (tmp_path / "nl.txt").write_text("yes\n", encoding="utf-8")
    said = []
    assert Texts("nl", said.append, tmp_path)["yes"] == "&Yes"
    assert "nl.txt, line 1" in said[0]


@pytest.mark.parametrize(("text", "saw"), [("yes", "'yes'"), (" = x", "'= x'"), ("a = 1\na = 2", "second time")])
def test_a_line_that_is_wrong_is_refused(text, saw):
    with pytest.raises(ValueError, match="line") as caught:
        parse(text, "xx.txt")
    assert saw in str(caught.value)
