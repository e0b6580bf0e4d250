"""The rules of the house: each takes the root of a tree and returns what breaks it, as ``path:line: message``.

A rule is a function of a path, so that ``test_rules_can_fail.py`` can show each one a small bad tree: a rule that
cannot fail is worth nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_FILE_BYTES = 200_000
MIN_REASON_CHARACTERS = 6

NOT_OURS = {
    ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis",
    "__pycache__", "build", "dist", "out",
}
"""Folders that tools make and git ignores."""

ROOMS = (
    "agent", "backends", "broken", "cli", "doctor", "explore", "images", "machine", "nightly", "people", "protocol",
    "report", "scenario", "server",
)
"""The folders of ``rrsim/``: the rooms of docs/design.md."""

IMPURE = frozenset({
    "asyncio", "concurrent", "datetime", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
})
"""Modules that know the time, the machine, or chance."""

PURE = (
    "protocol", "machine", "people", "agent/core", "agent/host", "agent/_", "server/core", "server/desk",
    "server/transcript", "server/vocabulary", "server/_", "scenario", "backends/sim",
)
"""Rooms, or modules, that may import none of :data:`IMPURE`."""

SHELLS = frozenset({
    "scenario/describe.py", "scenario/known_issues.py", "scenario/loader.py", "scenario/yaml_nodes.py",
})
"""Modules inside pure rooms that read or write files: the thin shells."""

DOORS = {
    "agent": {"adapter", "build", "core", "freezing", "host"},
    "server": {"adapter", "core", "desk", "live", "transcript", "vocabulary"},
}
"""What the rest of rrsim may import of these rooms; their other modules are their own affair."""

FORBIDDEN_MARKS = ("TO" + "DO", "FIX" + "ME", "X" + "XX")
TEXT_SUFFIXES = {
    "", ".cfg", ".css", ".editorconfig", ".gitattributes", ".gitignore", ".html", ".in", ".ini", ".j2", ".js", ".json",
    ".md", ".py", ".pyi", ".sh", ".svg", ".toml", ".txt", ".typed", ".yaml", ".yml",
}


def files(root: Path) -> Iterator[Path]:
    """Every file of the tree that is ours, in a stable order."""
    for path in sorted(root.iterdir()):
        if path.name in NOT_OURS or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.is_file():
            yield path


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """Every Python file under the named folders of the tree; under the whole tree if none is named."""
    tops = [root / folder for folder in folders] or [root]
    for top in tops:
        if top.is_dir():
            yield from (path for path in files(top) if path.suffix == ".py")


def _at(root: Path, path: Path, line: int, message: str) -> str:
    return f"{path.relative_to(root).as_posix()}:{line}: {message}"


def modules_are_short(root: Path) -> list[str]:
    """No module grows past :data:`MAX_MODULE_LINES`."""
    found = []
    for path in python_files(root):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > MAX_MODULE_LINES:
            found.append(_at(root, path, count, f"{count} lines, at most {MAX_MODULE_LINES}: split it by concern"))
    return found


def functions_are_short(root: Path) -> list[str]:
    """No function is longer than :data:`MAX_FUNCTION_LINES`, its docstring included."""
    found = []
    for path in python_files(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > MAX_FUNCTION_LINES:
                    found.append(_at(root, path, node.lineno, f"{node.name} has {count} lines, at most "
                                                              f"{MAX_FUNCTION_LINES}: name its parts"))
    return found


def public_things_have_docstrings(root: Path) -> list[str]:
    """Every public module, class, function and method of ``rrsim`` says what it is."""
    found = []
    for path in python_files(root, "rrsim"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            found.append(_at(root, path, 1, "the module has no docstring"))
        found += [_at(root, path, line, f"{name} has no docstring") for name, line in _undocumented(tree)]
    return found


def _undocumented(parent: ast.Module | ast.ClassDef) -> Iterator[tuple[str, int]]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.name, node.lineno
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{name}", line) for name, line in _undocumented(node))


_WAIVER = re.compile(
    r"#\s*(?:noqa\b(?::\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?|type:\s*ignore(?:\[[\w\-, ]+\])?)(.*)$"
)


def waivers_have_reasons(root: Path) -> list[str]:
    """A lint or type rule that is waived on a line says why on that line."""
    found = []
    for path in python_files(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            waiver = _WAIVER.search(line)
            if waiver and len(re.sub(r"[^A-Za-z]", "", waiver[1])) < MIN_REASON_CHARACTERS:
                found.append(_at(root, path, number, "a waived rule without a reason; write `... -- why`"))
    return found


def files_are_small_text(root: Path) -> list[str]:
    """No file is larger than :data:`MAX_FILE_BYTES`, and none is binary."""
    found = []
    for path in files(root):
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            found.append(_at(root, path, 0, f"{size} bytes, at most {MAX_FILE_BYTES}"))
            continue
        data = path.read_bytes()
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            found.append(_at(root, path, 0, "not UTF-8 text: binaries are built, not kept"))
            continue
        if b"\0" in data:
            found.append(_at(root, path, 0, "holds a NUL byte: binaries are built, not kept"))
    return found


def nothing_is_left_for_later(root: Path) -> list[str]:
    """No mark that says a thing is still to be done: that belongs in an issue."""
    marks = re.compile(r"\b(?:" + "|".join(FORBIDDEN_MARKS) + r")\b")
    found = []
    for path in files(root):
        if path.suffix not in TEXT_SUFFIXES:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            mark = marks.search(line)
            if mark:
                found.append(_at(root, path, number, f"says {mark[0]}: finish it, or open an issue"))
    return found


def stand_ins_say_so(root: Path) -> list[str]:
    """A module named as a stand-in, fake or stub says in its first docstring what it stands in for."""
    found = []
    for path in python_files(root, "rrsim"):
        if re.search(r"stand_?in|fake|stub|dummy", path.stem):
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            if not re.search(r"stands? in for|stand-in for", doc, re.IGNORECASE):
                found.append(_at(root, path, 1, "a stand-in must say what it stands in for"))
    return found


def commands_in_the_readme_exist(root: Path) -> list[str]:
    """Every ``make`` target that README.md and CONTRIBUTING.md name is in the Makefile."""
    targets = set(re.findall(r"^([a-z][\w-]*):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    found = []
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (root / name).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            named = re.findall(r"(?:^\s*|`)make ([a-z][\w-]*)", line)
            found += [_at(root, root / name, number, f"names `make {target}`, which the Makefile lacks")
                      for target in named if target not in targets]
    return found


def links_in_documents_lead_somewhere(root: Path) -> list[str]:
    """Every relative link in a Markdown file names a file that exists."""
    found = []
    for path in files(root):
        if path.suffix != ".md":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            targets = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", line)
            found += [_at(root, path, number, f"links to {target}, which does not exist")
                      for target in targets if not (path.parent / target).exists()]
    return found


def documents_are_in_the_index(root: Path) -> list[str]:
    """Every page under ``docs/`` is listed in docs/README.md."""
    index = root / "docs" / "README.md"
    listed = index.read_text(encoding="utf-8") if index.is_file() else ""
    return [
        _at(root, path, 1, "not listed in docs/README.md")
        for path in files(root / "docs")
        if path.suffix == ".md" and path != index and f"]({path.relative_to(index.parent).as_posix()})" not in listed
    ]


def changelog_knows_the_version(root: Path) -> list[str]:
    """CHANGELOG.md has a heading for ``rrsim.__version__``."""
    source = (root / "rrsim" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "([^"]+)"', source, re.MULTILINE)
    if version is None:
        return ["rrsim/__init__.py:1: no __version__"]
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if re.search(rf"^## {re.escape(version[1])}\b", text, re.MULTILINE) is None:
        return [f"CHANGELOG.md:1: no heading `## {version[1]}`"]
    return []


def pure_rooms_import_nothing_impure(root: Path) -> list[str]:
    """Cores and models import no module that knows the time, the machine or chance, not even inside a function."""
    shells = tuple(f"rrsim/{name}:" for name in SHELLS)
    return [line for line in impure_imports(root) if not line.startswith(shells)]


def impure_imports(root: Path) -> list[str]:
    """Every import of an impure module in a room that ought to be pure, shells included."""
    found = []
    for path in python_files(root, "rrsim"):
        if not path.relative_to(root / "rrsim").as_posix().removesuffix(".py").startswith(PURE):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found += [_at(root, path, _line(node), f"a pure module imports {name}")
                      for name in _imported(node) if name.split(".")[0] in IMPURE]
    return found


def rooms_are_entered_by_their_doors(root: Path) -> list[str]:
    """Other rooms import of agent and server only the modules in :data:`DOORS`, and no room's private modules.

    The deliberate bugs of ``broken`` sit inside the product's own decisions, so that room may enter anywhere.
    """
    found = []
    for path in python_files(root, "rrsim"):
        room = path.relative_to(root / "rrsim").parts[0]
        if room == "broken":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in _imported(node):
                parts = name.split(".")
                if parts[0] != "rrsim" or len(parts) < 3 or parts[1] == room:
                    continue
                if parts[2] not in DOORS.get(parts[1], {parts[2]}):
                    found.append(_at(root, path, _line(node), f"enters {parts[1]} by {name}; its doors are "
                                                              f"{', '.join(sorted(DOORS[parts[1]]))}"))
                elif any(part.startswith("_") for part in parts):
                    found.append(_at(root, path, _line(node), f"imports {name}, which is private to its room"))
    return found


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _imported(node: ast.AST) -> list[str]:
    """Names of the modules, or of what is in them, that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def rooms_are_as_designed(root: Path) -> list[str]:
    """``rrsim/`` has the rooms of the design and no other folder."""
    seen = {path.name for path in (root / "rrsim").iterdir() if path.is_dir() and path.name not in NOT_OURS}
    found = [f"rrsim/{name}:0: not a room of docs/design.md" for name in sorted(seen - set(ROOMS))]
    found += [f"rrsim/{name}:0: a room without __init__.py" for name in sorted(seen & set(ROOMS))
              if not (root / "rrsim" / name / "__init__.py").is_file()]
    return found + [f"rrsim/{name}:0: this room of docs/design.md is missing" for name in sorted(set(ROOMS) - seen)]


def tests_mirror_rooms(root: Path) -> list[str]:
    """Every room with code has a folder of the same name under ``tests/`` with at least one test module."""
    found = []
    for name in ROOMS:
        room = root / "rrsim" / name
        if not room.is_dir() or not any(path.name != "__init__.py" for path in python_files(room)):
            continue
        if not any(path.name.startswith("test_") for path in python_files(root / "tests" / name)):
            found.append(f"tests/{name}:0: rrsim/{name} has code and no test here")
    return found


RULES = (
    modules_are_short,
    functions_are_short,
    public_things_have_docstrings,
    waivers_have_reasons,
    files_are_small_text,
    nothing_is_left_for_later,
    stand_ins_say_so,
    commands_in_the_readme_exist,
    links_in_documents_lead_somewhere,
    documents_are_in_the_index,
    changelog_knows_the_version,
    pure_rooms_import_nothing_impure,
    rooms_are_entered_by_their_doors,
    rooms_are_as_designed,
    tests_mirror_rooms,
)
