"""Every rule of the house is shown a small bad tree and must object, and a small good one and must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import rules

Rule = Callable[[Path], list[str]]


def plant(root: Path, tree: dict[str, str]) -> Path:
    """Write a tree of files."""
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


# Put together here, so that the rules do not find them in this file.
LATER = "TO" + "DO"
WAIVE = "no" + "qa"
IGNORE = "type" + ": ignore"
BODY = "    x = 1\n"

BAD: list[tuple[Rule, dict[str, str], str]] = [
    (rules.modules_are_short, {"rrsim/a.py": "x = 1\n" * 501}, "rrsim/a.py:501"),
    (rules.functions_are_short, {"rrsim/a.py": "def f():\n" + BODY * 70}, "f has 71 lines"),
    (rules.functions_are_short, {"tests/a.py": "class C:\n  async def g(self):\n" + BODY * 70}, "g has 71 lines"),
    (rules.public_things_have_docstrings, {"rrsim/a.py": "x = 1\n"}, "the module has no docstring"),
    (rules.public_things_have_docstrings, {"rrsim/a.py": '"""M."""\nclass C:\n    pass\n'}, "C has no docstring"),
    (rules.public_things_have_docstrings, {"rrsim/a.py": '"""M."""\ndef f():\n    pass\n'}, "f has no docstring"),
    (
        rules.public_things_have_docstrings,
        {"rrsim/a.py": '"""M."""\nclass C:\n    """C."""\n    def m(self):\n        pass\n'},
        "C.m has no docstring",
    ),
    (rules.waivers_have_reasons, {"rrsim/a.py": f"x = 1  # {WAIVE}: E501\n"}, "rrsim/a.py:1"),
    (rules.waivers_have_reasons, {"rrsim/a.py": f"x = 1  # {WAIVE}\n"}, "rrsim/a.py:1"),
    (rules.waivers_have_reasons, {"rrsim/a.py": f"x = 1  # {IGNORE}[assignment]\n"}, "rrsim/a.py:1"),
    (rules.files_are_small_text, {"docs/a.md": "x" * 200_001}, "200001 bytes"),
    (rules.files_are_small_text, {"docs/a.bin": "a\0b"}, "NUL byte"),
    (rules.nothing_is_left_for_later, {"docs/a.md": f"one\n{LATER} later\n"}, "docs/a.md:2"),
    (rules.stand_ins_say_so, {"rrsim/fake_disk.py": '"""A disk."""\n'}, "rrsim/fake_disk.py"),
    (
        rules.commands_in_the_readme_exist,
        {"README.md": "Say `make tea`.\n", "CONTRIBUTING.md": "", "Makefile": "run:\n\ttrue\n"},
        "make tea",
    ),
    (
        rules.commands_in_the_readme_exist,
        {"README.md": "", "CONTRIBUTING.md": "    make tea\n", "Makefile": "run:\n\ttrue\n"},
        "CONTRIBUTING.md:1",
    ),
    (rules.links_in_documents_lead_somewhere, {"docs/a.md": "[b](b.md)\n"}, "links to b.md"),
    (
        rules.documents_are_in_the_index,
        {"docs/README.md": "[a](a.md)\n", "docs/a.md": "", "docs/b.md": ""},
        "docs/b.md:1",
    ),
    (
        rules.changelog_knows_the_version,
        {"rrsim/__init__.py": '__version__ = "9.9.9"\n', "CHANGELOG.md": "## 9.9.8\n"},
        "## 9.9.9",
    ),
    (rules.changelog_knows_the_version, {"rrsim/__init__.py": "", "CHANGELOG.md": "## 9.9.8\n"}, "no __version__"),
    (rules.pure_rooms_import_nothing_impure, {"rrsim/agent/core.py": "import time\n"}, "imports time"),
    (
        rules.pure_rooms_import_nothing_impure,
        {"rrsim/protocol/a.py": "def f():\n    from os import environ\n"},
        "rrsim/protocol/a.py:2",
    ),
    (
        rules.rooms_are_entered_by_their_doors,
        {"rrsim/backends/sim/world.py": "from rrsim.agent.windows import registry\n"},
        "enters agent by rrsim.agent.windows",
    ),
    (
        rules.rooms_are_entered_by_their_doors,
        {"rrsim/cli/main.py": "def f():\n    import rrsim.scenario._secret\n"},
        "rrsim/cli/main.py:2",
    ),
    (rules.rooms_are_as_designed, {"rrsim/attic/__init__.py": ""}, "rrsim/attic"),
    (rules.rooms_are_as_designed, {"rrsim/agent/core.py": ""}, "a room without __init__.py"),
    (rules.rooms_are_as_designed, {"rrsim/__init__.py": ""}, "rrsim/agent:0: this room"),
    (rules.tests_mirror_rooms, {"rrsim/agent/core.py": "", "tests/agent/helper.py": ""}, "tests/agent"),
]


@pytest.mark.parametrize(("rule", "tree", "names"), BAD, ids=[f"{r.__name__}-{n}" for n, (r, _, _) in enumerate(BAD)])
def test_a_bad_tree_is_seen(tmp_path: Path, rule: Rule, tree: dict[str, str], names: str) -> None:
    """The rule finds exactly the planted defect and says where."""
    found = rule(plant(tmp_path, tree))
    assert any(names in line for line in found), found


def test_every_rule_has_a_bad_tree() -> None:
    """No rule is without its proof."""
    assert {rule for rule, _, _ in BAD} == set(rules.RULES)


def good_tree() -> dict[str, str]:
    """A small repository that keeps every rule."""
    rooms = {f"rrsim/{room}/__init__.py": '"""A room."""\n' for room in rules.ROOMS}
    return rooms | {
        "rrsim/__init__.py": '"""R."""\n__version__ = "1.0.0"\n',
        "rrsim/agent/core.py": f'"""C."""\ndef f():\n    """F."""\n    return 1  # {WAIVE}: E501 -- a good reason\n',
        "rrsim/scenario/loader.py": '"""L."""\nfrom pathlib import Path\n',
        "rrsim/cli/fake_screen.py": '"""Stands in for a screen."""\nimport time\n',
        "tests/agent/test_core.py": "",
        "tests/cli/test_main.py": "",
        "tests/scenario/test_loader.py": "",
        "README.md": "`make run` and [more](docs/a.md)\n",
        "CONTRIBUTING.md": "",
        "docs/README.md": "[a](a.md)\n",
        "docs/a.md": "[web](https://example.org) [here](#x)\n",
        "CHANGELOG.md": "## 1.0.0\n",
        "Makefile": "run:\n\ttrue\n",
        ".git/huge": "x" * 300_000,
    }


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_good_tree_is_left_alone(tmp_path: Path, rule: Rule) -> None:
    """The rule does not object to a tree that keeps it."""
    assert rule(plant(tmp_path, good_tree())) == []
