"""Dial-up on Windows: the phonebook entry that ``rasdial`` dials, and what its exit codes say about the modem. Pure.

The entry has only the lines that were seen to be needed (``windows.md`` 6): a null modem or VPN needs others. Windows
offers IPv6 and compression besides; the provider's gate rejects both in order, so the entry need not forbid them.
Nothing here has met a real Windows yet.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final, Literal

from rrsim.backends.live.dialup.exchange import WhyEnded

NAME: Final = "Internet"
PORT: Final = "COM2"
NUMBER: Final = "5551234"
FILE_NAME: Final = "rrsim.pbk"
MOST_NAME_CHARACTERS: Final = 256
_PORT: Final = re.compile(r"COM[1-9]\d{0,2}")
_NUMBER: Final = re.compile(r"[0-9*#,WwPpTt()+ -]{1,128}")
_NAME: Final = re.compile(r'[^\[\]"\\/:*?<>|,\x00-\x1f.][^\[\]"\\/:*?<>|,\x00-\x1f]*')

Phase = Literal["busy", "no dial tone", "no carrier", "dropped", "connected", "not possible"]


class NotAnEntry(ValueError):
    """A phonebook entry cannot be written like that."""


RAS_CODES: Final = MappingProxyType({
    0: "connected",
    602: "the port is already open",
    623: "no such phonebook entry",
    628: "the port was disconnected",
    629: "the remote end disconnected",
    630: "the port was disconnected by a hardware failure",
    631: "the user disconnected the port",
    633: "the port is in use or not set up for dialling out",
    635: "unknown error",
    651: "the modem reported an error",
    666: "the modem does not work",
    668: "the connection was dropped",
    676: "the line is busy",
    678: "there is no answer",
    679: "no carrier was found",
    680: "there is no dial tone",
    691: "the user name or password was rejected",
    711: "the remote access service manager could not start",
    718: "PPP took too long",
    720: "no PPP protocol could be agreed on",
    721: "the remote end does not answer",
    734: "PPP was terminated",
    756: "the connection is being dialled already",
})
"""What ``rasdial`` exits with."""

EXPECTED: Final[MappingProxyType[WhyEnded, tuple[int, ...]]] = MappingProxyType({
    "busy": (676,),
    "no dial tone": (680,),
    "no answer": (678,),
    "no carrier": (679, 678),
    "the line was cut": (628, 629, 668, 718, 721),
    "the provider hung up": (629, 628, 734, 668),
    "the caller hung up": (631, 668),
})
"""How a call ended at the modem, and with which codes Windows may say so, the likeliest first. A machine that went down
says nothing."""

_PHASES: Final[MappingProxyType[int, Phase]] = MappingProxyType({
    0: "connected", 676: "busy", 680: "no dial tone", 678: "no carrier", 679: "no carrier", 718: "no carrier",
    720: "no carrier", 721: "no carrier", 628: "dropped", 629: "dropped", 630: "dropped", 631: "dropped",
    668: "dropped", 734: "dropped",
})


def entry(name: str = NAME, *, port: str = PORT, number: str = NUMBER) -> str:
    """Return the text of a phonebook with one entry, lines ended as Windows does.

    Raises:
        NotAnEntry: name, port or number cannot be written in a phonebook.
    """
    for what, value, form, example in (
        ("name", name, _NAME, NAME), ("port", port, _PORT, PORT), ("number", number, _NUMBER, NUMBER),
    ):
        if form.fullmatch(value) is None or len(value) > MOST_NAME_CHARACTERS:
            raise NotAnEntry(f"expected the {what} of a dial-up connection, like {example!r}, saw {value!r}")
    lines = (
        f"[{name}]", "Encoding=1", "Type=1", "AutoLogon=0", "BaseProtocol=1", "LcpExtensions=1", "",
        "MEDIA=serial", f"Port={port}", "", "DEVICE=modem", f"PhoneNumber={number}", "",
    )
    return "\r\n".join(lines)


def dial_command(phonebook: str, name: str = NAME) -> tuple[str, ...]:
    """Return the command that dials; it ends when the call stands or came to nothing."""
    return ("rasdial", name, f"/phonebook:{phonebook}")


def hang_up_command(name: str = NAME) -> tuple[str, ...]:
    """Return the command that hangs up."""
    return ("rasdial", name, "/disconnect")


def meaning(code: int) -> str:
    """Return what an exit code of ``rasdial`` means."""
    return RAS_CODES.get(code, f"RAS error {code}, not among those that dial-up is known to give")


def phase(code: int) -> Phase:
    """Return how a call ended, in the words of ``dial progress``; ``not possible``: none was made."""
    return _PHASES.get(code, "not possible")


def agrees(code: int, ended: WhyEnded) -> bool:
    """Say whether Windows and the modem tell the same story: the code is one that such an end gives."""
    return code in EXPECTED.get(ended, ())
