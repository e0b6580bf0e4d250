"""Rules for PowerShell scripts, as far as they can be checked without PowerShell: shape, not meaning.

A small reader tells code from strings and comments; what it does not know (here-strings, subexpressions in strings are
taken as text) the scripts do not use, and a rule says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ALIASES = frozenset({
    "%", "?", "cat", "cd", "clc", "copy", "cp", "del", "dir", "echo", "erase", "foreach-object%", "gc", "gci", "gcm",
    "gi", "gm", "gp", "gps", "gsv", "gwmi", "iex", "iwr", "kill", "ls", "mkdir", "move", "mv", "ni", "popd", "ps",
    "pushd", "pwd", "ren", "rm", "rmdir", "sal", "saps", "sasv", "sc", "select", "set", "sleep", "sort", "spsv", "sv",
    "tee", "type", "where", "wget",
})  # fmt: skip
GROUP_NAMES = ("Administrators", "Administratoren", "Users", "Benutzer", "Everyone", "Jeder")
PAIRS = {")": "(", "}": "{", "]": "["}


def faults(text: str, *, entry: bool = True) -> Iterator[str]:
    """Find what breaks the rules in a script; ``entry``: one that is run, and not a command line."""
    if not text.isascii():
        yield "only ASCII: Windows PowerShell reads files without a mark in the machine's own code page"
    if "@'" in text or '@"' in text:
        yield "no here-strings: the reader does not know them"
    code = list(without_strings(text))
    bare = "".join(code)
    if bare.count("\0"):
        yield "a string is not closed"
    yield from _balance(bare)
    if entry:
        for line in ("Set-StrictMode -Version Latest", "$ErrorActionPreference = 'Stop'"):
            if line not in text:
                yield f"expected {line}"
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > 120 or line != line.rstrip() or "\t" in line:
                yield f"line {number}: long, with a tab, or with spaces at its end"
    for word in re.findall(r"(?:^|[;{(|]|\bthen\b)\s*([%?A-Za-z][\w-]*)", bare, re.MULTILINE):
        if word.lower() in ALIASES:
            yield f"an alias: {word}"
    for name in GROUP_NAMES:
        if re.search(rf"['\"]{name}['\"]", text):
            yield f"a group by name: {name}"
    if re.search(r"Invoke-Expression|ConvertTo-SecureString|-Password\b", text):
        yield "text run as code, or a password in a script"
    if "`\n" in text:
        yield "a line continued with a backtick"


def without_strings(text: str) -> Iterator[str]:
    """Yield the code of a script, strings and comments left out; ``\\0`` where one is not closed."""
    at = 0
    while at < len(text):
        mark = text[at]
        if mark == "#" and (at == 0 or text[at - 1] in " \t\n;{("):
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
        elif mark in "'\"":
            end = _string_end(text, at)
            yield '""' if end else "\0"
            at = end or len(text)
        elif mark == "`":
            at += 2
        else:
            yield mark
            at += 1


def _string_end(text: str, at: int) -> int:
    mark, at = text[at], at + 1
    while at < len(text):
        if text[at] == "`" and mark == '"':
            at += 2
        elif text[at] == mark:
            if text[at + 1 : at + 2] != mark:
                return at + 1
            at += 2
        else:
            at += 1
    return 0


def _balance(bare: str) -> Iterator[str]:
    open_ones: list[str] = []
    for mark in bare:
        if mark in PAIRS.values():
            open_ones.append(mark)
        elif mark in PAIRS and (not open_ones or open_ones.pop() != PAIRS[mark]):
            yield f"{mark} closes nothing"
            return
    if open_ones:
        yield f"{open_ones[-1]} is not closed"
