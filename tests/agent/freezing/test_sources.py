"""Which modules are frozen, and that a change of any of them is a new program."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.agent.freezing import sources
from rrsim.agent.freezing.errors import BuildError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small rrsim: an agent of two modules, the builder, and a module that only the builder needs."""
    for name, text in {
        "__init__.py": "", "words.py": "", "clock.py": "", "tools.py": "",
        "agent/__init__.py": "", "agent/__main__.py": "def main():\n    from rrsim import words\n",
        "agent/adapter.py": "from rrsim.agent.build import tools\n",
        "agent/build.py": "import rrsim.tools\n", "agent/freezing/__init__.py": "import rrsim.tools\n",
        "agent/windows/__init__.py": "from rrsim.clock import now\n", "agent/windows/texts/en.txt": "hello",
    }.items():
        path = tmp_path / "rrsim" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_agent_is_its_program_what_is_for_windows_and_what_they_import(root: Path) -> None:
    assert sources.agent_modules(root) == {
        "rrsim", "rrsim.words", "rrsim.clock", "rrsim.agent", "rrsim.agent.__main__", "rrsim.agent.windows",
    }


def test_an_import_of_a_module_that_is_not_there_is_named(root: Path) -> None:
    (root / "rrsim" / "words.py").write_text("from rrsim.nowhere import thing\n")
    with pytest.raises(BuildError) as caught:
        sources.agent_modules(root)
    assert caught.value.expected == "a module rrsim.nowhere, which rrsim.words imports"


def test_an_agent_that_imports_its_builder_is_not_frozen(root: Path) -> None:
    (root / "rrsim" / "words.py").write_text("def build():\n    import rrsim.agent.build\n")
    with pytest.raises(BuildError) as caught:
        sources.agent_modules(root)
    assert caught.value.saw == "rrsim.agent.build"


@pytest.mark.parametrize("name", [
    "agent/adapter.py", "agent/mac.py", "agent/freezing/steps.py", "machine/__init__.py", "machine/adapters.py",
    "scenario/model.py", "backends/live/pc.py", "server/core.py",
])
def test_an_agent_that_imports_the_harness_is_not_frozen(name: str, root: Path) -> None:
    for path in (root / "rrsim" / name, (root / "rrsim" / name).with_name("__init__.py")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    module = "rrsim." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    (root / "rrsim" / "clock.py").write_text(f"def now():\n    import {module}\n")
    with pytest.raises(BuildError) as caught:
        sources.agent_modules(root)
    assert module in caught.value.saw


def test_our_own_agent_consists_of_itself_the_protocol_and_the_clock() -> None:
    modules = sources.agent_modules()
    assert {"rrsim.agent.core", "rrsim.agent.runtime", "rrsim.agent.windows.service"} <= modules
    assert {".".join(name.split(".")[:2]) for name in modules} == {
        "rrsim", "rrsim.agent", "rrsim.protocol", "rrsim.live_clock",
    }
    assert not modules & {"rrsim.agent.adapter", "rrsim.agent.build", "rrsim.agent.mac", "rrsim.agent.freezing"}


def test_a_program_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(BuildError, match=r"rrsim\.broken\.rragent_broken"):
        sources.closure([sources.BROKEN_ENTRY], root)


def test_the_snapshot_holds_modules_and_texts(root: Path, tmp_path: Path) -> None:
    files = sources.snapshot(sources.agent_modules(root), root)
    assert files["rrsim/agent/windows/texts/en.txt"] == b"hello"
    assert "rrsim/agent/build.py" not in files
    sources.write_snapshot(files, tmp_path / "copy")
    assert (tmp_path / "copy" / "rrsim" / "agent" / "windows" / "__init__.py").is_file()


@pytest.mark.parametrize(("name", "counts"), [
    ("words.py", True), ("agent/windows/texts/en.txt", True),
    ("agent/build.py", False), ("agent/adapter.py", False), ("tools.py", False),
])
def test_the_digest_follows_what_is_frozen(name: str, counts: bool, root: Path) -> None:
    def digest() -> str:
        return sources.snapshot_digest(sources.snapshot(sources.agent_modules(root), root))

    before = digest()
    (root / "rrsim" / name).write_text("# changed\n")
    assert (digest() != before) is counts
