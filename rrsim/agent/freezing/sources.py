"""Which modules of rrsim a program consists of: all that its modules import of rrsim, followed to the end."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from rrsim.agent.freezing.errors import BuildError
from rrsim.agent.freezing.places import digest_of

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[3]
"""The folder that ``rrsim/`` is in."""

ENTRY: Final = "rrsim.agent.__main__"
BROKEN_ENTRY: Final = "rrsim.broken.rragent_broken"
_NOT_IN_THE_AGENT: Final = (
    "rrsim.agent.freezing", "rrsim.agent.build", "rrsim.agent.adapter", "rrsim.agent.mac", "rrsim.machine",
    "rrsim.scenario", "rrsim.backends", "rrsim.server", "rrsim.people", "rrsim.report", "rrsim.cli", "rrsim.explore",
)
"""What only the harness has a use for: modules, and packages with all that is in them."""
_TEXTS: Final = "rrsim/agent/windows/texts/*.txt"


def agent_modules(root: Path = PACKAGE_ROOT) -> frozenset[str]:
    """Return the names of all modules of the agent: its program, all that is for Windows, and what these import.

    Raises:
        BuildError: the program is not there, an import leads nowhere, or the agent imports its builder or the harness.
    """
    windows = (root / "rrsim" / "agent" / "windows").rglob("*.py")
    modules = closure([ENTRY, *(_name_of(path, root) for path in windows)], root)
    strangers = sorted(name for name in modules if f"{name}.".startswith(tuple(f"{no}." for no in _NOT_IN_THE_AGENT)))
    if strangers:
        raise BuildError("an agent that does not import its own builder or the harness", ", ".join(strangers),
                         "moving what it needs of them to a module of its own")
    return modules


def closure(names: Iterable[str], root: Path = PACKAGE_ROOT) -> frozenset[str]:
    """Return the given modules of rrsim, every module of rrsim that they import anywhere, and all their packages.

    Raises:
        BuildError: a given module, or one that is imported, does not exist.
    """
    waiting = sorted(names)
    for name in waiting:
        if module_file(name, root) is None:
            raise BuildError(f"a module {name} to freeze", f"no such file under {root}", "a checkout that has it")
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        path = module_file(name, root)
        if name in seen or path is None:
            continue
        seen.add(name)
        for imported, members in _imports(path):
            if imported.split(".")[0] != "rrsim":
                continue
            if module_file(imported, root) is None:
                raise BuildError(f"a module {imported}, which {name} imports", f"no such file under {root}",
                                 "mending the import")
            waiting += [imported, *(f"{imported}.{member}" for member in members)]
        waiting += [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
    return frozenset(seen)


def module_file(name: str, root: Path = PACKAGE_ROOT) -> Path | None:
    """Return the file of a module, or nothing if there is no module of that name."""
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def data_files(root: Path = PACKAGE_ROOT) -> list[Path]:
    """Return the text files that the agent reads at run time: its words in the customer's languages."""
    return sorted(root.glob(_TEXTS))


def snapshot(modules: Iterable[str], root: Path = PACKAGE_ROOT) -> dict[str, bytes]:
    """Read modules and data files once: what is frozen is then what was digested, whatever is edited meanwhile."""
    found = [path for name in modules if (path := module_file(name, root)) is not None]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted([*found, *data_files(root)])}


def snapshot_digest(files: dict[str, bytes]) -> str:
    """Return one sha256 over names and contents of the files."""
    parts: list[str | bytes] = []
    for name, data in sorted(files.items()):
        parts += [name, data]
    return digest_of(parts)


def write_snapshot(files: dict[str, bytes], target: Path) -> None:
    """Write the files under a folder."""
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """What a module imports, at the top or inside a function: each module, and the names taken from it, if any."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module, [alias.name for alias in node.names]
