"""A Hayes modem between a serial port and a telephone line, as a pure state machine: no clock, no socket.

Inputs are bytes of the guest, timers, and what happens on the line; effects are bytes to either side, timers, and
what the modem does with the line. Whoever drives it delivers due timers before anything that was taken up later.

Rules:

* ``mode`` is ``command`` (on hook), ``dialling`` (a call is being made or answered), ``online``, ``escaped`` (online,
  but listening to commands) or ``fading`` (the line is gone, register S10 runs).
* A command line begins with ``AT``, ends with the character of S3 and has one result. The first error ends it.
  :mod:`.commands` reads it.
* Any byte during dialling gives the call up (V.250), but for 125 ms after the command line.
* ``+++`` with S12 of silence before and after leads to ``escaped``; the three characters went down the line, as on any
  modem. Without the silence they are data.
* A line that is cut is noticed after S10; one that the far end closed in order, at once. Either says NO CARRIER.
* DTR cannot be seen (QEMU does not show it): &D is accepted and does nothing. Power loss of the machine hangs up.
* Numeric results (V0) know only the standard's codes: every CONNECT is 1.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from rrsim.backends.live.dialup import commands
from rrsim.protocol.timers import TimerFired

Mode = Literal["command", "dialling", "online", "escaped", "fading"]
Result = Literal["OK", "CONNECT", "RING", "NO CARRIER", "ERROR", "NO DIALTONE", "BUSY", "NO ANSWER"]

MOST_LINE_CHARACTERS: Final = 255
ABORT_AFTER_US: Final = 125_000
"""V.250: what the terminal sends so soon after a dial command does not give the call up."""
GUARD, WAIT, SETTLE, FADE = "guard", "wait for carrier", "settle", "fade"
"""Its timers."""
S_ANSWER, S_RINGS, S_ESCAPE, S_END, S_NEWLINE, S_BACKSPACE, S_WAIT, S_PAUSE, S_FADE, S_GUARD = (
    0, 1, 2, 3, 4, 5, 7, 8, 10, 12
)
"""The registers that do something; every other one only keeps its value."""
REGISTERS: Final = 100
_FACTORY: Final = {
    S_ESCAPE: ord("+"), S_END: 13, S_NEWLINE: 10, S_BACKSPACE: 8, 6: 2, S_WAIT: 50, S_PAUSE: 2, 9: 6, S_FADE: 14,
    11: 95, S_GUARD: 50,
}
_CODES: Final[dict[Result, int]] = {
    "OK": 0, "CONNECT": 1, "RING": 2, "NO CARRIER": 3, "ERROR": 4, "NO DIALTONE": 6, "BUSY": 7, "NO ANSWER": 8,
}
_NEEDS_X: Final[dict[Result, frozenset[int]]] = {
    "NO DIALTONE": frozenset({2, 4}), "BUSY": frozenset({3, 4}),
}
"""A modem that is told not to listen for a tone (ATX) only finds no carrier."""


class _Word(msgspec.Struct, frozen=True):
    """Base of inputs and effects."""


# --- inputs -----------------------------------------------------------------------------------------------------


class FromGuest(_Word, frozen=True):
    """The guest wrote to its serial port."""

    data: bytes


class FromLine(_Word, frozen=True):
    """The far modem sent data."""

    data: bytes


class Failed(_Word, frozen=True):
    """A call came to nothing: the exchange's tones say why."""

    result: Literal["BUSY", "NO DIALTONE", "NO ANSWER", "NO CARRIER"]


class Ringback(_Word, frozen=True):
    """The far end's telephone rings."""


class PickedUp(_Word, frozen=True):
    """The far modem answered: training begins."""


class Carrier(_Word, frozen=True):
    """Training is over."""

    rate_bps: int


class LineCut(_Word, frozen=True):
    """The line is silent from now on."""


class FarEndHungUp(_Word, frozen=True):
    """The far modem ended the call in order."""


class RingsIn(_Word, frozen=True):
    """Somebody calls: one ring."""


class RingsNoMore(_Word, frozen=True):
    """The caller gave up."""


class PowerLost(_Word, frozen=True):
    """The machine is off or was reset, and the modem with it."""


# --- effects ----------------------------------------------------------------------------------------------------


class ToGuest(_Word, frozen=True):
    """Write to the guest's serial port."""

    data: bytes


class ToLine(_Word, frozen=True):
    """Send data to the far modem."""

    data: bytes


class SetTimer(_Word, frozen=True):
    """Deliver ``TimerFired(name)`` after so long; replaces a timer of the same name."""

    name: str
    after_us: int


class CancelTimer(_Word, frozen=True):
    """Forget a timer; harmless if there is none."""

    name: str


class Dial(_Word, frozen=True):
    """Take the line and dial."""

    number: str
    pause_us: int = 0
    """What the commas of the number add."""
    second_tones: int = 0
    """How often a further dial tone is waited for (``W``)."""


class Answer(_Word, frozen=True):
    """Take the line: somebody calls."""


class HangUp(_Word, frozen=True):
    """Let the line go; whatever call there was is over."""


Input = (
    FromGuest | FromLine | TimerFired | Failed | Ringback | PickedUp | Carrier | LineCut | FarEndHungUp | RingsIn
    | RingsNoMore | PowerLost
)
Effect = ToGuest | ToLine | SetTimer | CancelTimer | Dial | Answer | HangUp


class NotUnderstood(TypeError):
    """An input is none of this file's."""


class Modem:
    """One modem, on hook and as from the factory."""

    def __init__(self) -> None:
        """Nothing is set up; there is no call."""
        self._effects: list[Effect] = []
        self._switch_on()

    def _switch_on(self) -> None:
        self.mode: Mode = "command"
        self._line = ""
        self._last = ""
        self._overlong = False
        self._quiet = False
        self._pluses = 0
        self._settling = False
        self._ringing = self._rings_in = False
        self._rate_bps = 0
        self._number: Dial | None = None
        self._factory()

    def _factory(self) -> None:
        self.registers = [_FACTORY.get(number, 0) for number in range(REGISTERS)]
        self._echo = self._verbose = True
        self._silent = False
        self._listens = 4

    def take(self, event: Input | Any) -> list[Effect]:
        """Take one input; return what follows, in order. What means nothing in this mode changes nothing.

        Raises:
            NotUnderstood: it is no input of a modem.
        """
        self._effects = []
        match event:
            case FromGuest():
                self._guest(event.data)
            case FromLine():
                if self.mode == "online":
                    self._effects.append(ToGuest(event.data))
            case TimerFired():
                self._timer(event.name)
            case RingsIn() | RingsNoMore():
                self._rings(isinstance(event, RingsIn))
            case PowerLost():
                self._let_go()
                self._switch_on()
            case Failed() | Ringback() | PickedUp() | Carrier() | LineCut() | FarEndHungUp():
                self._call(event)
            case _:
                raise NotUnderstood(f"expected an input of a modem, saw {type(event).__name__}; see {__name__}.Input")
        return self._effects

    # --- what the guest sends -------------------------------------------------------------------------------------

    def _guest(self, data: bytes) -> None:
        while data:
            match self.mode:
                case "online":
                    self._effects.append(ToLine(data))
                    self._watch_for_escape(data)
                    return
                case "fading":
                    return
                case "dialling":
                    if not self._settling:
                        self._let_go()
                        self._say("NO CARRIER")
                    return
                case _:
                    data = self._typed(data)

    def _typed(self, data: bytes) -> bytes:
        """Take bytes as commands until the mode changes; return what is left."""
        for at, byte in enumerate(data):
            if self._echo:
                self._effects.append(ToGuest(bytes((byte,))))
            before = self.mode
            self._character(byte & 0x7F)
            if self.mode != before:
                return data[at + 1:]
        return b""

    def _character(self, code: int) -> None:
        letter = chr(code).upper()
        if self._line == "":
            self._line = "A" if letter == "A" else ""
        elif self._line == "A":
            if letter == "/":
                self._line = ""
                self._obey(self._last)
            else:
                self._line = "AT" if letter == "T" else "A" if letter == "A" else ""
        elif code == self.registers[S_END]:
            line, overlong = self._line, self._overlong
            self._line, self._overlong = "", False
            if overlong:
                self._say("ERROR")
            else:
                self._last = line
                self._obey(line)
        elif code == self.registers[S_BACKSPACE]:
            self._line = self._line[:-1] if len(self._line) > 2 else self._line
        elif code >= 0x20:
            if len(self._line) >= MOST_LINE_CHARACTERS:
                self._overlong = True
            else:
                self._line += chr(code)

    def _watch_for_escape(self, data: bytes) -> None:
        escape = self.registers[S_ESCAPE]
        counts = self._quiet and escape <= 127 and data.count(escape) == len(data) and self._pluses + len(data) <= 3
        self._pluses = self._pluses + len(data) if counts else 0
        self._quiet = counts
        self._guards()

    def _guards(self) -> None:
        self._effects.append(SetTimer(GUARD, max(1, self.registers[S_GUARD]) * 20_000))

    def _timer(self, name: str) -> None:
        match name:
            case "guard" if self.mode == "online":
                escaped = self._quiet and self._pluses == 3
                self._quiet, self._pluses = True, 0
                if escaped:
                    self.mode = "escaped"
                    self._say("OK")
            case "settle":
                self._settling = False
            case "wait for carrier" if self.mode == "dialling":
                result: Result = "NO ANSWER" if self._ringing else "NO CARRIER"
                self._let_go()
                self._say(result)
            case "fade" if self.mode == "fading":
                self._let_go()
                self._say("NO CARRIER")
            case _:
                return

    # --- the line ---------------------------------------------------------------------------------------------------

    def _call(self, event: Failed | Ringback | PickedUp | Carrier | LineCut | FarEndHungUp) -> None:
        match event:
            case Failed() if self.mode == "dialling":
                self._let_go()
                known = self._listens in _NEEDS_X.get(event.result, frozenset({self._listens}))
                self._say(event.result if known else "NO CARRIER")
            case Ringback() | PickedUp() if self.mode == "dialling":
                self._ringing = isinstance(event, Ringback)
            case Carrier() if self.mode == "dialling":
                self._effects += [CancelTimer(WAIT), CancelTimer(SETTLE)]
                self._rate_bps = event.rate_bps
                self._go_online()
            case LineCut() if self.mode in ("online", "escaped"):
                # 255: the modem carries on as if it always heard a carrier, until it is told to hang up.
                if self.registers[S_FADE] < 255:
                    self.mode = "fading"
                    self._effects += [CancelTimer(GUARD), SetTimer(FADE, self.registers[S_FADE] * 100_000)]
            case LineCut() | FarEndHungUp() if self.mode != "command":
                if self.mode != "fading" or isinstance(event, FarEndHungUp):
                    self._let_go()
                    self._say("NO CARRIER")
            case _:
                return

    def _go_online(self) -> None:
        self.mode = "online"
        self._settling = self._ringing = self._quiet = False
        self._pluses = 0
        self._say("CONNECT")
        self._guards()

    def _rings(self, begins: bool) -> None:
        if self.mode != "command":
            return
        self._rings_in = begins
        self.registers[S_RINGS] = min(255, self.registers[S_RINGS] + 1) if begins else 0
        if begins:
            self._say("RING")
            if 0 < self.registers[S_ANSWER] <= self.registers[S_RINGS]:
                self._take_line(Answer())

    def _take_line(self, how: Dial | Answer) -> None:
        self.mode = "dialling"
        self._settling, self._ringing, self._rings_in = True, False, False
        self.registers[S_RINGS] = 0
        pause_us = how.pause_us if isinstance(how, Dial) else 0
        self._effects += [
            how, SetTimer(SETTLE, ABORT_AFTER_US), SetTimer(WAIT, self.registers[S_WAIT] * 1_000_000 + pause_us),
        ]

    def _let_go(self) -> None:
        """Be on hook, with no timer running."""
        if self.mode != "command":
            self._effects += [*map(CancelTimer, (GUARD, WAIT, SETTLE, FADE)), HangUp()]
        self.mode = "command"
        self._line = ""
        self._settling = self._ringing = False

    # --- command lines ------------------------------------------------------------------------------------------------

    def _obey(self, line: str) -> None:
        """Carry out a command line and say its one result."""
        for command in commands.read(line[2:]):
            result = self._command(command)
            if result != "OK":
                if result is not None:
                    self._say(result)
                return
        self._say("OK")

    def _command(self, command: commands.Command) -> Result | None:
        """Carry out one command. None: the line ends here, and its result comes later or was said already."""
        match command:
            case commands.DialNumber():
                return self._dial(command)
            case commands.Register():
                return self._register(command)
            case commands.Basic(letter="E" | "Q" | "V" | "X"):
                return self._setting(command.letter, command.value)
            case commands.Basic(letter="H", value=value):
                if value == 0:
                    self._let_go()
                return "OK" if value <= 1 else "ERROR"
            case commands.Basic(letter="Z"):
                self._let_go()
                self._factory()
                self._say("OK")
                return None
            case commands.Basic(letter="&F"):
                self._factory()
            case commands.Basic(letter="A"):
                return self._answer()
            case commands.Basic(letter="O"):
                if self.mode != "escaped":
                    return "NO CARRIER"
                self._go_online()
                return None
            case commands.Tell():
                self._inform(command.text)
            case commands.Basic():
                pass
            case _:
                return "ERROR"
        return "OK"

    def _setting(self, letter: str, value: int) -> Result:
        if value > (4 if letter == "X" else 1):
            return "ERROR"
        match letter:
            case "E":
                self._echo = value == 1
            case "Q":
                self._silent = value == 1
            case "V":
                self._verbose = value == 1
            case _:
                self._listens = value
        return "OK"

    def _register(self, command: commands.Register) -> Result:
        if command.number >= REGISTERS or command.value > 255:
            return "ERROR"
        if command.value >= 0:
            self.registers[command.number] = command.value
        elif command.asks:
            self._inform(f"{self.registers[command.number]:03}")
        return "OK"

    def _dial(self, command: commands.DialNumber) -> Result | None:
        if self.mode != "command":
            return "ERROR"
        if command.again:
            if self._number is None:
                return "ERROR"
        else:
            pause_us = command.pauses * self.registers[S_PAUSE] * 1_000_000
            self._number = Dial(command.number, pause_us, command.second_tones)
        self._take_line(self._number)
        return None

    def _answer(self) -> Result | None:
        if self.mode != "command" or not self._rings_in:
            return "NO CARRIER" if self.mode == "command" else "ERROR"
        self._take_line(Answer())
        return None

    # --- what the modem says ------------------------------------------------------------------------------------------

    def _say(self, result: Result) -> None:
        if self._silent:
            return
        end = chr(self.registers[S_END] & 0x7F)
        if not self._verbose:
            self._effects.append(ToGuest(f"{_CODES[result]}{end}".encode()))
            return
        rate = f" {self._rate_bps}" if result == "CONNECT" and self._listens > 0 else ""
        self._inform(f"{result}{rate}")

    def _inform(self, text: str) -> None:
        end, newline = (chr(self.registers[number] & 0x7F) for number in (S_END, S_NEWLINE))
        before = f"{end}{newline}" if self._verbose else ""
        self._effects.append(ToGuest(f"{before}{text}{end}{newline}".encode()))
