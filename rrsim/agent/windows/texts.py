"""What the agent says to the customer, in the customer's language (R7, R9, R11, R13).

A language is one UTF-8 file ``texts/xx.txt`` of ``key = text`` lines; a further language is a further file, beside the
program's own or in a folder given by the caller. A key that a file lacks, and a language without a file, come out in
English: a prompt in the wrong language is bad, a prompt without words is worse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

__all__ = ["FALLBACK", "REASONS", "Texts", "parse", "word"]

FALLBACK: Final = "en"
_FOLDER: Final = Path(__file__).parent / "texts"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")

REASONS: Final[Mapping[str, str]] = {
    "session expired": "expired",
    "session lost": "lost",
    "session ended": "ended",
    "idle for too long": "idle",
    "the customer left": "left",
    "declined the restart": "declined",
    "reconnect cancelled": "cancelled",
    "unknown session": "code",
    "the code is used": "code",
    "another endpoint is joined": "elsewhere",
    "nobody has joined this session": "refused",
    "another machine": "refused",
    "another boot": "refused",
    "same boot": "refused",
    "no boot mark": "refused",
    "no order stands": "lost",
    "ticket already used": "lost",
    "ticket does not match": "lost",
    "live key does not match": "lost",
    "only in phone mode": "refused",
    "no machine identity in hello": "refused",
    "no hello": "refused",
    "no claim": "refused",
    "only one hello and one claim on a connection": "refused",
    "no common protocol version": "version",
}
"""The session server's reasons, up to a colon, and the word under which the customer reads them."""


def word(what: str, known: Mapping[str, str]) -> str:
    """Return the key under which ``what``, a word of the agent or a reason of the server, is told to the customer."""
    if f"tell.{what}" in known:
        return f"tell.{what}"
    return f"tell.{REASONS.get(what.split(':', maxsplit=1)[0].strip(), 'other')}"


def parse(text: str, name: str) -> dict[str, str]:
    """Read the lines of a language file.

    Raises:
        ValueError: a line has no ``=``, or a key comes twice.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError(f"{name}, line {number}: expected `key = text`, saw {line.strip()[:40]!r}; mend the line")
        if key in found:
            raise ValueError(f"{name}, line {number}: {key!r} comes a second time; keep one of them")
        found[key] = value.strip().replace("\\n", "\n")
    return found


class Texts:
    """The texts of one language, with English behind it."""

    def __init__(self, language: str, log: Callable[[str], None], extra: Path | None = None) -> None:
        """Load ``language`` (``de``, ``de-AT``); ``extra`` is a folder whose files come before the program's own."""
        self._texts = _read(FALLBACK, extra)
        self.language = FALLBACK
        """The language that was found."""
        for name in _names(language):
            try:
                own = {} if name == FALLBACK else _read(name, extra)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                log(f"the texts of language {name!r} cannot be used: {error}")
                continue
            self._texts |= own
            self.language = name
            return
        log(f"no texts for language {language[:20]!r}: English is shown; a file xx.txt in the folder of texts adds one")

    def __getitem__(self, key: str) -> str:
        """Return a text.

        Raises:
            KeyError: not even English has it: a mistake in the program.
        """
        return self._texts[key]

    def tell(self, what: str) -> str:
        """Return what a notice says for a word of the agent, or for a reason of the session server."""
        return self._texts[word(what, self._texts)]


def _names(language: str) -> tuple[str, ...]:
    """Return the file names to try, the most exact first. The language arrives from the server: never a path."""
    if not _LANGUAGE.fullmatch(language):
        return ()
    parts = language.replace("_", "-").lower().split("-")
    return tuple("-".join(parts[:count]) for count in range(len(parts), 0, -1))


def _read(name: str, extra: Path | None) -> dict[str, str]:
    for folder in (extra, _FOLDER):
        if folder is not None and (folder / f"{name}.txt").is_file():
            path = folder / f"{name}.txt"
            return parse(path.read_text(encoding="utf-8-sig"), path.name)
    raise FileNotFoundError(name)
